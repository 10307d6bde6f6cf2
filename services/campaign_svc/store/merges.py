"""Two customers' contacts made one, and two again (domain.md 3, merging duplicates)."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.bulk import try_lock_imports
from chassis.sql.merging import Merging, divide, unite
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.store.merged_tables import TABLES

_IMPORTED = ("consents", "contacts", "opt_outs")
_ROOTS = text(
    "INSERT INTO contact_rooms (customer_id) SELECT unnest(ARRAY[:survivor_id, :merged_id]) ORDER BY 1"
    " ON CONFLICT DO NOTHING"
)
_LOCKED = text(
    "SELECT FROM contact_rooms WHERE customer_id IN (:survivor_id, :merged_id) ORDER BY customer_id FOR UPDATE"
)


async def hold_still(tx: AsyncConnection, merging: Merging) -> None:
    """Keeps imports out, and others from changing these customers' contacts, until `tx` ends.

    Refuses for now if an import is under way.
    """
    for name in _IMPORTED:
        if not await try_lock_imports(tx, name):
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "contacts are being imported; try again")
    await tx.execute(_ROOTS, vars(merging))
    await tx.execute(_LOCKED, vars(merging))


async def unite_contacts(tx: AsyncConnection, merging: Merging) -> Mapping[str, int]:
    """Gives the survivor the other's ledger, consents, opt-outs and tasks; rows by table."""
    counts = await unite(tx, TABLES, merging)
    gone = text("UPDATE contact_rooms SET gone = true, rev = pg_current_xact_id() WHERE customer_id = :merged_id")
    await tx.execute(gone, vars(merging))
    await contact_rooms.touch(tx, [merging.survivor_id])
    return counts


async def divide_contacts(tx: AsyncConnection, merging: Merging) -> Mapping[str, int]:
    """Gives back what `unite_contacts` moved; rows by table."""
    await contact_rooms.touch(tx, [merging.survivor_id, merging.merged_id])
    return await divide(tx, TABLES, merging)
