"""Making one customer of two in campaign_svc, and two again."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
from sqlalchemy import text

from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.store.imports import CONSENT_SCHEMA, CONTACT_SCHEMA, TABLES
from services.campaign_svc.usecases.merge_contacts import merge_contacts, undo_merge_contacts

ONE = Merging("m1", "s", "t")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
STORED = ("contacts", "consents", "opt_outs", "tasks")


async def put(database: Database, table: str, *rows: dict[str, object]) -> None:
    async with database.begin() as tx:
        for row in rows:
            asked = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
            await tx.execute(text(f"{asked} ON CONFLICT DO NOTHING"), row)


def contact(customer_id: str, contact_id: str, at: datetime = NOW) -> dict[str, object]:
    row: dict[str, object] = {"customer_id": customer_id, "contact_time": at, "contact_id": contact_id}
    return row | {"channel": "SMS", "message_class": "MARKETING", "state": "DELIVERED"}


def consent(customer_id: str, state: str, at: datetime = NOW, channel: str = "SMS") -> dict[str, object]:
    row: dict[str, object] = {"customer_id": customer_id, "channel": channel, "category": "ALL", "state": state}
    return row | {"state_time": at}


async def rows(database: Database, asked: str) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(asked))]


async def images(database: Database) -> list[tuple[object, ...]]:
    return await rows(
        database, " UNION ALL ".join(f"SELECT to_jsonb(x)::text FROM {one} x" for one in STORED) + " ORDER BY 1"
    )


async def undo(database: Database, one: Merging = ONE) -> None:
    await database.repeat(lambda tx: undo_merge_contacts(tx, one))


async def test_counts_are_sums_and_one_message_counts_once(database: Database) -> None:
    await put(database, "contacts", contact("s", "c1"), contact("t", "c2"), contact("s", "c3"), contact("t", "c3"))
    counts = await merge_contacts(database, ONE, validate_only=True)
    assert counts["contacts"] == 2
    assert len(await rows(database, "SELECT 1 FROM contacts WHERE customer_id = 't'")) == 2
    await merge_contacts(database, ONE, validate_only=False)
    assert await merge_contacts(database, ONE, validate_only=False) == {}
    assert await rows(database, "SELECT customer_id, contact_id FROM contacts ORDER BY 2") == [
        ("s", "c1"),
        ("s", "c2"),
        ("s", "c3"),
    ]
    async with database.read() as conn:
        assert len((await contact_rooms.read_room(conn, "s")).instants) == 3
    assert await rows(database, "SELECT customer_id, gone FROM contact_rooms ORDER BY 1") == [("s", False), ("t", True)]


async def test_the_stricter_consent_holds_and_every_opt_out(database: Database) -> None:
    await put(database, "consents", consent("s", "GRANTED", NOW), consent("t", "WITHDRAWN", NOW - timedelta(days=9)))
    await put(database, "consents", consent("t", "GRANTED", channel="CALL"))
    blocked: dict[str, object] = {"channel": "SMS", "opt_out_time": NOW}
    await put(database, "opt_outs", blocked | {"customer_id": "s", "category": "loan"})
    await put(database, "opt_outs", blocked | {"customer_id": "t", "category": "wealth"})
    before = await images(database)
    await merge_contacts(database, ONE, validate_only=False)
    assert await rows(database, "SELECT customer_id, channel, state FROM consents ORDER BY 2") == [
        ("s", "CALL", "GRANTED"),
        ("s", "SMS", "WITHDRAWN"),
    ]
    async with database.read() as conn:
        assert (await contact_rooms.read_room(conn, "s")).opt_out_keys == ("SMS/loan", "SMS/wealth")
    await undo(database)
    assert await images(database) == before


async def test_merge_and_undo_are_the_identity(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(30):
        who = chance.choice("stu")
        at = NOW - timedelta(days=chance.randrange(3))
        message = chance.randrange(20)
        await put(database, "contacts", contact(who, f"c{message}", NOW - timedelta(days=message)))
        await put(database, "consents", consent(who, chance.choice(["GRANTED", "WITHDRAWN"]), at, f"ch{number % 4}"))
        opt_out: dict[str, object] = {"customer_id": who, "channel": "SMS", "category": f"k{number % 3}"}
        await put(database, "opt_outs", opt_out | {"opt_out_time": at})
    before = await images(database)
    await merge_contacts(database, ONE, validate_only=False)
    between = await images(database)
    later = Merging("m2", "u", "s")
    await merge_contacts(database, later, validate_only=False)
    assert await rows(database, "SELECT DISTINCT customer_id FROM contacts") == [("u",)]
    await undo(database, later)
    assert await images(database) == between
    await undo(database)
    await undo(database)
    assert await images(database) == before


async def send(database: Database, table: str, schema: pa.Schema, *told: dict[str, object]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        sink = pa.BufferOutputStream()
        whole = [dict.fromkeys(schema.names) | row for row in told]
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(pa.Table.from_pylist(whole, schema=schema))
        yield sink.getvalue().to_pybytes()

    await BulkImport(database, TABLES).run(table, date(2026, 6, 1), chunks())


async def test_what_sources_tell_under_the_old_id_is_the_survivors(database: Database) -> None:
    await put(database, "customers", {"customer_id": "s", "generation": 1})
    await merge_contacts(database, ONE, validate_only=False)
    await send(database, "contacts", CONTACT_SCHEMA, contact("t", "c1"), contact("s", "c2"))
    told = [consent("t", "WITHDRAWN", NOW), consent("s", "GRANTED", NOW)]
    await send(database, "consents", CONSENT_SCHEMA, *told)
    assert await rows(database, "SELECT DISTINCT customer_id FROM contacts") == [("s",)]
    assert await rows(database, "SELECT customer_id, state FROM consents") == [("s", "WITHDRAWN")]


async def test_contacts_made_since_stay_with_the_survivor(database: Database) -> None:
    await put(database, "contacts", contact("t", "c1"))
    await merge_contacts(database, ONE, validate_only=False)
    await put(database, "contacts", contact("s", str(uuid4()), NOW + timedelta(days=1)))
    await undo(database)
    assert await rows(database, "SELECT customer_id FROM contacts ORDER BY 1") == [("s",), ("t",)]
