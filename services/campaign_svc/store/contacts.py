"""The ledger of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.campaign_svc.domain.contacts import Channel, Contact, Made, MessageClass, State
from services.campaign_svc.store.tables import contacts


@dataclass(frozen=True)
class Wanted:
    """Which contacts of a customer are asked for; None for any."""

    customer_id: str
    channel: Channel | None = None
    contact_time_min: datetime | None = None
    contact_time_max: datetime | None = None


async def bank_now(tx: AsyncConnection) -> datetime:
    """The instant that the bank's clock shows."""
    return (await tx.execute(text("SELECT bank_now()"))).scalar_one()


async def add(tx: AsyncConnection, made: Made, actor: str, branch_id: str) -> Contact:
    """Stores a contact that was made, whatever else is known of the customer: it counts."""
    rows = await tx.execute(
        insert(contacts)
        .values(
            customer_id=made.customer_id,
            contact_time=made.contact_time,
            contact_id=str(uuid4()),
            channel=made.channel.value,
            message_class=made.message_class.value,
            state=State.ACCEPTED.value,
            product_id=made.product_id,
            campaign_id=made.campaign_id,
            outcome=made.outcome,
            actor=actor,
            branch_id=branch_id,
            create_time=text("bank_now()"),
        )
        .returning(contacts)
    )
    return _contact(rows.one())


async def get(tx: AsyncConnection, customer_id: str, contact_id: str) -> Contact | None:
    rows = await tx.execute(
        select(contacts).where(contacts.c.customer_id == customer_id, contacts.c.contact_id == contact_id)
    )
    row = rows.one_or_none()
    return None if row is None else _contact(row)


async def page(
    tx: AsyncConnection, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Contact]:
    """The customer's contacts, the youngest first, beginning after the one given."""
    query = (
        select(contacts)
        .where(contacts.c.customer_id == wanted.customer_id)
        .order_by(contacts.c.contact_time.desc(), contacts.c.contact_id.desc())
        .limit(limit)
    )
    if wanted.channel is not None:
        query = query.where(contacts.c.channel == wanted.channel.value)
    if wanted.contact_time_min is not None:
        query = query.where(contacts.c.contact_time >= wanted.contact_time_min)
    if wanted.contact_time_max is not None:
        query = query.where(contacts.c.contact_time < wanted.contact_time_max)
    if before is not None:
        query = query.where(tuple_(contacts.c.contact_time, contacts.c.contact_id) < before)
    return [_contact(row) for row in await tx.execute(query)]


def _contact(row: Row[Any]) -> Contact:
    made = Made(
        customer_id=row.customer_id,
        channel=Channel(row.channel),
        message_class=MessageClass(row.message_class),
        contact_time=row.contact_time,
        product_id=row.product_id,
        campaign_id=row.campaign_id,
        outcome=row.outcome,
    )
    return Contact(row.contact_id, made, State(row.state), row.actor, row.branch_id, row.create_time)
