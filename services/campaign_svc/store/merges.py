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


async def hold_still(tx: AsyncConnection, merging: Merging) -> None:
    """Keeps imports out, and others from changing these customers' contacts, until `tx` ends.

    Refuses for now if an import is under way.
    """
    for name in _IMPORTED:
        if not await try_lock_imports(tx, name):
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "contacts are being imported; try again")
    await contact_rooms.touch(tx, [merging.survivor_id, merging.merged_id])


async def unite_contacts(tx: AsyncConnection, merging: Merging) -> Mapping[str, int]:
    """Gives the survivor the other's ledger, consents, opt-outs and tasks; rows by table."""
    counts = await unite(tx, TABLES, merging)
    gone = text("UPDATE contact_rooms SET gone = true, rev = pg_current_xact_id() WHERE customer_id = :merged_id")
    await tx.execute(gone, vars(merging))
    return counts


async def divide_contacts(tx: AsyncConnection, merging: Merging) -> Mapping[str, int]:
    """Gives back what `unite_contacts` moved; rows by table."""
    return await divide(tx, TABLES, merging)
