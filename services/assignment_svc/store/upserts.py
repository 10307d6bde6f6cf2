"""From staging into the service's tables: rows equal to the stored ones are only read."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store.org_changes import FEED_ACTOR, Telling, tell
from services.assignment_svc.store.tables import branch, branch_facts, staff

_PLAIN_FACTS = [
    column.name
    for column in branch_facts.columns
    if column.name not in {"customer_id", "branch_id", "last_live_date", "rev"}
]


def _statement(target: Table, key: Sequence[str], values: Mapping[str, str], tail: str = "") -> str:
    """The upsert of expressions over staging `s` and the stored row `t0`; `tail` adds CTEs that read `written`.

    The anti-join keeps unchanged rows from being locked, which would write each of them; both sides are bounded, since
    a merge join would else read the target from its start for each batch.
    """
    columns = [*key, *values]
    dated = "update_time" in target.c
    same_key = " AND ".join(f't0."{name}" = s."{name}"' for name in key)
    within = f'{{alias}}."{key[0]}" > :lower AND {{alias}}."{key[0]}" <= :upper'
    selected = ", ".join([*(f's."{name}"' for name in key), *(f"{value} AS {name}" for name, value in values.items())])
    old = ", ".join(f't0."{name}" AS old_{name}' for name in [key[0], *values])
    listed = ", ".join(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in [*values, "rev", *(["update_time"] if dated else [])])
    return f"""
WITH source AS (
  SELECT {selected}, {old} FROM {{staging}} s
  LEFT JOIN {target.name} t0 ON {same_key} AND {within.format(alias="t0")}
  WHERE {within.format(alias="s")}
), written AS MATERIALIZED (
  SELECT * FROM source WHERE old_{key[0]} IS NULL
    OR ({", ".join(f"old_{name}" for name in values)}) IS DISTINCT FROM ({", ".join(values)})
), stored AS (
  INSERT INTO {target.name} ({listed}, rev{", update_time" if dated else ""})
  SELECT {listed}, (SELECT pg_current_xact_id()){", (SELECT bank_now())" if dated else ""} FROM written
  ORDER BY {", ".join(key)}
  ON CONFLICT ({", ".join(key)}) DO UPDATE SET {changes}
){tail}
SELECT count(*) FILTER (WHERE old_{key[0]} IS NULL), count(*) FILTER (WHERE old_{key[0]} IS NOT NULL) FROM written
"""  # noqa: S608 - names of our own tables


def _same(*names: str) -> dict[str, str]:
    return {name: f's."{name}"' for name in names}


# What the feed tells of a column counts if it told another value before; else what people made of it stays. Of a row
# that it tells for the first time it counts too, but what it leaves empty stays.
def feed_value(name: str, staged: str | None = None, told: str | None = None) -> str:
    """A column of a row that people change too: `staged` is its value in the feed, `told` what is kept of that."""
    staged = staged or f's."{name}"'
    told = told or staged
    return f"""CASE WHEN t0.source IS NULL THEN coalesce({staged}, t0."{name}")
    WHEN t0.source -> '{name}' IS NOT DISTINCT FROM to_jsonb({told}) THEN t0."{name}" ELSE {staged} END"""


def _kept(told: Mapping[str, str]) -> str:
    """What is kept of what the feed tells."""
    pairs = ", ".join(f"'{name}', {value}" for name, value in told.items())
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))"


_BRANCH_COLUMNS = ("display_name", "parent_id", "legal_entity", "open_date", "close_date")
_BRANCHES = _statement(
    branch,
    ["branch_id"],
    {**{name: feed_value(name) for name in _BRANCH_COLUMNS}, "source": _kept(_same(*_BRANCH_COLUMNS))},
)
_STAFF_COLUMNS = ("display_name", "branch_id", "login", "active_from_date", "active_until_date", "successor_id")
# A feed without hashes takes nobody's password away.
_HASH = "encode(sha256(convert_to(s.password_hash, 'UTF8')), 'hex')"
_TOLD_HASH = f"coalesce({_HASH}, t0.source ->> 'password_hash')"
_PASSWORD = feed_value("password_hash", told=_TOLD_HASH)
# Branches tell their heads, so they change with them.
_STAFF = _statement(
    staff,
    ["staff_id"],
    {
        **{name: feed_value(name) for name in _STAFF_COLUMNS},
        "roles": feed_value("roles", "string_to_array(s.roles, ';')", "s.roles"),
        "password_hash": _PASSWORD,
        "password_once": f"coalesce(t0.password_once AND ({_PASSWORD}) IS NOT DISTINCT FROM t0.password_hash, false)",
        "source": _kept({**_same(*_STAFF_COLUMNS), "roles": "s.roles", "password_hash": _TOLD_HASH}),
    },
    """, led AS (
  SELECT branch_id FROM written WHERE 'BRANCH_HEAD' = ANY (roles)
  UNION SELECT old_branch_id FROM written WHERE 'BRANCH_HEAD' = ANY (old_roles)
), touched AS (
  UPDATE branch SET rev = (SELECT pg_current_xact_id()), update_time = (SELECT bank_now())
  WHERE branch_id IN (SELECT branch_id FROM led)
)""",
)
# The last live day moves every night while anything is live: it is kept only once nothing is.
_FACT_VALUES = {
    **_same(*_PLAIN_FACTS),
    "last_live_date": "CASE WHEN NOT (s.loan_live OR s.card_live OR s.deposit_live) THEN s.last_live_date END",
}
_FACTS = _statement(branch_facts, ["customer_id", "branch_id"], _FACT_VALUES)
# Who is being decided over right now is waited for, and then waits anew: he may have been read without these facts.
_CHANGED_FACTS = _statement(
    branch_facts,
    ["customer_id", "branch_id"],
    _FACT_VALUES,
    """, noted AS (
  INSERT INTO changed_facts (customer_id) SELECT DISTINCT customer_id FROM written ORDER BY customer_id
  ON CONFLICT (customer_id) DO UPDATE SET customer_id = excluded.customer_id
)""",
)


# What was live on the last night, or the day before if there was none since, and is told no more: its business moved.
_END_MISSING = """
UPDATE branch_facts f SET loan_live = false, loan_id = NULL, loan_outstanding_minor = NULL,
  loan_first_disburse_date = NULL, loan_officer_id = NULL, card_live = false, card_id = NULL, card_limit_minor = NULL,
  card_first_open_date = NULL, card_manager_id = NULL, deposit_live = false, deposit_sum_minor = 0,
  last_live_date = least((SELECT business_date FROM allocation_day), CAST(:day AS date) - 1),
  rev = (SELECT pg_current_xact_id())
WHERE (loan_live OR card_live OR deposit_live)
  AND NOT EXISTS (SELECT FROM {staging} s WHERE s.customer_id = f.customer_id AND s.branch_id = f.branch_id)
"""


async def upsert_branches(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    await tell(tx, Telling(FEED_ACTOR))
    return await _run(tx, _BRANCHES, staging, lower, upper)


async def upsert_staff(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    await tell(tx, Telling(FEED_ACTOR))
    return await _run(tx, _STAFF, staging, lower, upper)


async def upsert_facts(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    return await _run(tx, _FACTS, staging, lower, upper)


async def upsert_changed_facts(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """As all facts, and remembers whose were written."""
    return await _run(tx, _CHANGED_FACTS, staging, lower, upper)


async def end_missing_facts(tx: AsyncConnection, staging: str, day: date) -> None:
    """Ends what is live where the whole facts of `day` tell nothing any more, so that the next night looks there.

    The rows stay, for the run-off; a loan that moved away leaves no grace behind.
    """
    # Whoever sends the wrong tables makes this large: it shall not spill to disk at once.
    await tx.execute(text("SELECT set_config('work_mem', '96MB', true)"))
    await tx.execute(text(_END_MISSING.replace("{staging}", staging)), {"day": day})


async def _run(tx: AsyncConnection, template: str, staging: str, lower: str, upper: str) -> tuple[int, int]:
    statement = text(template.replace("{staging}", staging))
    inserted, updated = (await tx.execute(statement, {"lower": lower, "upper": upper})).one()
    return inserted, updated
