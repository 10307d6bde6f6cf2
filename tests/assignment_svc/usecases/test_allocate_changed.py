"""Facts that come within a day: whom they move, what they leave to the night, and that nobody is lost."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from chassis.feed import Wakeups
from chassis.sql.bulk import BulkCounts
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from devstack.postgres import Postgres
from services.assignment_svc.jobs.allocate_changed import allocate_changed
from services.assignment_svc.store import MIGRATIONS, allocation
from services.assignment_svc.store.imports import FACTS_SCHEMA
from services.assignment_svc.usecases import allocate_changed as module
from services.assignment_svc.usecases.allocate_changed import allocate_some
from services.assignment_svc.usecases.allocate_ownerships import Report, allocate_ownerships
from services.assignment_svc.usecases.import_rows import FeedImport

DAY = date(2024, 3, 1)
NEXT = DAY + timedelta(days=1)
CHANGES = "branch_facts_changes"


@pytest.fixture(scope="module")
async def own(postgres: Postgres) -> AsyncIterator[Database]:
    """A database where no other test's job decides."""
    url = await asyncio.to_thread(postgres.create, "changed_facts")
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    opened = Database(url, application="test")
    yield opened
    await opened.close()


@pytest.fixture
async def bank(own: Database) -> Database:
    """c1 to c9 have deposits at north, as much as 100, and are allocated there."""
    tables = "branch, branch_facts, ownership, owner, owner_period, staff_duty, changed_facts, merged_customers,"
    tables += " ownership_change, branch_alias, customer_branch_alias"
    async with own.begin() as tx:
        await tx.execute(text(f"TRUNCATE {tables}"))
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, changes_date = NULL,"
                " policy_version = 0, seen_rev = '0'"
            )
        )
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('north', 'N'), ('south', 'S')"))
    await send(own, "branch_facts", *(facts(f"c{n}", "north", 100) for n in range(1, 10)))
    await night(own)
    return own


def facts(customer_id: str, branch_id: str, amount: int | None) -> dict[str, object]:
    """Deposits at a branch; None for none any more."""
    return {
        "customer_id": customer_id,
        "branch_id": branch_id,
        "loan_live": False,
        "card_live": False,
        "deposit_live": amount is not None,
        "deposit_sum_minor": amount,
        "relation_since_date": date(2020, 1, 1),
        "last_live_date": DAY,
        "customer_state": "ACTIVE",
    }


async def send(database: Database, table: str, *rows: dict[str, object], day: date = DAY) -> BulkCounts:
    whole = pa.Table.from_pylist([{name: row.get(name) for name in FACTS_SCHEMA.names} for row in rows], FACTS_SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)

    async def chunks() -> AsyncIterator[bytes]:
        yield sink.getvalue().to_pybytes()

    return await FeedImport(database, Wakeups(None)).run(table, day, chunks())


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def night(database: Database, day: date = DAY, *, everybody: bool = False) -> Report:
    return await allocate_ownerships(database, day, goes_on, everybody=everybody)


async def all_changed(database: Database) -> int:
    """How many customers changed until nobody waits any more."""
    changed = 0
    while (counts := await database.repeat(allocate_some)) is not None:
        changed += counts.changed_customers
    return changed


async def owned(database: Database) -> set[tuple[object, ...]]:
    async with database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, branch_id, side, from_date FROM owner"))
        return {tuple(row) for row in rows}


async def refusal(database: Database, day: date) -> Refused:
    with pytest.raises(Refused) as caught:
        await send(database, CHANGES, facts("c1", "south", 7), day=day)
    return caught.value


async def test_who_is_told_of_within_the_day_is_decided_anew_and_the_night_finds_nothing_to_change(bank):
    counts = await send(bank, CHANGES, facts("c1", "south", 500), facts("c2", "north", 100), day=NEXT)
    assert (counts.inserted, counts.updated, counts.unchanged) == (1, 0, 1)
    assert await all_changed(bank) == 1
    rows = await owned(bank)
    assert {row for row in rows if row[0] == "c1"} == {
        ("c1", "south", "PRIMARY", NEXT),
        ("c1", "north", "SECONDARY", NEXT),
    }
    # Who is not told of keeps what he has: these are no whole facts.
    assert len(rows) == 10
    whole = [facts(f"c{n}", "north", 100) for n in range(1, 10)]
    await send(bank, "branch_facts", *whole, facts("c1", "south", 500), day=NEXT)
    assert (await night(bank, NEXT)).counts.changed_rows == 0
    assert await owned(bank) == rows
    async with bank.read() as conn:
        progress = await allocation.progress(conn)
        assert (progress.business_date, progress.decided_date) == (NEXT, NEXT)
        assert (await conn.execute(text("SELECT count(*) FROM owner_period"))).scalar_one() == 1


async def test_facts_within_a_day_need_the_night_before_and_a_day_that_can_be(bank):
    assert (await refusal(bank, DAY - timedelta(days=1))).reason == "BUSINESS_DATE_PAST"
    assert (await refusal(bank, DAY + timedelta(days=11))).reason == "BUSINESS_DATE_AHEAD"
    await send(bank, CHANGES, facts("c1", "south", 7), day=NEXT)
    assert (await refusal(bank, DAY)).metadata == {"last_business_date": NEXT.isoformat()}
    await send(bank, "branch_facts", *(facts(f"c{n}", "north", 100) for n in range(1, 10)), day=NEXT)
    refused = await refusal(bank, NEXT)
    assert (refused.kind, refused.reason, refused.metadata) == (
        Kind.PRECONDITION,
        "NIGHT_PENDING",
        {"facts_date": NEXT.isoformat()},
    )
    async with bank.begin() as tx:
        await tx.execute(text("UPDATE allocation_day SET business_date = NULL, changes_date = NULL"))
    assert (await refusal(bank, NEXT)).reason == "NIGHT_MISSING"


async def test_an_old_night_is_not_run_again_once_newer_facts_came(bank):
    await send(bank, CHANGES, facts("c1", "south", 500), day=NEXT)
    with pytest.raises(Refused) as caught:
        await night(bank, DAY)
    assert caught.value.reason == "BUSINESS_DATE_PAST"
    with pytest.raises(Refused):
        await send(bank, "branch_facts", facts("c1", "south", 500))


async def test_who_was_merged_is_left_to_the_night(bank):
    async with bank.begin() as tx:
        merged = (
            "INSERT INTO merged_customers (customer_id, merge_id, into_id, survivor_id) VALUES ('c1', 'm', 'c2', 'c2')"
        )
        await tx.execute(text(merged))
    rows = [facts(f"c{n}", "south", 500) for n in (1, 2, 3)]
    assert (await send(bank, CHANGES, *rows, day=NEXT)).inserted == 1
    assert await all_changed(bank) == 1


async def test_business_that_was_handed_from_branch_to_branch_is_left_to_the_night(bank):
    async with bank.begin() as tx:
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('west', 'W'), ('east', 'E')"))
        await tx.execute(text("INSERT INTO branch_alias VALUES ('west', 'north')"))
        await tx.execute(text("INSERT INTO customer_branch_alias VALUES ('c1', 'south', 'east')"))
        await tx.execute(
            text(
                "INSERT INTO ownership_change (customer_id, change_id, kind, branch_id, from_branch_id, to_branch_id,"
                " reason, actor, before) VALUES ('c2', 'm', 'BRANCH_CHANGE', 'north', 'west', 'north', 'r', 'a', '{}')"
            )
        )
    told = [("c1", "west"), ("c1", "south"), ("c1", "east"), ("c2", "north"), ("c2", "south"), ("c3", "north")]
    counts = await send(bank, CHANGES, *(facts(*place, 500) for place in told), day=NEXT)
    assert (counts.inserted, counts.updated) == (1, 1)
    assert {(row[0], row[1]) for row in await owned(bank)} >= {("c2", "north"), ("c3", "north")}
    await all_changed(bank)
    assert ("c2", "south", "PRIMARY", NEXT) in await owned(bank)
    assert all(row[1] in {"north", "south"} for row in await owned(bank))


async def test_who_was_taken_by_a_batch_that_died_waits_again(bank):
    await send(bank, CHANGES, facts("c1", "south", 500), day=NEXT)

    async def dies() -> None:
        async with bank.begin() as tx:
            assert await allocate_some(tx) is not None
            raise RuntimeError("the process died")

    with pytest.raises(RuntimeError, match="died"):
        await dies()
    assert await all_changed(bank) == 1


async def test_while_whole_facts_come_everybody_waits(bank):
    await send(bank, CHANGES, facts("c1", "south", 500), day=NEXT)
    async with bank.begin() as tx:
        await allocation.set_facts_date(tx, None)
    with pytest.raises(Refused) as caught:
        await all_changed(bank)
    assert caught.value.kind is Kind.UNAVAILABLE
    async with bank.begin() as tx:
        await allocation.set_facts_date(tx, DAY)
    assert await all_changed(bank) == 1


async def test_nobody_is_lost_between_imports_and_workers_that_work_at_once(bank, monkeypatch):
    monkeypatch.setattr(module, "BATCH_CUSTOMERS", 2)
    chance = random.Random(7)
    imported = asyncio.Event()

    async def keep_importing() -> None:
        for _ in range(12):
            told = chance.sample(range(1, 10), 4)
            amounts = [chance.choice([None, 50, 119, 120, 500]) for _ in told]
            rows = [facts(f"c{n}", "south", amount) for n, amount in zip(told, amounts, strict=True)]
            await send(bank, CHANGES, *rows, day=NEXT)
        imported.set()

    async def keep_deciding() -> None:
        while not imported.is_set():
            await all_changed(bank)
            await asyncio.sleep(0)

    await asyncio.gather(keep_importing(), keep_deciding(), keep_deciding())
    await all_changed(bank)
    async with bank.begin() as tx:
        await allocation.set_facts_date(tx, NEXT)
    assert (await night(bank, NEXT, everybody=True)).counts.changed_rows == 0


async def test_the_job_decides_within_seconds_of_the_import(bank):
    wakeups = Wakeups(None)
    working = asyncio.create_task(allocate_changed(bank, wakeups))
    await asyncio.sleep(0.2)
    await send(bank, CHANGES, facts("c1", "south", 500), day=NEXT)
    await wakeups.notify("changed_facts")
    try:
        async with asyncio.timeout(3):
            while ("c1", "south", "PRIMARY", NEXT) not in await owned(bank):  # noqa: ASYNC110 -- the database tells
                await asyncio.sleep(0.05)
    finally:
        working.cancel()
        await asyncio.wait([working])
