"""Tells what a customer's room for contacts is made of, to those who may see the customer."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.campaign_svc.domain.contact_room import ContactRoom, seen_room
from services.campaign_svc.domain.viewing import Reading
from services.campaign_svc.store import contact_rooms, reads
from services.campaign_svc.usecases.contacts import must_see


async def get_contact_room(tx: AsyncConnection, reading: Reading, customer_id: str) -> ContactRoom:
    """What the room is made of now, as far as the viewer may see it; the read is noted."""
    sight = await must_see(tx, reading.viewer, customer_id)
    await reads.remember(tx, reading, {customer_id})
    return seen_room(await contact_rooms.read_room(tx, customer_id), sight.level)
