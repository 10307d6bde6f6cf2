"""A customer's timeline, and his deposits month by month."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database
from services.customer_svc.domain.parts import Missing
from services.customer_svc.domain.series import BalanceSeries
from services.customer_svc.domain.timeline import OF_OTHERS, Entry, Wanted, merged
from services.customer_svc.domain.viewing import Level, Reading
from services.customer_svc.peers.timeline import AskEntries
from services.customer_svc.store import asking, series, timeline
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.see_sides import must_see_sides

FIELD = "own"


@dataclass(frozen=True)
class Timeline:
    """A page of events, the youngest first, and what is missing in it."""

    entries: Sequence[Entry]
    more: bool
    missing: Sequence[Missing]


async def list_timeline(
    database: Database, ask: AskEntries, reading: Reading, customer_id: str, wanted: Wanted
) -> Timeline:
    """A page of what happened to a customer. Other services are asked without a connection, since they may be slow."""
    async with database.read() as conn:
        sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
        await note_reads(conn, reading, [customer_id])
        own = await timeline.read_entries(conn, timeline.Asked(customer_id, sides, wanted))
    told: tuple[Sequence[Entry], Sequence[Missing]] = ((), ())
    if wanted.kinds & OF_OTHERS:
        told = await ask(customer_id, wanted)
    found = merged(wanted, own, told[0])
    return Timeline(found[: wanted.limit], len(found) > wanted.limit, told[1])


async def get_balance_series(conn: AsyncConnection, reading: Reading, customer_id: str) -> BalanceSeries:
    """A customer's deposits by month: over the bank for the primary side, and at the viewer's own branch."""
    sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    day, _ = await asking.read_moment(conn)
    whole = sides.level >= Level.PRIMARY
    total = await series.read_total(conn, customer_id, day) if whole else None
    own = await series.read_own(conn, customer_id, sides.own_branch_id, day) if sides.own_branch_id else ()
    return BalanceSeries(customer_id, day, total, own, sides.own_branch_id)
