"""How many customers the managers of a branch have, and who has too many (domain.md 3, capacity)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import not_found
from services.assignment_svc.store import claims, org
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.claims import Load, Loads
from services.assignment_svc.usecases.manual_changes import MANAGER_ROLES


@dataclass(frozen=True)
class Asked:
    """Which branch's managers somebody wants to see, and whether only those who have too many customers."""

    branch_id: str
    over_capacity: bool


async def list_loads(
    conn: AsyncConnection, caller: Caller, asked: Asked, after: tuple[int, str] | None, size: int
) -> tuple[Sequence[Load], int, bool]:
    """A page of the managers of a branch in the caller's subtree, the limit, and whether there are more."""
    if asked.branch_id not in await org.subtree(conn, caller.branch_id):
        raise not_found()
    most = await claims.capacity(conn)
    loads = Loads(asked.branch_id, await business_day(conn), MANAGER_ROLES, most, asked.over_capacity)
    found = await claims.loads_of(conn, loads, after, size + 1)
    return found[:size], most, len(found) > size
