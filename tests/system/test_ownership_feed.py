"""The ownership feed under fire: a follower killed at any moment ends with exactly the rows of its source."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from chassis.feed import Follower, Publisher, Wakeups
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from services.assignment_svc.rpc import convert_feed
from services.assignment_svc.store import MIGRATIONS as SOURCE_MIGRATIONS
from services.assignment_svc.store import allocation, ownership_feed, ownerships
from services.assignment_svc.usecases.allocate_changed import allocate_some
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.customer_svc.jobs.follow import store_ownership
from services.customer_svc.store import MIGRATIONS as COPY_MIGRATIONS
from services.customer_svc.store import ownership

START = date(2026, 6, 30)
CUSTOMERS = 60
NIGHTS = 4
_KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_FORGET_NIGHTS = (
    "UPDATE allocation_day SET business_date = NULL, changes_date = NULL, policy_version = 0, seen_rev = '0'"
)
_FACTS = """
INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,
  last_live_date, relation_since_date, customer_state)
SELECT 'c' || n, branch, false, false, true, 100, NULL, date '2020-01-01', 'ACTIVE'
FROM generate_series(1, :customers) AS n, unnest(ARRAY['north', 'south', 'west']) AS branch"""
# Deposits move, end and come back; who has none anywhere becomes a former customer.
_CHANGE = """
UPDATE branch_facts SET deposit_live = :live, deposit_sum_minor = CASE WHEN :live THEN :amount ELSE 0 END,
  last_live_date = CASE WHEN NOT :live THEN CAST(:ended AS date) END, rev = pg_current_xact_id()
WHERE customer_id = :customer_id AND branch_id = :branch_id"""
_THERE = "SELECT customer_id, branch_id, side, manager_id, since_date FROM owner ORDER BY 1, 2"
_HERE = "SELECT customer_id, branch_id, side, manager_id, since_date FROM owners ORDER BY 1, 2"


class Message(SimpleNamespace):
    def HasField(self, name):
        return getattr(self, name) is not None


class Bank:
    """assignment_svc's database, customer_svc's, and the feed between them."""

    def __init__(self, source: Database, copy: Database) -> None:
        self.source, self.copy = source, copy
        self.wakeups = Wakeups(None)
        self.publisher = Publisher(source, ownerships.FEED, ownership_feed.read_page, self.wakeups)

    async def open(self, token: str) -> AsyncIterator[Message]:
        async with aclosing(self.publisher.watch(token)) as pages:
            async for page in pages:
                for part in page.parts(convert_feed.change_to_wire):
                    yield Message(
                        changes=part.items,
                        resume_token=part.resume_token,
                        caught_up=part.caught_up,
                        source_time=part.source_time,
                        end=None,
                    )

    def follower(self):
        return Follower(self.copy, "ownership", self.open, store_ownership, ownership.drop_older, self.wakeups)

    async def both(self):
        async with self.source.read() as tx:
            there = (await tx.execute(text(_THERE))).all()
        async with self.copy.read() as tx:
            here = (await tx.execute(text(_HERE))).all()
        return [tuple(row) for row in there], [tuple(row) for row in here]

    async def periods(self) -> int:
        async with self.source.read() as tx:
            return (await tx.execute(text("SELECT count(*) FROM owner_period"))).scalar_one()


@pytest.fixture(scope="module")
async def databases(postgres):
    made = []
    for name, migrations in (("owners_source", SOURCE_MIGRATIONS), ("owners_copy", COPY_MIGRATIONS)):
        url = await asyncio.to_thread(postgres.create, name)
        await asyncio.to_thread(migrate, url, migrations)
        made.append(Database(url, pool=10, application=name))
    yield made
    for database in made:
        await database.close()


@pytest.fixture
async def bank(databases):
    source, copy = databases
    async with source.begin() as tx:
        await tx.execute(text("TRUNCATE branch_facts, ownership, owner, owner_period, staff_duty, changed_facts"))
        await tx.execute(text(_FORGET_NIGHTS))
        await tx.execute(text(_FACTS), {"customers": CUSTOMERS})
        await allocation.set_facts_date(tx, START)
    # Connections of the pool may have been killed by the seed before.
    async with copy.alone() as connection, connection.begin():
        await connection.execute(text("TRUNCATE owners, feed_cursor"))
    made = Bank(source, copy)
    yield made
    await made.wakeups.close()


async def goes_on(_done, _total):
    return True


async def change_some(bank: Bank, chance: random.Random, day: date) -> None:
    for _ in range(chance.choice([1, 5, 20])):
        values = {
            "customer_id": f"c{chance.randint(1, CUSTOMERS)}",
            "branch_id": chance.choice(["north", "south", "west"]),
            "live": chance.random() < 0.6,
            "amount": chance.choice([1, 100, 119, 120, 500]),
            "ended": day - timedelta(days=chance.choice([0, 1, 95])),
        }
        async with bank.source.begin() as tx:
            await tx.execute(text(_CHANGE), values)
            await tx.execute(text("INSERT INTO changed_facts VALUES (:customer_id) ON CONFLICT DO NOTHING"), values)


async def live(bank: Bank, chance: random.Random) -> date:
    """Nights, and between them facts that come within the day."""
    day = START
    for number in range(NIGHTS):
        day = START + timedelta(days=number)
        async with bank.source.begin() as tx:
            await allocation.set_facts_date(tx, day)
        await allocate_ownerships(bank.source, day, goes_on)
        await bank.wakeups.notify(ownerships.FEED)
        await change_some(bank, chance, day)
        while chance.random() < 0.7 and await bank.source.repeat(allocate_some) is not None:
            await bank.wakeups.notify(ownerships.FEED)
        await asyncio.sleep(chance.random() * 0.2)
    return day


async def follow_and_die(bank: Bank, chance: random.Random) -> None:
    while True:
        tasks = [asyncio.create_task(bank.follower().run()) for _ in range(chance.choice([1, 1, 2]))]
        try:
            await asyncio.sleep(chance.random() * 0.15)
            if chance.random() < 0.5:
                async with bank.copy.alone() as connection, connection.begin():
                    await connection.execute(text(_KILL))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.mark.soak
async def test_a_follower_that_is_killed_at_random_ends_with_the_rows_of_its_source(bank, seed):
    chance = random.Random(seed)
    dying = asyncio.create_task(follow_and_die(bank, random.Random(f"{seed}/death")))
    day = await live(bank, chance)
    dying.cancel()
    await asyncio.wait([dying])
    task = asyncio.create_task(bank.follower().run())
    try:
        async with asyncio.timeout(20):
            there, here = await bank.both()
            while there != here or not there:
                await asyncio.sleep(0.05)
                there, here = await bank.both()
    finally:
        task.cancel()
        await asyncio.wait([task])
    # The last night again, over everybody: what it finds to change was changed by facts that it had not seen.
    await allocate_ownerships(bank.source, day, goes_on, everybody=True)
    before = await bank.periods(), await bank.both()
    again = await allocate_ownerships(bank.source, day, goes_on, everybody=True)
    assert (again.counts.changed_rows, (await bank.periods(), await bank.both())) == (0, before)
