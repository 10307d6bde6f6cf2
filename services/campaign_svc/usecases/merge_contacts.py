"""The part of campaign_svc in a merge of two customers and in its undo."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database
from chassis.sql.merging import Merging, add_merged, remove_merged
from services.campaign_svc.store import merges


async def merge_contacts(database: Database, merging: Merging, *, validate_only: bool) -> Mapping[str, int]:
    """Unites two customers' contacts in one transaction; returns the rows that were moved, by table.

    A second call for the same merge changes nothing. Refuses for now while contacts are imported.
    """
    async with database.begin() as tx:
        before = await tx.begin_nested()
        await merges.hold_still(tx, merging)
        counts = await merges.unite_contacts(tx, merging) if await add_merged(tx, merging) else {}
        if validate_only:
            await before.rollback()
    return counts


async def undo_merge_contacts(tx: AsyncConnection, merging: Merging) -> Mapping[str, int]:
    """Takes two customers' contacts apart again; returns the rows that went back, by table.

    What came since the merge stays with the survivor. A second call changes nothing. Refuses as a merge does.
    """
    await merges.hold_still(tx, merging)
    return await merges.divide_contacts(tx, merging) if await remove_merged(tx, merging) else {}
