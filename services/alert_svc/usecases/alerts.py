"""Tells a viewer his alerts: those of customers that his side owns now."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import not_found
from policy.visibility import Scope, Viewer, scope_of
from services.alert_svc.store import alerts, followed
from services.alert_svc.store.alerts import Alert, Wanted


async def scope(tx: AsyncConnection, viewer: Viewer) -> Scope:
    """Whom the viewer may be told about, by the branches that are below his now."""
    return scope_of(viewer, await followed.subtree(tx, viewer.branch_id))


async def get_alert(tx: AsyncConnection, viewer: Viewer, alert_id: str) -> Alert:
    """One alert; refused alike if it is absent and if it is not the viewer's."""
    found = await alerts.get(tx, await scope(tx, viewer), alert_id)
    if found is None:
        raise not_found()
    return found


async def list_alerts(
    tx: AsyncConnection, viewer: Viewer, wanted: Wanted, after: tuple[date, str] | None, limit: int
) -> list[Alert]:
    """A page of the viewer's alerts, the youngest business date first."""
    return await alerts.page(tx, await scope(tx, viewer), wanted, after, limit)
