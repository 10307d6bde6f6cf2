# ruff: noqa: S608 - every name in these statements comes from the schema, every value is quoted; none is from the feed
"""The checks of a feed's rows, as SQL over whole tables. Each statement answers (file, line, column, reason, value)."""

from collections.abc import Sequence
from datetime import date

from acrm.columns import Column, Kind, Table
from acrm.engines import quoted, sql_type
from chassis.clock import BANK_ZONE
from chassis.names import ID_PATTERN

# A text longer than this is a mistake, not a name.
TEXT_MAX = 200
VALUE_MAX = 100

# What a CSV may write; a cast alone would take "1.5" for 2.
_WRITTEN: dict[Kind, tuple[str, str]] = {
    "date": (r"\d{4}-\d{2}-\d{2}", "is no date (YYYY-MM-DD)"),
    "amount": (r"-?\d{1,19}", "is no whole number of minor units"),
    "number": (r"-?\d{1,19}", "is no whole number"),
    "degrees": (r"-?\d{1,3}(\.\d{1,15})?", "are no decimal degrees"),
    "flag": ("true|false", "is neither true nor false"),
    "instant": (
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})",
        "is no time with its offset (YYYY-MM-DDTHH:MM:SS+08:00)",
    ),
}


def typed_view(table: Table, source: str) -> str:
    """The rows of a gathered file: each column typed (empty where it cannot be) and, as `<column>_text`, as written."""
    columns = ", ".join(f"{_typed(column)} AS {column.name}, {_written(column)}" for column in table.columns)
    return f"CREATE VIEW read_{table.name} AS SELECT file, line, {columns} FROM {source}"


def _typed(column: Column) -> str:
    if column.kind not in _WRITTEN:
        return f"nullif({column.name}, '')"
    written = quoted(_WRITTEN[column.kind][0])
    from_parquet = f"typeof({column.name}) <> 'VARCHAR'"
    cast = f"TRY_CAST({column.name} AS {sql_type(column.type)})"
    return f"CASE WHEN {from_parquet} OR regexp_full_match({column.name}::VARCHAR, {written}) THEN {cast} END"


def _written(column: Column) -> str:
    """As text; an empty text is a missing value, which a CSV cannot tell apart."""
    return f"nullif(CAST({column.name} AS VARCHAR), '') AS {column.name}_text"


def row_faults(table: Table, business_date: date) -> str:
    """Everything that can be said about a row by itself."""
    checks = [check for column in table.columns for check in _column_checks(column, business_date)]
    checks += [(rule.column, rule.broken, rule.reason) for rule in table.rules]
    hits = ", ".join(
        f"CASE WHEN {broken} THEN {{'column': {quoted(name)}, 'reason': {quoted(reason)}, 'value': {_shown(name)}}} END"
        for name, broken, reason in checks
    )
    anything = " OR ".join(f"({broken})" for _, broken, _ in checks)
    return f"""
        SELECT file, line, hit['column'] AS "column", hit['reason'] AS reason, hit['value'] AS value
        FROM (SELECT file, line, unnest([{hits}]) AS hit FROM read_{table.name} WHERE {anything})
        WHERE hit IS NOT NULL"""


def _column_checks(column: Column, business_date: date) -> list[tuple[str, str, str]]:
    """(column, condition under which it is bad, reason) for one column."""
    name = column.name
    checks = [(f"{name}_text IS NULL", "is required")] if column.required else []
    if column.kind in _WRITTEN:
        checks.append((f"{name}_text IS NOT NULL AND {name} IS NULL", _WRITTEN[column.kind][1]))
    if column.kind == "id":
        checks.append((f"NOT regexp_full_match({name}, {quoted(ID_PATTERN)})", f"is no id ({ID_PATTERN})"))
    if column.kind == "text":
        checks.append((f"length({name}) > {TEXT_MAX}", f"is longer than {TEXT_MAX} characters"))
        checks.append((f"contains({name}, chr(0))", "holds a zero byte"))
    if column.kind == "code":
        listed = ", ".join(quoted(code) for code in column.codes)
        checks.append((f"{name} NOT IN ({listed})", f"is none of {' '.join(column.codes)}"))
    if column.kind == "codes":
        one = f"({'|'.join(column.codes)})"
        checks.append((f"NOT regexp_full_match({name}, {quoted(f'{one}(;{one})*')})", f"is not {one} joined by ;"))
    if column.minimum is not None:
        checks.append((f"{name} < {column.minimum}", f"is below {column.minimum}"))
    if column.maximum is not None:
        checks.append((f"{name} > {column.maximum}", f"is above {column.maximum}"))
    if column.past:
        checks.append((f"{_day_of(column)} > DATE '{business_date}'", f"is after the business date {business_date}"))
    return [(name, broken, reason) for broken, reason in checks]


def _day_of(column: Column) -> str:
    if column.kind == "instant":
        return f"CAST(timezone({quoted(BANK_ZONE.key)}, {column.name}) AS DATE)"
    return column.name


def _shown(name: str) -> str:
    """The value as the report shows it; a password's hash stays where it is."""
    return "''" if name == "password_hash" else f"coalesce(left({name}_text, {VALUE_MAX}), '')"


def duplicate_faults(table: Table, columns: Sequence[str]) -> str:
    """Rows whose values of `columns` stand in another row too: all of them, since none is righter than the other."""
    names = ", ".join(columns)
    value = " || ' ' || ".join(_shown(name) for name in columns)
    return f"""
        SELECT file, line, {quoted(columns[-1])} AS "column", 'stands in ' || copies || ' rows' AS reason,
            {value} AS value
        FROM read_{table.name}
        JOIN (
            SELECT {names}, count(*) AS copies FROM read_{table.name}
            WHERE {" AND ".join(f"{name} IS NOT NULL" for name in columns)}
            GROUP BY {names} HAVING count(*) > 1
        ) USING ({names})"""


def reference_faults(table: Table, column: Column, referenced: Table) -> str:
    """Good rows that name something which is absent from the feed or was rejected."""
    key = referenced.key[0]
    reason = quoted(f"names no row, or a rejected one, of {referenced.name}")
    return f"""
        SELECT file, line, {quoted(column.name)} AS "column", {reason} AS reason, {_shown(column.name)} AS value
        FROM {good_rows(table)} AS referring
        ANTI JOIN (SELECT {key} AS wanted FROM {good_rows(referenced)}) AS referenced ON {column.name} = wanted
        WHERE {column.name} IS NOT NULL"""


def circle_faults(table: Table) -> str:
    """Branches that no root is above."""
    return f"""
        WITH RECURSIVE below AS (
            SELECT branch_id FROM read_{table.name} WHERE parent_id IS NULL
            UNION
            SELECT child.branch_id FROM read_{table.name} AS child JOIN below ON child.parent_id = below.branch_id
        )
        SELECT file, line, 'parent_id' AS "column", 'the branches above it form a circle' AS reason,
            {_shown("parent_id")} AS value
        FROM {good_rows(table)} WHERE branch_id NOT IN (SELECT branch_id FROM below)"""


def balance_faults(accounts: Table) -> str:
    """Accounts whose balance is not the one that the balances end with."""
    return f"""
        SELECT file, line, 'balance_minor' AS "column",
            'the balances end with ' || coalesce(ending, 0) AS reason, {_shown("balance_minor")} AS value
        FROM {good_rows(accounts)} AS account
        LEFT JOIN (
            SELECT account_id, arg_max(balance_minor, balance_date) AS ending FROM read_balances GROUP BY account_id
        ) USING (account_id)
        WHERE balance_minor <> coalesce(ending, 0)"""


def good_rows(table: Table) -> str:
    """The rows of a table without a fault so far, as a sub-query."""
    return f"""(SELECT * FROM read_{table.name} ANTI JOIN
        (SELECT file, line FROM fault WHERE "table" = {quoted(table.name)}) USING (file, line))"""
