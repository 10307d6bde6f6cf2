"""The versions of the policy of allocation."""

from datetime import date

from sqlalchemy import Date, Integer, bindparam, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.domain.policies import PolicyState, PolicyVersion

PARAMETERS = (
    "grace_days",
    "run_off_days",
    "challenge_percent",
    "return_months",
    "protection_idle_days",
    "lead_days",
)
_COLUMNS = (
    f"version, {', '.join(PARAMETERS)}, state, start_date, reason, actor, create_time, approver, approve_time,"
    " withdrawer, withdraw_time, withdraw_reason"
)
# Writers wait for one another; whoever reads does not.
_LOCK = text("LOCK TABLE ownership_policy IN SHARE ROW EXCLUSIVE MODE")
_IN_FORCE = text(
    f"SELECT version, {', '.join(PARAMETERS)} FROM ownership_policy"  # noqa: S608 -- our own words
    " WHERE state = 'APPROVED' AND (start_date IS NULL OR start_date <= :day)"
    " ORDER BY start_date DESC NULLS LAST, version DESC LIMIT 1"
).bindparams(bindparam("day", type_=Date))
_GET = text(f"SELECT {_COLUMNS} FROM ownership_policy WHERE version = :version")  # noqa: S608 -- our own words
_LIST = text(
    f"SELECT {_COLUMNS} FROM ownership_policy WHERE version < :before"  # noqa: S608 -- our own words
    " ORDER BY version DESC LIMIT :limit"
).bindparams(bindparam("before", type_=Integer))
_STARTING_ON = text("SELECT version FROM ownership_policy WHERE state = 'APPROVED' AND start_date = :day").bindparams(
    bindparam("day", type_=Date)
)
_ADD = text(
    f"""
INSERT INTO ownership_policy (version, {", ".join(PARAMETERS)}, actor, state, start_date, reason)
SELECT coalesce(max(version), 0) + 1, {", ".join(f"CAST(:{name} AS integer)" for name in PARAMETERS)},
  CAST(:actor AS text), 'PROPOSED', :start_date, CAST(:reason AS text)
FROM ownership_policy RETURNING version"""  # noqa: S608 -- our own words
).bindparams(bindparam("start_date", type_=Date))
_APPROVE = text(
    "UPDATE ownership_policy SET state = 'APPROVED', approver = :actor, approve_time = bank_now()"
    " WHERE version = :version"
)
_WITHDRAW = text(
    "UPDATE ownership_policy SET state = 'WITHDRAWN', withdrawer = :actor, withdraw_time = bank_now(),"
    " withdraw_reason = :reason WHERE version = :version"
)


async def lock_policies(tx: AsyncConnection) -> None:
    """Lets nobody else change a policy until `tx` ends."""
    await tx.execute(_LOCK)


async def in_force(tx: AsyncConnection, day: date) -> Policy:
    """The parameters that count on a business date: of the approved versions that have started, the last to do so."""
    return _policy((await tx.execute(_IN_FORCE, {"day": day})).one())


async def get(conn: AsyncConnection, version: int) -> PolicyVersion | None:
    """One version."""
    row = (await conn.execute(_GET, {"version": version})).one_or_none()
    return _version(row) if row else None


async def page(conn: AsyncConnection, before: int, limit: int) -> list[PolicyVersion]:
    """Versions, the youngest first, from before one on."""
    return [_version(row) for row in await conn.execute(_LIST, {"before": before, "limit": limit})]


async def starting_on(conn: AsyncConnection, day: date) -> int | None:
    """The approved version that starts on a date, if there is one."""
    return (await conn.execute(_STARTING_ON, {"day": day})).scalars().first()


async def add(tx: AsyncConnection, policy: Policy, start_date: date, reason: str, actor: str) -> int:
    """Keeps a proposal, under the next number; policies must be locked."""
    parameters = {name: getattr(policy, name) for name in PARAMETERS}
    values = {**parameters, "start_date": start_date, "reason": reason, "actor": actor}
    return (await tx.execute(_ADD, values)).scalar_one()


async def approve(tx: AsyncConnection, version: int, actor: str) -> None:
    """Lets a version count from its start on."""
    await tx.execute(_APPROVE, {"version": version, "actor": actor})


async def withdraw(tx: AsyncConnection, version: int, actor: str, reason: str) -> None:
    """Takes a version back."""
    await tx.execute(_WITHDRAW, {"version": version, "actor": actor, "reason": reason})


def _policy(row: Row[tuple[int, ...]]) -> Policy:
    return Policy(row.version, *(getattr(row, name) for name in PARAMETERS))


def _version(row: Row[tuple[int, ...]]) -> PolicyVersion:
    return PolicyVersion(
        policy=_policy(row),
        state=PolicyState(row.state),
        start_date=row.start_date,
        reason=row.reason,
        creator=row.actor,
        create_time=row.create_time,
        approver=row.approver,
        approve_time=row.approve_time,
        withdrawer=row.withdrawer,
        withdraw_time=row.withdraw_time,
        withdraw_reason=row.withdraw_reason,
    )
