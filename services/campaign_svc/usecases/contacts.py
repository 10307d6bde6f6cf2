"""Records and tells contacts, for those who may see the customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, not_found
from policy.visibility import Level, Scope, Viewer, scope_of
from services.campaign_svc.domain.contacts import Contact, Made, lies_ahead, shown_to
from services.campaign_svc.domain.viewing import Reading
from services.campaign_svc.store import contact_rooms, contacts, followed, products, reads
from services.campaign_svc.store.contacts import Wanted


async def record_contact(tx: AsyncConnection, viewer: Viewer, made: Made) -> Contact:
    """Stores a contact that was made: always, and it counts. Only a time to come and an unknown product are refused."""
    await must_see(tx, viewer, made.customer_id)
    if lies_ahead(made, await contacts.bank_now(tx)):
        message = "contact.contact_time lies more than five minutes ahead of the bank's clock"
        raise Refused(Kind.INVALID, "CONTACT_TIME_AHEAD", message)
    if made.product_id is not None and await products.get(tx, made.product_id) is None:
        metadata = {"field": "contact.product", "value": made.product_id}
        raise Refused(Kind.INVALID, "REFERENCE_UNKNOWN", "contact.product: there is no such product", metadata)
    await contact_rooms.touch(tx, [made.customer_id])
    return await contacts.add(tx, made, viewer.staff_id, viewer.branch_id)


async def get_contact(tx: AsyncConnection, reading: Reading, customer_id: str, contact_id: str) -> Contact:
    """One contact of a customer whom the viewer sees."""
    sight = await must_see(tx, reading.viewer, customer_id)
    found = await contacts.get(tx, customer_id, contact_id)
    if found is None:
        raise not_found()
    await reads.remember(tx, reading, {customer_id})
    return shown_to(found, sight.level, sight.own_branch_id)


async def list_contacts(
    tx: AsyncConnection, reading: Reading, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Contact]:
    """The contacts of a customer whom the viewer sees, the youngest first: a page, and one more if there is one."""
    sight = await must_see(tx, reading.viewer, wanted.customer_id)
    await reads.remember(tx, reading, {wanted.customer_id})
    found = await contacts.page(tx, wanted, before, limit + 1)
    return [shown_to(contact, sight.level, sight.own_branch_id) for contact in found]


@dataclass(frozen=True)
class Sight:
    """What the viewer is to a customer, and at which branch."""

    level: Level
    own_branch_id: str | None


async def read_scope(tx: AsyncConnection, viewer: Viewer) -> Scope:
    """Whom a viewer may see, by his branch and by whom he covers today."""
    return scope_of(viewer, await followed.subtree(tx, viewer.branch_id), await followed.covered(tx, viewer.staff_id))


async def must_see(tx: AsyncConnection, viewer: Viewer, customer_id: str) -> Sight:
    """Refuses alike a customer who is absent and one of whom the viewer may know no more than that he exists."""
    rows = await followed.owner_rows(tx, customer_id)
    scope = await read_scope(tx, viewer)
    level = scope.level(rows)
    if level < Level.SECONDARY or not await followed.is_customer(tx, customer_id):
        raise not_found()
    return Sight(level, scope.own_branch_id(rows))
