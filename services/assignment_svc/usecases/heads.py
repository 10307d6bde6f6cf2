"""Who may act as the head of a branch."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused
from services.assignment_svc.store.heads import headed_branch


async def acts_as_head(conn: AsyncConnection, caller: Caller, branch_id: str, day: date) -> bool:
    """Says whether the caller heads this very branch, or the nearest above that has a head while it has none."""
    if Role.BRANCH_HEAD not in caller.roles:
        return False
    return caller.branch_id == branch_id or await headed_branch(conn, branch_id, day) == caller.branch_id


async def check_acts_as_head(conn: AsyncConnection, caller: Caller, branch_id: str, day: date) -> None:
    """Refuses whoever does not."""
    if not await acts_as_head(conn, caller, branch_id, day):
        message = "only the head of the branch may do this, or the next one above while it has none"
        raise Refused(Kind.FORBIDDEN, "NOT_HEAD", message, {"branch": branch_id})
