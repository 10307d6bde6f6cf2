"""Contacts are counted, and permissions known, from what stands beside the figures."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from banyan.campaign.v1 import contact_pb2
from sqlalchemy import select, text

from services.customer_svc.domain.conditions import ContactCondition, ContactCount, Permission
from services.customer_svc.domain.contact_room import ContactRoom, Instant
from services.customer_svc.store import contact_conditions, contact_rooms
from services.customer_svc.store.tables_search import customer_search

NOW = datetime(2026, 6, 30, 8, tzinfo=UTC)
CHANNELS = [each.name.removeprefix("CHANNEL_") for each in contact_pb2.Channel.DESCRIPTOR.values if each.number]


def contact(channel: str, hours: float, *, other_person: bool = False) -> Instant:
    return Instant(channel, NOW - timedelta(hours=hours), other_person=other_person)


async def put(bank, *rooms: ContactRoom, generation: int = 1) -> None:
    async with bank.database.begin() as tx:
        await contact_rooms.put_contact_rooms(tx, rooms, generation)


async def found(bank, *counts: ContactCount, **wanted) -> list[str]:
    condition = ContactCondition(counts=counts, now=NOW, **wanted)
    fulfilled = select(customer_search.c.customer_id).where(contact_conditions.contacts_hold(condition))
    async with bank.database.read() as conn:
        return sorted((await conn.execute(fulfilled)).scalars())


async def places(bank) -> list[tuple[object, ...]]:
    columns = text("SELECT customer_id, cardinality(contact_places), last_contact_time FROM customer_search ORDER BY 1")
    async with bank.database.read() as conn:
        return [tuple(row) for row in await conn.execute(columns)]


@pytest.mark.parametrize("channel", CHANNELS)
async def test_contacts_of_each_channel_are_counted_within_the_days(bank, channel) -> None:
    await bank.load("customers", [{"customer_id": one} for one in ("c1", "c2", "c3")])
    another = CHANNELS[CHANNELS.index(channel) - 1]
    few = [contact(channel, 24), contact(channel, 23.9), contact(channel, 0), contact(channel, -0.1)]
    others = [contact(another, 1), contact(channel, 1, other_person=True)]
    await put(bank, ContactRoom("c1", instants=few), ContactRoom("c2", instants=others))
    assert await found(bank, ContactCount(1, (channel,), low=2, high=2)) == ["c1"]
    assert await found(bank, ContactCount(1, (channel,), high=1)) == ["c2", "c3"]
    assert await found(bank, ContactCount(2, (channel, another), low=1)) == ["c1", "c2"]
    assert await found(bank, ContactCount(2, low=3)) == ["c1"]
    assert await found(bank, ContactCount(2, high=0)) == ["c3"]


async def test_what_was_consented_and_withdrawn_is_known_here(bank) -> None:
    await bank.load("customers", [{"customer_id": one} for one in ("c1", "c2", "c3")])
    given, taken = ContactRoom("c1", consent_keys=["ALL/ALL"]), ContactRoom("c2", opt_out_keys=["SMS/ALL"])
    withdrawn = ContactRoom("c3", consent_keys=["ALL/ALL"], withdrawn_consent_keys=["SMS/WEALTH"])
    await put(bank, given, taken, withdrawn)
    assert await found(bank, consents=(Permission("SMS", "WEALTH"),)) == ["c1"]
    assert await found(bank, opt_outs=(Permission("SMS", "WEALTH"),)) == ["c2"]


async def test_contacts_are_here_whichever_comes_first_and_go_with_the_room(bank) -> None:
    rooms = [ContactRoom(one, instants=[contact("SMS", 1)], last_contact_time=NOW) for one in ("c1", "c2")]
    await put(bank, *rooms)
    await bank.load("customers", [{"customer_id": "c1"}])
    assert await places(bank) == [("c1", 1, NOW)]
    await bank.load("customers", [{"customer_id": "c2"}])
    await put(bank, ContactRoom("c1", gone=True), ContactRoom("c2", instants=[]), generation=2)
    assert await places(bank) == [("c1", None, None), ("c2", None, None)]
    await put(bank, *rooms, generation=2)
    async with bank.database.begin() as tx:
        await contact_rooms.drop_older(tx, 3)
    assert await places(bank) == [("c1", None, None), ("c2", None, None)]


async def test_who_is_added_while_his_contacts_are_written_has_them_in_the_end(bank) -> None:
    async with bank.database.begin() as tx:
        await contact_rooms.put_contact_rooms(tx, [ContactRoom("c1", instants=[contact("SMS", 1)])], 1)
        adding = asyncio.create_task(bank.load("customers", [{"customer_id": "c1"}], date(2026, 6, 30)))
        await asyncio.sleep(0.3)
        assert not adding.done(), "it waits for who writes contacts"
    await adding
    assert await places(bank) == [("c1", 1, None)]
