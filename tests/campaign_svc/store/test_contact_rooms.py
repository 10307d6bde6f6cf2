"""What customers' room for contacts is made of, read from the real tables."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from policy.contact_room import default_caps
from services.campaign_svc.domain.contact_room import ContactPolicy, ContactRoom, Instant
from services.campaign_svc.domain.contacts import Channel, Made, MessageClass
from services.campaign_svc.domain.followed import CustomerFact
from services.campaign_svc.domain.viewing import Viewer
from services.campaign_svc.store import contact_rooms, followed
from services.campaign_svc.store.imports import TABLES
from services.campaign_svc.store.personal_data import suppress_contacts
from services.campaign_svc.usecases.contacts import record_contact

LATELY = (datetime.now(UTC) - timedelta(days=40)).replace(hour=4, minute=0, second=0, microsecond=0)
SERVICE = Viewer("banyan/campaign_svc", "", frozenset({"SERVICE"}))
SCHEMAS = {table.name: table.schema for table in TABLES}


@pytest.fixture
async def bank(database: Database) -> Database:
    async with database.begin() as tx:
        await followed.store_customers(tx, [CustomerFact(name) for name in ("c1", "c2", "c3")], 1)
        await tx.execute(text("INSERT INTO products (product_id, display_name, category) VALUES ('p', 'P', 'loan')"))
    return database


async def send(database: Database, table: str, rows: list[dict[str, Any]]) -> tuple[int, int, int]:
    schema = SCHEMAS[table]
    content = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(content)

    async def chunks():
        yield sink.getvalue().to_pybytes()

    counts = await BulkImport(database, TABLES).run(table, date(2026, 6, 30), chunks())
    return counts.inserted, counts.updated, counts.unchanged


def contact(contact_id: str, customer_id: str, days: int = 0, **more: object) -> dict[str, object]:
    row = {"contact_id": contact_id, "customer_id": customer_id, "channel": "SMS", "message_class": "MARKETING"}
    return {**row, "contact_time": LATELY + timedelta(days=days), "state": "DELIVERED", **more}


async def pages(database: Database, rev: int = 0, key: str = "") -> list[tuple[int, str, Any]]:
    """Everything behind a place, read three items at a time."""
    found: list[tuple[int, str, Any]] = []
    async with database.read() as conn:
        while page := await contact_rooms.read_page(conn, rev, key, 3):
            found += page
            rev, key, _ = page[-1]
    return found


def rooms(found: list[tuple[int, str, Any]]) -> dict[str, ContactRoom]:
    return {key: item for _, key, item in found if isinstance(item, ContactRoom)}


async def test_the_first_policy_holds_the_banks_default_caps(bank: Database) -> None:
    async with bank.read() as conn:
        (first,) = await contact_rooms.page_of_policies(conn, None, 10)
        assert await contact_rooms.page_of_policies(conn, 1, 10) == []
    assert sorted(first.caps, key=lambda cap: cap.rule_id) == sorted(default_caps(), key=lambda cap: cap.rule_id)
    assert (first.version, first.consent_required) == (1, False)


async def test_a_room_tells_every_contact_and_what_speaks_against_more(bank: Database) -> None:
    await send(
        bank,
        "contacts",
        [
            contact("k1", "c1", campaign_id="m1", product_id="p", outcome="refused"),
            contact("k2", "c1", 1, channel="VISIT", message_class="SERVICE", outcome="met"),
            contact("k3", "c1", -400, channel="CALL"),
            contact("k4", "c2"),
        ],
    )
    consent = {"customer_id": "c1", "category": "ALL", "state_time": LATELY, "version": "v1", "proof": "form 7"}
    await send(
        bank,
        "consents",
        [
            {**consent, "channel": "SMS", "state": "GRANTED"},
            {**consent, "channel": "CALL", "state": "WITHDRAWN"},
        ],
    )
    await send(
        bank,
        "opt_outs",
        [
            {"customer_id": "c1", "channel": "ALL", "category": "loan", "opt_out_time": LATELY},
        ],
    )
    async with bank.read() as conn:
        room = await contact_rooms.read_room(conn, "c1")
        assert await contact_rooms.read_room(conn, "c3") == ContactRoom("c3")
    day = timedelta(days=1)
    assert list(room.instants) == [
        Instant("SMS", LATELY, "MARKETING", "loan", "m1"),
        Instant("VISIT", LATELY + day, "SERVICE"),
    ], "what is older than a year shares no window any more"
    assert room.last_contact_time == LATELY + day
    assert (room.last_campaign_id, room.last_outcome, room.last_refusal_time) == ("m1", "refused", LATELY)
    assert (room.opt_out_keys, room.consent_keys) == (("ALL/loan",), ("SMS/ALL",))
    assert room.withdrawn_consent_keys == ("CALL/ALL",)
    found = rooms(await pages(bank))
    assert set(found) == {"c1", "c2"}
    assert found["c1"] == room


async def test_the_feed_tells_policies_and_whoever_changed(bank: Database) -> None:
    await send(bank, "contacts", [contact("k1", "c1"), contact("k2", "c2")])
    begun = await pages(bank)
    assert {type(item) for _, _, item in begun} == {ContactRoom, ContactPolicy}
    assert [item.version for _, _, item in begun if isinstance(item, ContactPolicy)] == [1]
    place = begun[-1][:2]
    assert await pages(bank, *place) == []

    assert await send(bank, "contacts", [contact("k1", "c1"), contact("k2", "c2")]) == (0, 0, 2)
    assert await pages(bank, *place) == [], "an equal row tells nothing"
    await send(bank, "contacts", [contact("k1", "c1", outcome="bought")])
    assert list(rooms(await pages(bank, *place))) == ["c1"]


async def test_a_contact_that_changes_hands_tells_both(bank: Database) -> None:
    await send(bank, "contacts", [contact("k1", "c1")])
    place = (await pages(bank))[-1][:2]
    await send(bank, "contacts", [contact("k1", "c3")])
    changed = rooms(await pages(bank, *place))
    assert {key: len(room.instants) for key, room in changed.items()} == {"c1": 0, "c3": 1}


async def test_a_recorded_contact_moves_its_customer(bank: Database) -> None:
    made = Made("c2", Channel.CALL, MessageClass.MARKETING, LATELY, None, None, None)
    for count in (1, 2):
        place = max([(rev, key) for rev, key, _ in await pages(bank)], default=(0, ""))
        async with bank.begin() as tx:
            await record_contact(tx, SERVICE, made)
        assert {key: len(room.instants) for key, room in rooms(await pages(bank, *place)).items()} == {"c2": count}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("consents", {"channel": "SMS", "category": "ALL", "state": "MAYBE", "state_time": LATELY}),
        ("consents", {"channel": "FAX", "category": "ALL", "state": "GRANTED", "state_time": LATELY}),
        ("opt_outs", {"channel": "VISIT", "category": "ALL", "opt_out_time": LATELY}),
    ],
)
async def test_a_bad_consent_or_opt_out_is_refused(bank: Database, table: str, row: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        await send(bank, table, [{"customer_id": "c1", **row}])
    assert refused.value.reason == "ROW_INVALID"
    with pytest.raises(Refused) as refused:
        await send(
            bank, "opt_outs", [{"customer_id": "nobody", "channel": "SMS", "category": "ALL", "opt_out_time": LATELY}]
        )
    assert refused.value.reason == "REFERENCE_UNKNOWN"


async def test_of_the_erased_only_that_they_are_not_to_be_contacted_is_taken(bank: Database) -> None:
    async with bank.begin() as tx:
        await suppress_contacts(tx, "c1", True)  # noqa: FBT003 -- as the servicer calls it
    assert await send(bank, "contacts", [contact("k1", "c1"), contact("k2", "c2")]) == (1, 0, 1)
    at = {"channel": "SMS", "category": "loan"}
    consents = [{**at, "customer_id": one, "state": "GRANTED", "state_time": LATELY} for one in ("c1", "c2")]
    assert (await send(bank, "consents", consents))[0] == 1
    opt_outs = [{**at, "customer_id": one, "opt_out_time": LATELY} for one in ("c1", "c2")]
    assert (await send(bank, "opt_outs", opt_outs))[0] == 2
    async with bank.read() as conn:
        known = "SELECT customer_id FROM contacts UNION ALL SELECT customer_id FROM consents"
        assert set((await conn.execute(text(known))).scalars()) == {"c2"}
