"""What other parameters of allocation would change, kept beside ownership and never in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, Integer, Row, RowMapping, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.ownership import Evidence, Owner, Policy, Rule, Side
from services.assignment_svc.store.policies import PARAMETERS
from services.assignment_svc.store.trial_sql import BOUNDS, DECIDE

KEPT_DAYS = 30
MANAGERS_MAX = 1_000
# One transaction forgets so many rows.
_FORGET_ROWS = 20_000

_ADD_BRANCHES = text(
    """
INSERT INTO policy_trial_branch (trial_id, branch_id, primary_gained_count, primary_lost_count, row_gained_count,
  row_lost_count, manager_changed_count, changed_row_count)
SELECT :trial_id, branch_id,
  count(*) FILTER (WHERE new_side = 'PRIMARY' AND old_side IS DISTINCT FROM 'PRIMARY'),
  count(*) FILTER (WHERE old_side = 'PRIMARY' AND new_side IS DISTINCT FROM 'PRIMARY'),
  count(*) FILTER (WHERE change = 'MADE'), count(*) FILTER (WHERE change = 'ENDED'),
  count(*) FILTER (WHERE change = 'CHANGED' AND old_manager_id IS DISTINCT FROM new_manager_id), count(*)
FROM policy_trial_row WHERE trial_id = :trial_id GROUP BY branch_id"""
)
_ADD_MANAGERS = text(
    """
INSERT INTO policy_trial_manager (trial_id, branch_id, manager_id, gained_count, lost_count)
SELECT :trial_id, branch_id, manager_id, count(*) FILTER (WHERE is_gain), count(*) FILTER (WHERE NOT is_gain)
FROM policy_trial_row,
  LATERAL (VALUES (coalesce(old_manager_id, ''), false, change <> 'MADE'), (coalesce(new_manager_id, ''), true,
    change <> 'ENDED')) AS m (manager_id, is_gain, stands)
WHERE trial_id = :trial_id AND stands AND (change <> 'CHANGED' OR old_manager_id IS DISTINCT FROM new_manager_id)
GROUP BY branch_id, manager_id"""
)
_ADD = text(
    f"""
INSERT INTO policy_trial (trial_id, {", ".join(PARAMETERS)}, business_date, compared_version, actor, customer_count,
  changed_customer_count, expire_time)
VALUES (:trial_id, {", ".join(f":{name}" for name in PARAMETERS)}, :business_date, :compared_version, :actor,
  :customer_count, :changed_customer_count, bank_now() + make_interval(days => {KEPT_DAYS}))"""  # noqa: S608 -- our own words
).bindparams(bindparam("business_date", type_=Date))
_FORGET = text(
    f"""
DELETE FROM policy_trial_row WHERE (customer_id, trial_id, branch_id) IN (
  SELECT customer_id, trial_id, branch_id FROM policy_trial_row WHERE trial_id = :trial_id LIMIT {_FORGET_ROWS})"""  # noqa: S608 -- a number
)
_EXPIRED = text("SELECT trial_id FROM policy_trial WHERE expire_time <= bank_now() ORDER BY trial_id LIMIT 1")
_GET = text("SELECT * FROM policy_trial WHERE trial_id = :trial_id AND expire_time > bank_now()")
_LIST = text(
    "SELECT * FROM policy_trial WHERE (create_time, trial_id) < (:create_time, :trial_id) AND expire_time > bank_now()"
    " ORDER BY create_time DESC, trial_id DESC LIMIT :limit"
).bindparams(bindparam("create_time", type_=DateTime(timezone=True)), bindparam("limit", type_=Integer))
_BRANCHES = text(
    """
SELECT * FROM policy_trial_branch
WHERE trial_id = :trial_id AND (CAST(:branch_ids AS text[]) IS NULL OR branch_id = ANY (CAST(:branch_ids AS text[])))
ORDER BY changed_row_count DESC, branch_id"""
)
_MANAGERS = text(
    f"""
SELECT * FROM policy_trial_manager
WHERE trial_id = :trial_id AND (CAST(:branch_ids AS text[]) IS NULL OR branch_id = ANY (CAST(:branch_ids AS text[])))
ORDER BY gained_count + lost_count DESC, manager_id, branch_id LIMIT {MANAGERS_MAX}"""  # noqa: S608 -- a number
)
# Of customers of these branches: all rows of those whom one of them leads, of others their own.
_ROWS = text(
    """
SELECT * FROM policy_trial_row r
WHERE trial_id = :trial_id AND (customer_id, branch_id) > (:customer_id, :branch_id) AND EXISTS (
  SELECT FROM owner o WHERE o.customer_id = r.customer_id AND o.branch_id = ANY (CAST(:branch_ids AS text[]))
    AND (o.side = 'PRIMARY' OR o.branch_id = r.branch_id))
ORDER BY customer_id, branch_id LIMIT :limit"""
).bindparams(
    bindparam("customer_id", type_=Text), bindparam("branch_id", type_=Text), bindparam("limit", type_=Integer)
)


@dataclass(frozen=True)
class Trial:
    """A finished trial of parameters on a business date; `policy.version` is the one compared with."""

    trial_id: str
    policy: Policy
    business_date: date
    actor: str
    customer_count: int
    changed_customer_count: int
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True)
class BranchCount:
    """What would change for one branch."""

    branch_id: str
    primary_gained: int
    primary_lost: int
    row_gained: int
    row_lost: int
    manager_changed: int
    changed_rows: int


@dataclass(frozen=True)
class ManagerCount:
    """What would change for one manager at one branch; no manager is the branch's virtual one."""

    branch_id: str
    manager_id: str | None
    gained: int
    lost: int


@dataclass(frozen=True)
class TrialRow:
    """A row that would change; None for no row."""

    customer_id: str
    branch_id: str
    before: Owner | None
    after: Owner | None


async def batches(conn: AsyncConnection, size: int) -> tuple[list[tuple[str, str]], int]:
    """Everybody with facts as ranges of ids, lower end excluded, of at most `size` customers, and how many they are."""
    rows = (await conn.execute(BOUNDS, {"size": size})).all()
    ends = [row.customer_id for row in rows]
    return list(zip(["", *ends], ends, strict=False)), rows[-1].total if rows else 0


async def decide(
    tx: AsyncConnection, trial_id: str, bounds: tuple[str, str], day: date, policies: tuple[Policy, Policy]
) -> tuple[int, int]:
    """Keeps how the rows of a range of ids differ between two policies, the one in force first.

    Returns how many customers were looked at and of how many something would change.
    """
    values: dict[str, Any] = {"trial_id": trial_id, "day": day, "after": bounds[0], "until": bounds[1]}
    for prefix, policy in zip(("now", "then"), policies, strict=True):
        values |= {f"{prefix}_{name}": getattr(policy, name) for name in PARAMETERS if name != "lead_days"}
    row = (await tx.execute(DECIDE, values)).one()
    return row.customer_count, row.changed_customer_count


async def add(tx: AsyncConnection, trial: Trial) -> None:
    """Keeps a trial whose rows are there, with its counts; its times are the database's."""
    await tx.execute(_ADD_BRANCHES, {"trial_id": trial.trial_id})
    await tx.execute(_ADD_MANAGERS, {"trial_id": trial.trial_id})
    await tx.execute(
        _ADD,
        {
            "trial_id": trial.trial_id,
            **{name: getattr(trial.policy, name) for name in PARAMETERS},
            "business_date": trial.business_date,
            "compared_version": trial.policy.version,
            "actor": trial.actor,
            "customer_count": trial.customer_count,
            "changed_customer_count": trial.changed_customer_count,
        },
    )


async def expired(conn: AsyncConnection) -> str | None:
    """A trial that may be forgotten, if there is one."""
    return (await conn.execute(_EXPIRED)).scalar_one_or_none()


async def forget_some(tx: AsyncConnection, trial_id: str) -> bool:
    """Deletes some rows of a trial, and all else of it with the last ones; says whether there is more to delete."""
    if (await tx.execute(_FORGET, {"trial_id": trial_id})).rowcount == _FORGET_ROWS:
        return True
    for table in ("policy_trial_branch", "policy_trial_manager", "policy_trial"):
        await tx.execute(text(f"DELETE FROM {table} WHERE trial_id = :trial_id"), {"trial_id": trial_id})  # noqa: S608 -- our own names
    return False


async def get(conn: AsyncConnection, trial_id: str) -> Trial | None:
    """One trial."""
    row = (await conn.execute(_GET, {"trial_id": trial_id})).one_or_none()
    return _trial(row) if row else None


async def page(conn: AsyncConnection, before: tuple[datetime, str], limit: int) -> list[Trial]:
    """Trials, the youngest first, from a place on."""
    rows = await conn.execute(_LIST, {"create_time": before[0], "trial_id": before[1], "limit": limit})
    return [_trial(row) for row in rows]


async def branch_counts(conn: AsyncConnection, trial_id: str, branch_ids: Sequence[str] | None) -> list[BranchCount]:
    """What would change for branches, the most changed first; for all without `branch_ids`."""
    ids = None if branch_ids is None else list(branch_ids)
    return [
        BranchCount(
            row.branch_id,
            row.primary_gained_count,
            row.primary_lost_count,
            row.row_gained_count,
            row.row_lost_count,
            row.manager_changed_count,
            row.changed_row_count,
        )
        for row in await conn.execute(_BRANCHES, {"trial_id": trial_id, "branch_ids": ids})
    ]


async def manager_counts(conn: AsyncConnection, trial_id: str, branch_ids: Sequence[str] | None) -> list[ManagerCount]:
    """What would change for the most changed managers, at these branches."""
    ids = None if branch_ids is None else list(branch_ids)
    return [
        ManagerCount(row.branch_id, row.manager_id or None, row.gained_count, row.lost_count)
        for row in await conn.execute(_MANAGERS, {"trial_id": trial_id, "branch_ids": ids})
    ]


async def rows(
    conn: AsyncConnection, trial_id: str, branch_ids: Sequence[str], after: tuple[str, str], limit: int
) -> list[TrialRow]:
    """Rows that would change, by customer and branch, as far as the heads of these branches see them.

    None is left out afterwards: a page's token would tell where.
    """
    values = {
        "trial_id": trial_id,
        "branch_ids": list(branch_ids),
        "customer_id": after[0],
        "branch_id": after[1],
        "limit": limit,
    }
    return [
        TrialRow(row["customer_id"], row["branch_id"], _owner(row, "old"), _owner(row, "new"))
        for row in (await conn.execute(_ROWS, values)).mappings()
    ]


def _trial(row: Row[Any]) -> Trial:
    return Trial(
        row.trial_id,
        Policy(row.compared_version, *(getattr(row, name) for name in PARAMETERS)),
        row.business_date,
        row.actor,
        row.customer_count,
        row.changed_customer_count,
        row.create_time,
        row.expire_time,
    )


def _owner(row: RowMapping, prefix: str) -> Owner | None:
    if row[f"{prefix}_side"] is None:
        return None
    evidence = ("basis", "amount_minor", "rival_branch_id", "rival_amount_minor", "held_by_margin")
    return Owner(
        branch_id=row["branch_id"],
        side=Side(row[f"{prefix}_side"]),
        rule=Rule(row[f"{prefix}_rule"]),
        manager_id=row[f"{prefix}_manager_id"],
        named_manager_id=row[f"{prefix}_named_manager_id"],
        evidence=Evidence(*(row[f"{prefix}_{name}"] for name in evidence)),
        since_date=row[f"{prefix}_since_date"],
        from_date=row[f"{prefix}_from_date"],
        due_date=row[f"{prefix}_due_date"],
    )
