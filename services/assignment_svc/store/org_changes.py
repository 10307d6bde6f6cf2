"""The log of the organisation, what is planned of it, and how branches stood in the tree."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, Row, Text, bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.org_changes import BranchPeriod, Entry, Plan, PlanState, Subject
from services.assignment_svc.store.tables_org_changes import branch_period, org_change_entry, planned_org_change

FEED_ACTOR = "feed"
# Whoever changes the tree, or who works where, waits for one another: what was checked then stays true.
_LOCK = text("SELECT pg_advisory_xact_lock(7810766918541795169)")
_TELL = text(
    "SELECT set_config('banyan.org_actor', :actor, true), set_config('banyan.org_method', :method, true),"
    " set_config('banyan.org_request_id', :request_id, true), set_config('banyan.org_reason', :reason, true),"
    " set_config('banyan.org_date', :day, true)"
)
_TODAY = text("SELECT (bank_now() AT TIME ZONE 'Asia/Shanghai')::date")
_PERIODS_ON = select(branch_period).where(
    branch_period.c.from_date <= bindparam("day"),
    branch_period.c.until_date.is_(None) | (branch_period.c.until_date > bindparam("day")),
)
_ENTRIES = text("""
SELECT * FROM org_change_entry
WHERE (:before = 0 OR entry_id < :before) AND (:subject = '' OR subject = :subject)
  AND (:subject_id = '' OR subject_id = :subject_id) AND (:actor = '' OR actor = :actor)
  AND (CAST(:since AS timestamptz) IS NULL OR create_time >= :since)
  AND (CAST(:until AS timestamptz) IS NULL OR create_time < :until)
ORDER BY entry_id DESC LIMIT :limit
""").bindparams(
    *(bindparam(name, type_=Text) for name in ("subject", "subject_id", "actor")),
    *(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until")),
    bindparam("before", type_=BigInteger),
    bindparam("limit", type_=Integer),
)
_PLANS = text("""
SELECT * FROM planned_org_change
WHERE (effective_date, plan_id) > (:after_date, :after_id) AND (:subject = '' OR subject = :subject)
  AND (:subject_id = '' OR subject_id = :subject_id) AND (:state = '' OR state = :state)
  AND (:plan_id = '' OR plan_id = :plan_id)
  AND (CAST(:branch_ids AS text[]) IS NULL OR subject = 'BRANCH' OR EXISTS (
    SELECT FROM staff s WHERE s.staff_id = subject_id AND s.branch_id = ANY (CAST(:branch_ids AS text[]))))
ORDER BY effective_date, plan_id LIMIT :limit
""").bindparams(
    *(bindparam(name, type_=Text) for name in ("after_id", "subject", "subject_id", "state", "plan_id")),
    bindparam("limit", type_=Integer),
)


@dataclass(frozen=True)
class Telling:
    """Who changes something of the organisation, by which RPC and request, and why: the log keeps it."""

    actor: str
    method: str = ""
    request_id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """Which entries of the log; empty fields ask for all."""

    subject: Subject | None = None
    subject_id: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def tell(tx: AsyncConnection, telling: Telling, day: date | None = None) -> None:
    """Says who changes the organisation in this transaction, for the log; without it the hand at the database does.

    `day` is since when a branch stands as it is then written; today if it is not told.
    """
    await tx.execute(_TELL, {**vars(telling), "day": day.isoformat() if day else ""})


async def lock_org(tx: AsyncConnection) -> None:
    """Lets nobody else change branches or staff by hand until `tx` ends; to be taken before any of their rows."""
    await tx.execute(_LOCK)


async def today(conn: AsyncConnection) -> date:
    """The bank's calendar day: the one that people live in, not that of the data."""
    return (await conn.execute(_TODAY)).scalar_one()


async def entries(conn: AsyncConnection, asked: Asked, before: int, limit: int) -> list[Entry]:
    """The log, the latest first, from before an entry on; 0 for the start."""
    values = {**vars(asked), "subject": asked.subject or "", "before": before, "limit": limit}
    return [_entry(row) for row in await conn.execute(_ENTRIES, values)]


async def get_entry(conn: AsyncConnection, entry_id: int) -> Entry | None:
    """One entry."""
    query = select(org_change_entry).where(org_change_entry.c.entry_id == entry_id)
    row = (await conn.execute(query)).one_or_none()
    return _entry(row) if row else None


async def periods_on(conn: AsyncConnection, day: date) -> list[BranchPeriod]:
    """How each branch stood on a day."""
    return [_period(row) for row in await conn.execute(_PERIODS_ON, {"day": day})]


async def periods_of(conn: AsyncConnection, branch_id: str, before: int | None, limit: int) -> list[BranchPeriod]:
    """How a branch stood, the latest first, from before a period on; one that lasted no day is left out."""
    query = select(branch_period).where(
        branch_period.c.branch_id == branch_id,
        branch_period.c.until_date.is_(None) | (branch_period.c.until_date > branch_period.c.from_date),
    )
    if before is not None:
        query = query.where(branch_period.c.period_id < before)
    query = query.order_by(branch_period.c.period_id.desc()).limit(limit)
    return [_period(row) for row in await conn.execute(query)]


@dataclass(frozen=True)
class PlanDraft:
    """What shall change, and when."""

    subject: Subject
    subject_id: str
    changes: Mapping[str, Any]
    effective_date: date


async def add_plan(tx: AsyncConnection, draft: PlanDraft, telling: Telling) -> Plan:
    """Stores a pending change."""
    values = {
        "plan_id": uuid.uuid4().hex,
        "subject": draft.subject.value,
        "subject_id": draft.subject_id,
        "changes": json.loads(json.dumps(dict(draft.changes), default=date.isoformat)),
        "effective_date": draft.effective_date,
        "reason": telling.reason,
        "actor": telling.actor,
    }
    query = insert(planned_org_change).values(**values).returning(planned_org_change)
    return _plan((await tx.execute(query)).one())


async def get_plan(conn: AsyncConnection, plan_id: str, *, lock: bool = False) -> Plan | None:
    """One planned change; locked, it changes no more until the transaction ends."""
    query = select(planned_org_change).where(planned_org_change.c.plan_id == plan_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _plan(row) if row else None


@dataclass(frozen=True)
class WantedPlans:
    """Which plans: of one branch or staff member, in one state, of one id; None and empty ask for all.

    With `branch_ids` of staff only those who work there.
    """

    subject: Subject | None = None
    subject_id: str = ""
    state: PlanState | None = None
    plan_id: str = ""
    branch_ids: frozenset[str] | None = None


async def list_plans(
    conn: AsyncConnection, wanted: WantedPlans, after: tuple[date, str] | None, limit: int
) -> list[Plan]:
    """Planned changes by their day and id."""
    after_date, after_id = after or (date.min, "")
    values = {
        "after_date": after_date,
        "after_id": after_id,
        "subject": wanted.subject or "",
        "subject_id": wanted.subject_id,
        "state": wanted.state or "",
        "plan_id": wanted.plan_id,
        "branch_ids": None if wanted.branch_ids is None else sorted(wanted.branch_ids),
        "limit": limit,
    }
    return [_plan(row) for row in await conn.execute(_PLANS, values)]


async def plans_until(conn: AsyncConnection, day: date) -> list[Plan]:
    """What is pending and takes effect by a day, in the order in which it will."""
    query = (
        select(planned_org_change)
        .where(planned_org_change.c.state == PlanState.PENDING.value, planned_org_change.c.effective_date <= day)
        .order_by(planned_org_change.c.effective_date, planned_org_change.c.create_time, planned_org_change.c.plan_id)
    )
    return [_plan(row) for row in await conn.execute(query)]


async def end_plan(tx: AsyncConnection, plan_id: str, state: PlanState, failure: str = "") -> Plan:
    """Stores what became of a planned change."""
    query = (
        update(planned_org_change)
        .where(planned_org_change.c.plan_id == plan_id)
        .values(state=state.value, end_time=text("bank_now()"), failure=failure or None)
        .returning(planned_org_change)
    )
    return _plan((await tx.execute(query)).one())


def _plan(row: Row[Any]) -> Plan:
    return Plan(
        plan_id=row.plan_id,
        subject=Subject(row.subject),
        subject_id=row.subject_id,
        changes={name: _value(name, value) for name, value in row.changes.items()},
        effective_date=row.effective_date,
        state=PlanState(row.state),
        reason=row.reason,
        actor=row.actor,
        create_time=row.create_time,
        end_time=row.end_time,
        failure=row.failure or "",
    )


def _value(name: str, stored: Any) -> Any:  # noqa: ANN401 -- a column's value
    """What JSON made of a column's value, as it was."""
    if name == "roles":
        return tuple(stored)
    return date.fromisoformat(stored) if name.endswith("_date") and stored is not None else stored


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        entry_id=row.entry_id,
        create_time=row.create_time,
        actor=row.actor,
        method=row.method,
        request_id=row.request_id,
        reason=row.reason,
        subject=Subject(row.subject),
        subject_id=row.subject_id,
        action=row.action,
        before=row.before,
        after=row.after,
    )


def _period(row: Row[Any]) -> BranchPeriod:
    return BranchPeriod(
        branch_id=row.branch_id,
        period_id=row.period_id,
        display_name=row.display_name,
        parent_id=row.parent_id,
        legal_entity=row.legal_entity,
        from_date=row.from_date,
        until_date=row.until_date,
    )
