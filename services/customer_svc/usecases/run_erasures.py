"""Carries out approved erasures: here in one transaction, then in every other service; and keeps numbers at peace."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.engine import Database
from services.customer_svc.domain.erasure import Erasure, Part, State, erased_parts
from services.customer_svc.store import erasures, personal_data, suppressions
from services.customer_svc.usecases.erase_customer import foresee

_SUPPRESSED_AT_ONCE = 100


class Peers(Protocol):
    """The other services; each may be asked again."""

    @property
    def names(self) -> Sequence[str]: ...

    async def erase(self, service: str, customer_id: str, erasure: str, *, everything: bool) -> None: ...

    async def suppress(self, customer_id: str) -> None: ...


async def run_erasure(database: Database, peers: Peers, erasure: Erasure) -> bool:
    """Goes on with an erasure until it is done everywhere; False if it was called off meanwhile.

    What may go is decided anew: business may have begun since it was approved. Refuses for now while customers are
    imported or a service is away: what is done here stays done, and the rest is done later.
    """
    erased: Erasure | None = erasure
    if erasure.state is State.APPROVED:
        erased = await database.repeat(lambda tx: _erase_here(tx, erasure))
    if erased is None:
        return False
    async with database.read() as conn:
        customer_ids = await personal_data.ids_of(conn, erased.customer_id)
    everything = Part.RECORDS in erased_parts(erased.verdicts)
    name = f"customers/{erased.customer_id}/erasures/{erased.erasure_id}"
    for service in peers.names:
        for customer_id in customer_ids:
            await peers.erase(service, customer_id, name, everything=everything)
    async with database.begin() as tx:
        await erasures.set_done(tx, erased)
    return True


async def suppress_some(database: Database, peers: Peers) -> None:
    """Tells campaign_svc of customers who came with the number of an erased person."""
    async with database.read() as conn:
        customer_ids = await suppressions.untold(conn, _SUPPRESSED_AT_ONCE)
    for customer_id in customer_ids:
        await peers.suppress(customer_id)
        async with database.begin() as tx:
            await suppressions.told(tx, customer_id)


async def _erase_here(tx: AsyncConnection, erasure: Erasure) -> Erasure | None:
    customer_ids = await personal_data.ids_of(tx, erasure.customer_id)
    if not await personal_data.hold_still(tx, customer_ids):
        raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "customers are being imported; try again")
    found = await foresee(tx, customer_ids)
    erased = await erasures.set_erased(tx, erasure, found)
    if erased is None:
        return None
    parts = erased_parts(found)
    count = await personal_data.erase(tx, customer_ids, parts)
    detail = {"erasure": erasure.erasure_id, "parts": ",".join(sorted(parts)), "rows": str(count)}
    await audit(tx, [AuditEntry("customer_svc", "", "", "EraseCustomer", one, detail) for one in customer_ids])
    return erased
