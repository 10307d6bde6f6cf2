"""The part of assignment_svc in a merge of two customers and in its undo."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database
from chassis.sql.merging import Merging, add_merged, remove_merged
from policy.visibility import Scope
from services.assignment_svc.store import allocation, branch_moves, merges, org_changes, ownerships
from services.assignment_svc.usecases.read_ownership import View, view_of

# Only services ask.
_EVERYONE = Scope("", everyone=True)


@dataclass(frozen=True)
class Merged:
    """The survivor's ownership, and the branches that are told that a lock ended."""

    ownership: View
    told_branch_ids: tuple[str, ...]


async def merge_ownership(database: Database, merging: Merging, *, validate_only: bool) -> Merged:
    """Unites the facts of two customers and allocates the survivor: one transaction, so that he always has one primary.

    A second call for the same merge changes nothing. Refuses for now while a night is under way.
    """
    async with database.begin() as tx:
        before = await tx.begin_nested()
        merged = await _merge(tx, merging)
        if validate_only:
            await before.rollback()
    return merged


async def undo_merge_ownership(tx: AsyncConnection, merging: Merging) -> tuple[View, View]:
    """Takes two customers' facts and ownership apart again and allocates both; returns the survivor's, the other's.

    Their owners of before the merge are the incumbents. A second call changes nothing. Refuses as a merge does.
    """
    day = await merges.hold_still(tx, merging)
    if await remove_merged(tx, merging):
        await merges.divide_ownership(tx, merging, day)
        both = [merging.survivor_id, merging.merged_id]
        # Branches may have gone since the merge.
        await branch_moves.move_recoded(tx, both, day or await org_changes.today(tx), "merge")
        if day is not None:
            await merges.allocate_and_tell(tx, both, day, await allocation.policy_in_force(tx, day))
    return await _of(tx, merging.survivor_id), await _of(tx, merging.merged_id)


async def _merge(tx: AsyncConnection, merging: Merging) -> Merged:
    day = await merges.hold_still(tx, merging)
    told: tuple[str, ...] = ()
    if await add_merged(tx, merging):
        told = await merges.unite_ownership(tx, merging, day)
        if day is not None:
            await merges.allocate_and_tell(tx, [merging.survivor_id], day, await allocation.policy_in_force(tx, day))
    return Merged(await _of(tx, merging.survivor_id), told)


async def _of(tx: AsyncConnection, customer_id: str) -> View:
    found = await ownerships.of_customers(tx, [customer_id])
    whole = view_of(found[0], _EVERYONE) if found else None
    return whole or View(customer_id, None, (), None, None, None, None)
