"""From staging into the service's tables: rows equal to the stored ones are only read."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

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


_BRANCHES = _statement(
    branch, ["branch_id"], _same("display_name", "parent_id", "legal_entity", "open_date", "close_date")
)
# A feed without hashes takes nobody's password away. Branches tell their heads, so they change with them.
_STAFF = _statement(
    staff,
    ["staff_id"],
    {
        **_same("display_name", "branch_id"),
        "roles": "string_to_array(s.roles, ';')",
        "login": "s.login",
        "password_hash": "coalesce(s.password_hash, t0.password_hash)",
        **_same("active_from_date", "active_until_date", "successor_id"),
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
_FACTS = _statement(
    branch_facts,
    ["customer_id", "branch_id"],
    {
        **_same(*_PLAIN_FACTS),
        "last_live_date": "CASE WHEN NOT (s.loan_live OR s.card_live OR s.deposit_live) THEN s.last_live_date END",
    },
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
    return await _run(tx, _BRANCHES, staging, lower, upper)


async def upsert_staff(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    return await _run(tx, _STAFF, staging, lower, upper)


async def upsert_facts(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    return await _run(tx, _FACTS, staging, lower, upper)


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
