"""Finds customers who may be one, and tells the pairs to those who know both."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import invalid_field, not_found
from chassis.sql.engine import Database
from services.customer_svc.domain.merges import Duplicate
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import duplicates
from services.customer_svc.store.duplicates import Place, Reach, Wanted
from services.customer_svc.store.owner_rows import is_top
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.scopes import read_scope

REASON_LENGTH_MAX = 500
_OPEN, _DISMISSED = "OPEN", "DISMISSED"
# Tells how many pairs were found so far; answers whether to go on.
Tell = Callable[[int], Awaitable[bool]]


async def find_duplicates(database: Database, tell: Tell) -> int:
    """Looks for pairs in the whole bank and returns how many are open; dismissed ones stay dismissed.

    It reads without a transaction of its own and stores some at a time, so no feed waits for it. A search that broke
    off is simply made again.
    """
    async with database.read() as conn:
        started = await duplicates.bank_now(conn)
        day = await duplicates.due_date(conn)
    count = 0
    async with database.alone() as reading, reading.begin():
        async for pairs in duplicates.find(reading):
            ids = [duplicate_id(row.customer_id, row.other_id) for row in pairs]
            async with database.begin() as tx:
                await duplicates.put(tx, pairs, ids, started)
            count += len(pairs)
            if not await tell(count):
                return count
    async with database.begin() as tx:
        await duplicates.drop_others(tx, started)
        if day is not None:
            await duplicates.set_found_date(tx, day)
        return await duplicates.open_count(tx)


def duplicate_id(customer_id: str, other_id: str) -> str:
    """The id of a pair: the same whenever it is found."""
    return hashlib.sha256(f"{customer_id}\n{other_id}".encode()).hexdigest()[:32]


async def reach_of(conn: AsyncConnection, viewer: Viewer) -> Reach:
    """Whose pairs a viewer sees."""
    leads = "BRANCH_HEAD" in viewer.roles
    return Reach(await read_scope(conn, viewer), leads and await is_top(conn, viewer.branch_id))


async def list_duplicates(
    conn: AsyncConnection, reading: Reading, wanted: Wanted, after: Place | None, size: int
) -> Sequence[Duplicate]:
    """The pairs that the viewer sees, the surest first: a page, and one more if there is one."""
    found = await duplicates.page(conn, wanted, await reach_of(conn, reading.viewer), after, size + 1)
    await _note(conn, reading, found[:size])
    return found


async def get_duplicate(conn: AsyncConnection, reading: Reading, duplicate_id: str) -> Duplicate:
    """One pair; refused alike if it is absent and if the viewer does not know both."""
    found = await duplicates.get(conn, duplicate_id, await reach_of(conn, reading.viewer))
    if found is None:
        raise not_found()
    await _note(conn, reading, [found])
    return found


async def dismiss_duplicate(tx: AsyncConnection, reading: Reading, duplicate_id: str, reason: str) -> Duplicate:
    """Remembers that a pair is two, whatever the next searches find."""
    check_reason(reason)
    await get_duplicate(tx, reading, duplicate_id)
    await duplicates.set_state(tx, duplicate_id, _DISMISSED, reason, reading.viewer.staff_id)
    return await get_duplicate(tx, reading, duplicate_id)


async def reopen_duplicate(tx: AsyncConnection, reading: Reading, duplicate_id: str) -> Duplicate:
    """Takes back that a pair is two."""
    await get_duplicate(tx, reading, duplicate_id)
    await duplicates.set_state(tx, duplicate_id, _OPEN, "", reading.viewer.staff_id)
    return await get_duplicate(tx, reading, duplicate_id)


def check_reason(reason: str) -> None:
    """Refuses a reason that is longer than anybody reads."""
    if len(reason) > REASON_LENGTH_MAX:
        raise invalid_field("reason", f"must have at most {REASON_LENGTH_MAX} characters")


async def _note(conn: AsyncConnection, reading: Reading, found: Sequence[Duplicate]) -> None:
    await note_reads(conn, reading, {one.customer_id for pair in found for one in pair.customers})
