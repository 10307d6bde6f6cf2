"""Tells a viewer his alerts, those of customers that his side owns now, and notes that he read them."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.errors import not_found
from chassis.sql.engine import Database
from policy.visibility import Level, Scope, Viewer, scope_of
from services.alert_svc.domain.viewing import Reading
from services.alert_svc.store import alerts, followed, reads
from services.alert_svc.store.alerts import Alert, Wanted

# Branches hardly ever move in the tree; a watch would else ask for each message.
SCOPE_SECONDS = 5.0


async def scope(tx: AsyncConnection, viewer: Viewer) -> Scope:
    """Whom the viewer may be told about, by the branches that are below his now, and whom he covers today."""
    return scope_of(viewer, await followed.subtree(tx, viewer.branch_id), await followed.covered(tx, viewer.staff_id))


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


class Watch:
    """One viewer who watches: whom he may be told about, looked up anew every few seconds."""

    def __init__(self, database: Database, reading: Reading) -> None:
        self._database = database
        self._reading = reading
        self._scope = Scope("")
        self._scope_until = 0.0

    async def shown(self, changed: Sequence[Alert | None]) -> list[Alert]:
        """What of these he is told now; it is noted that he was."""
        if not changed:
            return []
        scope = await self._current_scope()
        told = [alert for alert in changed if alert is not None and scope.level([alert.owner]) >= Level.SECONDARY]
        if told:
            async with self._database.read() as tx:
                await reads.remember(tx, self._reading, {alert.key.customer_id for alert in told})
        return told

    async def _current_scope(self) -> Scope:
        now = clock.monotonic_seconds()
        if now >= self._scope_until:
            async with self._database.read() as tx:
                self._scope = await scope(tx, self._reading.viewer)
            self._scope_until = now + SCOPE_SECONDS
        return self._scope
