"""The door to what belongs to one branch's side of a customer."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import not_found
from policy.visibility import least_level
from services.customer_svc.domain.sides import Sides, sides_of
from services.customer_svc.domain.viewing import Viewer
from services.customer_svc.store.owner_rows import owner_rows
from services.customer_svc.usecases.scopes import read_scope


async def must_see_sides(conn: AsyncConnection, viewer: Viewer, customer_id: str, field: str) -> Sides:
    """The sides that a viewer is on. Refuses alike one who is absent and one of whom he does not see this field."""
    scope = await read_scope(conn, viewer)
    rows = await owner_rows(conn, customer_id)
    if rows is None or scope.level(rows) < least_level([field]):
        raise not_found()
    return sides_of(scope, rows)
