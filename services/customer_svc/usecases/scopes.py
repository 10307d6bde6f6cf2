"""Whom a viewer may see, by the tree of branches as it is known here."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.viewing import CountScope, Scope, Viewer, count_scope_of, scope_of
from services.customer_svc.store import org

_SEE_SUBTREE = frozenset({"BRANCH_HEAD", "MARKETER"})


async def read_scope(conn: AsyncConnection, viewer: Viewer) -> Scope:
    """Whom a viewer may see by name."""
    return scope_of(viewer, await _subtree(conn, viewer), await org.covered(conn, viewer.staff_id))


async def read_count_scope(conn: AsyncConnection, viewer: Viewer) -> CountScope:
    """Whom a viewer may count."""
    return count_scope_of(viewer, await _subtree(conn, viewer), await org.covered(conn, viewer.staff_id))


async def _subtree(conn: AsyncConnection, viewer: Viewer) -> frozenset[str]:
    if viewer.roles & _SEE_SUBTREE:
        return await org.subtree(conn, viewer.branch_id)
    return frozenset({viewer.branch_id})
