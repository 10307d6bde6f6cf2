"""Does what merges and their undoing consist of: a step for each service, in an order, until all are done.

Each step may be repeated without harm and is marked when it is done: whoever takes the work over goes on where it
stopped.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from services.customer_svc.domain.merges import MERGE_ORDER, TRANSITIONS, UNDO_ORDER, Merge, Part, State, Verb
from services.customer_svc.store import customers, merged_customers, merges
from services.customer_svc.store.owner_rows import primary_of

_BY_SYSTEM = AuditEntry("customer_svc", "", "", "MergeCustomers")


@dataclass(frozen=True)
class Peers:
    """The other services' parts; each may be asked for again. `undo_ownership` says whether the other has an owner."""

    merge_ownership: Callable[[Merging], Awaitable[object]]
    undo_ownership: Callable[[Merging], Awaitable[bool]]
    merge_contacts: Callable[[Merging], Awaitable[object]]
    undo_contacts: Callable[[Merging], Awaitable[object]]


async def run_merge(database: Database, peers: Peers, merge: Merge) -> None:
    """Does the steps of a merge, or of its undo, that are not done yet, and finishes it.

    Raises what a service said when it could not do its part now: the rest is done later.
    """
    undo = merge.state is State.UNDOING
    merging = Merging(merge.merge_id, merge.survivor_id, merge.merged_id)
    done = {step.part for step in merge.steps}
    for part in UNDO_ORDER if undo else MERGE_ORDER:
        if part not in done:
            await _step(database, peers, merging, part, undo=undo)
    await database.repeat(lambda tx: _finish(tx, merge))


async def _step(database: Database, peers: Peers, merging: Merging, part: Part, *, undo: bool) -> None:
    match part:
        case Part.CUSTOMER:
            await database.repeat(lambda tx: _unite_or_divide(tx, merging, undo=undo))
            return
        case Part.OWNERSHIP if undo:
            owned = await peers.undo_ownership(merging)
            # He must not be seen again before it is known here who owns him.
            await _check_followed(database, merging.merged_id, owned=owned)
        case Part.OWNERSHIP:
            await peers.merge_ownership(merging)
        case Part.CONTACTS if undo:
            await peers.undo_contacts(merging)
        case Part.CONTACTS:
            await peers.merge_contacts(merging)
    async with database.begin() as tx:
        await merges.step_done(tx, merging, part, undo=undo)


async def _unite_or_divide(tx: AsyncConnection, merging: Merging, *, undo: bool) -> None:
    """The own part, in one transaction with its mark."""
    await merged_customers.hold_still(tx, merging)
    day = await customers.business_day(tx)
    change = merged_customers.divide_customers if undo else merged_customers.unite_customers
    await change(tx, merging, day)
    await merges.step_done(tx, merging, Part.CUSTOMER, undo=undo)


async def _check_followed(database: Database, customer_id: str, *, owned: bool) -> None:
    async with database.read() as conn:
        known = await primary_of(conn, customer_id) is not None
    if owned and not known:
        raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "the owners of the customer are not followed yet")


async def _finish(tx: AsyncConnection, merge: Merge) -> None:
    """Moves the state, if nobody else did, and remembers whose data changed."""
    locked = await merges.lock(tx, merge.merge_id)
    verb = Verb.FINISH_UNDO if merge.state is State.UNDOING else Verb.FINISH
    after = TRANSITIONS.get((locked.state, verb)) if locked else None
    if locked is None or after is None:
        return
    await merges.record(tx, locked, (verb, "", frozenset(), ""), after)
    detail = {"merge": merge.merge_id, "verb": verb.value}
    entries = [
        AuditEntry(_BY_SYSTEM.caller, "", "", _BY_SYSTEM.method, customer_id, detail)
        for customer_id in (merge.survivor_id, merge.merged_id)
    ]
    await audit(tx, entries)
