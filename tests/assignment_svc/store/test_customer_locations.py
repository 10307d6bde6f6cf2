"""Places of customers, as the feed tells them."""

import math
from collections.abc import AsyncIterator
from datetime import date

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.domain.geography import Place
from services.assignment_svc.store import customer_locations
from services.assignment_svc.usecases.import_rows import FeedImport


@pytest.fixture
async def tables(database: Database):
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE customer_locations, merged_customers"))
        await tx.execute(
            text(
                "INSERT INTO merged_customers (customer_id, survivor_id, into_id, merge_id) VALUES ('t', 's', 's', 'm')"
            )
        )
    yield database
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE customer_locations, merged_customers"))


async def send(database: Database, *rows: tuple[str, float | None, float | None]):
    async def chunks() -> AsyncIterator[bytes]:
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        batch = pa.record_batch(columns, schema=customer_locations.SCHEMA)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield sink.getvalue().to_pybytes()

    return await FeedImport(database, Wakeups(None)).run("customer_locations", date(2026, 6, 30), chunks())


async def test_places_are_stored_changed_and_found_under_the_survivors_id(tables: Database) -> None:
    counts = await send(tables, ("a", 26.074512, 119.296389), ("b", -90, 180), ("t", 1, 2))
    assert counts.inserted == 3
    counts = await send(tables, ("a", 26.074512, 119.296389), ("b", 0, -180))
    assert (counts.inserted, counts.updated) == (0, 1)
    async with tables.read() as conn:
        found = await customer_locations.of_customers(conn, ["a", "b", "s", "t", "x"])
    assert found == {"a": Place(26.074512, 119.296389), "b": Place(0, -180), "s": Place(1, 2)}


@pytest.mark.parametrize(
    ("latitude", "longitude", "field"),
    [
        (90.001, 0, "latitude"),
        (0, -180.5, "longitude"),
        (math.nan, 0, "latitude"),
        (0, math.inf, "longitude"),
        (None, 0, "latitude"),
    ],
)
async def test_a_place_off_the_globe_is_refused_by_row_and_nothing_is_stored(
    tables, latitude, longitude, field
) -> None:
    with pytest.raises(Refused) as caught:
        await send(tables, ("a", 1, 2), ("b", latitude, longitude))
    assert [one.field for one in caught.value.violations] == [f"rows[1].{field}"]
    async with tables.read() as conn:
        assert not await customer_locations.of_customers(conn, ["a", "b"])
