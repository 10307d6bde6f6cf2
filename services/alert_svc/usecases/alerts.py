"""Tells a viewer his alerts, those of customers that his side owns now, and notes that he read them."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import not_found
from policy.visibility import Scope, Viewer, scope_of
from services.alert_svc.domain.viewing import Reading
from services.alert_svc.store import alerts, followed, reads
from services.alert_svc.store.alerts import Alert, Wanted


async def scope(tx: AsyncConnection, viewer: Viewer) -> Scope:
    """Whom the viewer may be told about, by the branches that are below his now."""
    return scope_of(viewer, await followed.subtree(tx, viewer.branch_id))


async def get_alert(tx: AsyncConnection, reading: Reading, alert_id: str) -> Alert:
    """One alert; refused alike if it is absent and if it is not the viewer's."""
    found = await alerts.get(tx, await scope(tx, reading.viewer), alert_id)
    if found is None:
        raise not_found()
    await reads.remember(tx, reading, {found.key.customer_id})
    return found


async def list_alerts(
    tx: AsyncConnection, reading: Reading, wanted: Wanted, after: tuple[date, str] | None, limit: int
) -> list[Alert]:
    """The viewer's alerts, the youngest business date first: a page, and one more if there is one."""
    found = await alerts.page(tx, await scope(tx, reading.viewer), wanted, after, limit + 1)
    await reads.remember(tx, reading, {alert.key.customer_id for alert in found[:limit]})
    return found


@dataclass(frozen=True)
class Watch:
    """Who watches, and whom he could see when he began."""

    reading: Reading
    scope: Scope


async def changed_alerts(
    watch: Watch, tx: AsyncConnection, rev: int, alert_id: str, limit: int
) -> list[tuple[int, str, Alert]]:
    """The viewer's alerts in the order of their change, beginning after a place."""
    found = await alerts.changed_page(tx, rev, alert_id, limit, scope=watch.scope)
    await reads.remember(tx, watch.reading, {alert.key.customer_id for _, _, alert in found})
    return found
