"""Whom managers are to visit in a month, and how much of that is done: in one statement, over whole branches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.visit_duties import DueVisit, DutyClass, next_month
from services.assignment_svc.domain.visits import VisitState
from services.assignment_svc.store import visit_policies
from services.assignment_svc.store.visit_duties_sql import (
    BY_MANAGER,
    DONE,
    KEEP,
    KEPT_DUTIES,
    LIST,
    LIVE_DUTIES,
    SUMMARIES,
)

_IS_KEPT = text("SELECT EXISTS (SELECT FROM visit_month WHERE month_date = :first)")
_MARK_KEPT = text("INSERT INTO visit_month (month_date) VALUES (:first) ON CONFLICT DO NOTHING")
_BRANCHES = text("SELECT branch_id FROM branch WHERE branch_id > :after ORDER BY branch_id LIMIT :limit")

_BRANCH_IDS = "branch_id = ANY (CAST(:branch_ids AS text[]))"
# A manager works at one branch; customers whose private manager somebody is may be anywhere.
_LIVE_MANAGER = """coalesce(p.staff_id, o.manager_id) = :manager_id AND o.customer_id IN (
  SELECT customer_id FROM private_manager WHERE staff_id = :manager_id
  UNION ALL SELECT customer_id FROM owner
  WHERE branch_id = (SELECT branch_id FROM staff WHERE staff_id = :manager_id) AND manager_id = :manager_id)"""
# Who has the customer no more sees no more of him.
_STILL_HIS = """EXISTS (
  SELECT FROM owner o LEFT JOIN private_manager p USING (customer_id)
  WHERE o.customer_id = d.customer_id AND :manager_id IN (o.manager_id, p.staff_id))"""
_STILL_MANAGED = """EXISTS (
  SELECT FROM owner o WHERE o.customer_id = d.customer_id AND o.manager_id = :manager_id)"""
_STILL_THERE = f"EXISTS (SELECT FROM owner o WHERE o.customer_id = d.customer_id AND o.{_BRANCH_IDS})"


@dataclass(frozen=True)
class DueOf:
    """Whose duties: those of one manager, of customers of some branches, or both; None does not confine them.

    `near` are those whom the viewer is not shown: himself and his relatives.
    """

    manager_id: str | None
    branch_ids: frozenset[str] | None
    near: frozenset[str] = frozenset()
    as_private: bool = True
    """Also the duties of a private manager, of customers whose rows others manage."""


@dataclass(frozen=True)
class DuePlace:
    """The last of the page before."""

    next_due_date: date | None
    last_visit_date: date | None
    customer_id: str


@dataclass(frozen=True)
class DutyDone:
    """What a manager's duties of a month come to; `done_percent` is in percent of a visit, never more than is due."""

    customer_count: int
    due_count: int
    done_percent: int


@dataclass(frozen=True)
class VisitSummary:
    """What a manager's duties and visits of a month come to."""

    manager_id: str
    duty: DutyDone
    state_counts: Mapping[VisitState, int]


async def duty_done(conn: AsyncConnection, month: date, branch_ids: Sequence[str]) -> dict[str, DutyDone]:
    """Due and done in the month of a day, for each manager of customers whose primary branch is one of these.

    A month that is over is told as it was at its end; what is due this month moves with who owns whom. Managers
    without duties are left out.
    """
    of = DueOf(None, frozenset(branch_ids))
    rows = await _run(conn, month, of, DONE + BY_MANAGER)
    return {row.manager_id: DutyDone(row.customer_count, row.due_count, row.done_percent) for row in rows}


async def due_visits(  # noqa: PLR0913 -- a page with its place
    conn: AsyncConnection, month: date, of: DueOf, after: DuePlace | None, limit: int, *, with_done: bool
) -> list[DueVisit]:
    """A page of customers who are to be visited, what is most overdue first."""
    values = {
        "with_done": with_done,
        "from_start": after is None,
        "after_due": after.next_due_date if after else None,
        "after_last": after.last_visit_date if after else None,
        "after_id": after.customer_id if after else "",
        "limit": limit,
        "near": sorted(of.near),
    }
    return [
        DueVisit(
            row.customer_id,
            row.branch_id,
            row.manager_id,
            DutyClass(row.customer_class),
            row.due_count,
            row.done_percent,
            row.next_due_date,
            row.last_visit_date,
        )
        for row in await _run(conn, month, of, DONE + LIST, values, is_shown=True)
    ]


async def summaries(
    conn: AsyncConnection, month: date, branch_ids: frozenset[str], after: str, limit: int
) -> list[VisitSummary]:
    """What the visits of a month come to for each manager who has duties or made visits there, by id."""
    rows = await _run(conn, month, DueOf(None, branch_ids), DONE + SUMMARIES, {"after": after, "limit": limit})
    return [
        VisitSummary(
            row.manager_id,
            DutyDone(row.customer_count, row.due_count, row.done_percent),
            {VisitState(state): count for state, count in row.state_counts.items()},
        )
        for row in rows
    ]


async def keep_duties(tx: AsyncConnection, month: date, after: str, limit: int) -> str | None:
    """Keeps what was due at some branches in a month that ended; the last of them, None when all are kept."""
    found = (await tx.execute(_BRANCHES, {"after": after, "limit": limit})).scalars().all()
    if found:
        await _execute(tx, await _live(tx, month, DueOf(None, frozenset(found)), KEEP))
    if len(found) == limit:
        return found[-1]
    # Before the first import there is nothing to keep, and the month may still come.
    if found or after:
        await tx.execute(_MARK_KEPT, {"first": month.replace(day=1)})
    return None


async def is_kept(conn: AsyncConnection, month: date) -> bool:
    """Says whether what was due in a month is kept as it was at its end."""
    return (await conn.execute(_IS_KEPT, {"first": month.replace(day=1)})).scalar_one()


@dataclass(frozen=True)
class _Asked:
    statement: str
    values: Mapping[str, Any]


async def _run(  # noqa: PLR0913 -- the parts of a statement
    conn: AsyncConnection,
    month: date,
    of: DueOf,
    tail: str,
    values: Mapping[str, Any] | None = None,
    *,
    is_shown: bool = False,
) -> Any:  # noqa: ANN401 -- a result
    if await is_kept(conn, month):
        asked = _kept(month, of, tail, is_shown=is_shown)
    else:
        asked = await _live(conn, month, of, tail)
    return await _execute(conn, _Asked(asked.statement, {**asked.values, **(values or {})}))


async def _live(conn: AsyncConnection, month: date, of: DueOf, tail: str) -> _Asked:
    policy = await visit_policies.in_force(conn, month.replace(day=1))
    confined = [_LIVE_MANAGER] if of.manager_id is not None else []
    confined += [] if of.as_private else ["o.manager_id = :manager_id"]
    confined += [f"o.{_BRANCH_IDS}"] if of.branch_ids is not None else []
    statement = "WITH " + LIVE_DUTIES.replace("{live_of}", " AND ".join(confined)) + tail
    more = {"version": policy.version, "whole_until_day": policy.whole_until_day}
    return _Asked(statement, {**_values(month, of), **more})


def _kept(month: date, of: DueOf, tail: str, *, is_shown: bool) -> _Asked:
    confined = ["d.manager_id = :manager_id"] if of.manager_id is not None else []
    confined += [f"d.{_BRANCH_IDS}"] if of.branch_ids is not None else []
    if is_shown:
        confined.append(_STILL_THERE if of.branch_ids is not None else _STILL_HIS)
    if not of.as_private:
        confined.append(_STILL_MANAGED)
    return _Asked("WITH " + KEPT_DUTIES.replace("{kept_of}", " AND ".join(confined)) + tail, _values(month, of))


def _values(month: date, of: DueOf) -> dict[str, Any]:
    assert of.manager_id is not None or of.branch_ids is not None, "the whole bank is asked branch by branch"
    values: dict[str, Any] = {"first": month.replace(day=1), "next": next_month(month)}
    if of.manager_id is not None:
        values["manager_id"] = of.manager_id
    if of.branch_ids is not None:
        values["branch_ids"] = sorted(of.branch_ids)
    return values


async def _execute(conn: AsyncConnection, asked: _Asked) -> Any:  # noqa: ANN401 -- a result
    return await conn.execute(text(asked.statement), dict(asked.values))
