"""The door to what only a head of a customer's primary side may ask for."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from services.customer_svc.domain.viewing import Viewer
from services.customer_svc.store import org, owner_rows
from services.customer_svc.usecases.must_see import must_see


async def must_lead(conn: AsyncConnection, viewer: Viewer, customer_id: str) -> None:
    """Refuses who does not head the customer's primary branch, or one above it.

    To who does not see more of him than that he exists, he is absent.
    """
    await must_see(conn, viewer, customer_id, "own")
    primary = await owner_rows.primary_of(conn, customer_id)
    led = await org.subtree(conn, viewer.branch_id) if "BRANCH_HEAD" in viewer.roles else frozenset[str]()
    if primary is None or primary.branch_id not in led:
        raise Refused(Kind.FORBIDDEN, "NOT_PRIMARY_HEAD", "only a head of his primary side asks for this")
