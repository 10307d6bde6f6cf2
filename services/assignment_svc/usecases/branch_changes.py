"""Merges, closes and splits branches (domain.md 3): planned by one, tried by anybody, applied by another."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, not_found
from chassis.sql.engine import Database
from services.assignment_svc.domain.branch_changes import (
    BranchChange,
    ChangeKind,
    ChangeState,
    MoveCounts,
    Planned,
    check_applicable,
    check_branches,
    check_managers,
    check_plan,
    is_over,
)
from services.assignment_svc.domain.changes import Change
from services.assignment_svc.domain.changes import ChangeKind as OwnershipChangeKind
from services.assignment_svc.store import (
    allocation,
    branch_changes,
    branch_moves,
    gate,
    manual_changes,
    org,
    org_changes,
    org_writes,
)
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.store.branch_moves import Move
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.store.stillness import BUSY, keep_still

# A feed reader waits for the oldest transaction of the server: a batch is at most this many aggregates (design 4.6).
BATCH_CUSTOMERS = 10_000
# More than a branch ever has.
CUSTOMERS_MAX = 100_000_000
_BUSY_SECONDS = 0.5
METHOD = "ApplyBranchChange"

# Tells how many customers of how many are done; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


async def plan(tx: AsyncConnection, planned: Planned, creator: str) -> BranchChange:
    """Stores what is to happen, once it is known to be possible."""
    check_plan(planned, await org_changes.today(tx))
    await org_changes.lock_org(tx)
    both = [planned.branch_id, planned.target_id]
    below = await org.subtree(tx, planned.branch_id)
    check_branches(planned, await org.branches_by_id(tx, both), below - {planned.branch_id})
    check_managers(planned, await org.staff_by_id(tx, planned.manager_ids))
    other = await branch_changes.pending(tx, both)
    if other is not None:
        message = "one of the branches is part of another change that is not over"
        raise Refused(Kind.PRECONDITION, "BRANCH_CHANGE_PENDING", message, {"branch_change": other})
    return await branch_changes.add(tx, planned, creator)


async def cancel(tx: AsyncConnection, branch_change_id: str, caller: str) -> BranchChange:
    """Calls off what was only planned."""
    change = await must_be(tx, branch_change_id, lock=True)
    if change.state is not ChangeState.PLANNED:
        raise is_over(change)
    return await branch_changes.decide(tx, branch_change_id, ChangeState.CANCELLED, caller)


async def must_be(conn: AsyncConnection, branch_change_id: str, *, lock: bool = False) -> BranchChange:
    """A change; refuses if there is none."""
    found = await branch_changes.get(conn, branch_change_id, lock=lock)
    if found is None:
        raise not_found()
    return found


async def check_apply(conn: AsyncConnection, branch_change_id: str, caller: str, *, dry: bool) -> None:
    """Refuses to apply what cannot be applied, or by whom it cannot."""
    change = await must_be(conn, branch_change_id)
    check_applicable(change, caller, await org_changes.today(conn), dry=dry)


async def try_change(database: Database, branch_change_id: str, caller: str, tell: Progress) -> MoveCounts:
    """Does all of it in one transaction and takes it back: what it would move.

    All customers are locked before the staff are, as everywhere: nobody who claims one meanwhile waits in a circle.
    """
    async with database.begin() as tx:
        await keep_still(tx)
        before = await tx.begin_nested()
        applying = _Applying(await must_be(tx, branch_change_id, lock=True), caller)
        await gate.lock_customers(tx, await branch_moves.next_customers(tx, applying.move, CUSTOMERS_MAX))
        counts = await applying.begin(tx)
        total = await branch_moves.left_count(tx, applying.move)
        while moved := await applying.move_some(tx):
            counts += moved
            if not await tell(counts.customers, total):
                break
        await applying.end(tx)
        await before.rollback()
    return counts


async def apply_change(database: Database, branch_change_id: str, caller: str, tell: Progress) -> MoveCounts:
    """Moves everything, batch by batch; what broke off before is gone on with. Returns all that was moved so far.

    Waits while a night or an import of facts is under way.
    """
    async with database.begin() as tx:
        change = await must_be(tx, branch_change_id, lock=True)
        if change.state is ChangeState.APPLIED:
            return change.counts
        applying = _Applying(change, caller)
        if change.state is ChangeState.PLANNED:
            await branch_changes.decide(tx, branch_change_id, ChangeState.APPLYING, caller)
            await branch_changes.add_counts(tx, branch_change_id, await applying.begin(tx))
        total = await branch_moves.left_count(tx, applying.move)

    async def next_batch(tx: AsyncConnection) -> MoveCounts | BranchChange:
        moved = await applying.move_some(tx)
        if moved is None:
            now = await must_be(tx, branch_change_id)
            if now.state is ChangeState.APPLIED:
                return now
            await applying.end(tx)
            return await branch_changes.decide(tx, branch_change_id, ChangeState.APPLIED, caller)
        await branch_changes.add_counts(tx, branch_change_id, moved)
        return moved

    done = 0
    while True:
        moved = await _unless_busy(database, next_batch)
        if isinstance(moved, BranchChange):
            return moved.counts
        done += moved.customers
        if not await tell(done, total):
            async with database.read() as conn:
                return (await must_be(conn, branch_change_id)).counts


async def _unless_busy(
    database: Database, batch: Callable[[AsyncConnection], Awaitable[MoveCounts | BranchChange]]
) -> MoveCounts | BranchChange:
    """Moves a batch, or waits a little: half of a branch must not stay behind because a night came between."""
    try:
        return await database.repeat(batch)
    except Refused as refused:
        if refused.reason != BUSY:
            raise
    await asyncio.sleep(_BUSY_SECONDS)
    return MoveCounts()


class _Applying:
    """One change that is being applied, or tried."""

    def __init__(self, change: BranchChange, actor: str) -> None:
        self._change = change
        self._planned = change.planned
        self._actor = actor
        is_split = change.planned.kind is ChangeKind.SPLIT
        # Managers who go with their customers still stand in the rows that are left.
        self.move = Move(
            change.planned.branch_id, change.planned.target_id, change.planned.manager_ids if is_split else None
        )

    async def begin(self, tx: AsyncConnection) -> MoveCounts:
        """Moves the staff who go along, and recodes what the feed will still tell of a branch that goes."""
        await self._tell_org(tx)
        kind = self._planned.kind
        if kind is not ChangeKind.SPLIT:
            await branch_moves.recode_branch(tx, self.move)
        if kind is ChangeKind.CLOSING:
            return MoveCounts()
        ids = self._planned.manager_ids
        if kind is ChangeKind.MERGER:
            ids = tuple(one.staff_id for one in await org.list_staff(tx, self._planned.branch_id, "", 1_000_000))
        staff = await org_writes.lock_staff(tx, ids)
        there = [one for one in staff.values() if one.branch_id == self._planned.branch_id]
        await org_writes.change_staff(tx, [(one, replace(one, branch_id=self._planned.target_id)) for one in there])
        return MoveCounts(staff=len(there))

    async def move_some(self, tx: AsyncConnection) -> MoveCounts | None:
        """Moves the next customers and allocates them; None if there are none."""
        day = await keep_still(tx)
        ids = await branch_moves.next_customers(tx, self.move, BATCH_CUSTOMERS)
        if not ids:
            return None
        await gate.lock_customers(tx, ids)
        on = day or await org_changes.today(tx)
        if self.move.manager_ids is not None:
            await branch_moves.recode_customers(tx, self.move, ids)
        places = await branch_moves.move_customers(tx, self.move, ids, on, self._actor)
        changed = 0
        if day is not None:
            policy = await allocation.policy_in_force(tx, day)
            changed = (await allocate_now(tx, ids, day, policy, self._actor)).changed_rows
        await manual_changes.record_changes(tx, [self._record(customer_id) for customer_id in ids])
        unassigned = await branch_moves.unassigned_count(tx, self._planned.target_id, ids)
        return MoveCounts(len(ids), places.united, places.primary, unassigned, changed)

    async def end(self, tx: AsyncConnection) -> None:
        """Closes a branch that goes; those below it are the target's."""
        if self._planned.kind is ChangeKind.SPLIT:
            return
        await self._tell_org(tx)
        await branch_moves.hand_on_children(tx, self.move)
        left = await org_writes.left_after(tx, self._planned.branch_id, self._planned.effective_date)
        if left.staff:
            message = f"{left.staff} staff still work at {self._planned.branch_id}: move them first"
            raise Refused(Kind.PRECONDITION, "BRANCH_NOT_EMPTY", message, {"staff": str(left.staff)})
        last_day = self._planned.effective_date - timedelta(days=1)
        await org_writes.change_branch(tx, self._planned.branch_id, {"close_date": last_day})

    async def _tell_org(self, tx: AsyncConnection) -> None:
        await org_changes.lock_org(tx)
        telling = Telling(self._actor, METHOD, self._change.branch_change_id, self._planned.reason)
        await org_changes.tell(tx, telling, self._planned.effective_date)

    def _record(self, customer_id: str) -> Change:
        return Change(
            customer_id=customer_id,
            kind=OwnershipChangeKind.BRANCH_CHANGE,
            branch_id=self._planned.target_id,
            reason=self._planned.reason,
            actor=self._actor,
            before={},
            from_branch_id=self._planned.branch_id,
            to_branch_id=self._planned.target_id,
            request_id=self._change.branch_change_id,
        )
