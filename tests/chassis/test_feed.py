import asyncio
import contextlib
import random
from contextlib import aclosing
from types import SimpleNamespace

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import text

from chassis.errors import Refused
from chassis.feed import Cursor, Follower, Publisher, Wakeups, renew_epoch
from chassis.sql.engine import Database, begun
from chassis.sql.testing import migrate_chassis

FEED = "items"
READ_PAGE = text(
    "SELECT rev, key, value, gone FROM item WHERE (rev, key) > (CAST(:rev AS xid8), :key)"
    " AND rev < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY rev, key LIMIT :limit"
)
PUT = text(
    "INSERT INTO item (key, value, gone) VALUES (:key, :value, :gone) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, gone = excluded.gone, rev = pg_current_xact_id()"
)


async def read_page(tx, rev, key, limit):
    rows = (await tx.execute(READ_PAGE, {"rev": rev, "key": key, "limit": limit})).all()
    return [(row.rev, row.key, (row.key, row.value, row.gone)) for row in rows]


async def store(tx, changes, generation):
    for key, value, gone in changes:
        if gone:
            await tx.execute(text("DELETE FROM copied WHERE key = :key"), {"key": key})
        else:
            await tx.execute(
                text(
                    "INSERT INTO copied VALUES (:key, :value, :generation) ON CONFLICT (key)"
                    " DO UPDATE SET value = excluded.value, generation = excluded.generation"
                ),
                {"key": key, "value": value, "generation": generation},
            )


async def drop(tx, generation):
    await tx.execute(text("DELETE FROM copied WHERE generation < :generation"), {"generation": generation})


class Message(SimpleNamespace):
    def HasField(self, name):
        return getattr(self, name) is not None


class Bank:
    """A service that publishes, another that follows, each with a database of its own."""

    def __init__(self, source, copy, valkey_url):
        self.source, self.copy = source, copy
        self.source_wakeups, self.wakeups = Wakeups(valkey_url), Wakeups(valkey_url)
        self.publisher = Publisher(source, FEED, read_page, self.source_wakeups)
        self.opened = []

    async def put(self, key, value, *, gone=False):
        async with self.source.begin() as tx:
            await tx.execute(PUT, {"key": key, "value": value, "gone": gone})
        await self.wakeups.notify(FEED)

    async def open(self, token):
        self.opened.append(token)
        async with aclosing(self.publisher.watch(token)) as pages:
            async for page in pages:
                yield Message(
                    changes=page.items,
                    resume_token=page.resume_token,
                    caught_up=page.caught_up,
                    source_time=page.source_time,
                    end=None,
                )

    def follower(self):
        return Follower(self.copy, FEED, self.open, store, drop, self.wakeups)

    async def both(self):
        async with self.source.read() as tx:
            there = (await tx.execute(text("SELECT key, value FROM item WHERE NOT gone ORDER BY key"))).all()
        async with self.copy.read() as tx:
            here = (await tx.execute(text("SELECT key, value FROM copied ORDER BY key"))).all()
        return there, here

    async def are_equal(self, seconds=15.0):
        until = asyncio.get_running_loop().time() + seconds
        there, here = await self.both()
        while there != here and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
            there, here = await self.both()
        assert here == there


@pytest.fixture(scope="module")
async def databases(postgres):
    made = []
    for name in ("feed_source", "feed_copy"):
        url = await asyncio.to_thread(postgres.create, name)
        await asyncio.to_thread(migrate_chassis, url)
        made.append(Database(url, pool=20, application=name))
    yield made
    for database in made:
        await database.close()


@pytest.fixture
async def bank(databases, valkey_url):
    source, copy = databases
    async with source.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS item"))
        await tx.execute(
            text(
                "CREATE TABLE item (key text PRIMARY KEY, value integer NOT NULL, gone boolean NOT NULL,"
                " rev xid8 NOT NULL DEFAULT pg_current_xact_id())"
            )
        )
        await tx.execute(text("CREATE INDEX ON item (rev, key)"))
    # Connections of the pool may have been killed by the test before.
    async with copy.alone() as connection, begun(connection) as tx:
        await tx.execute(text("DROP TABLE IF EXISTS copied"))
        await tx.execute(text("CREATE TABLE copied (key text PRIMARY KEY, value integer, generation integer)"))
        await tx.execute(text("DELETE FROM feed_cursor"))
    bank = Bank(source, copy, valkey_url)
    yield bank
    await bank.source_wakeups.close()
    await bank.wakeups.close()


@pytest.fixture
async def running():
    tasks = []

    def run(follower):
        tasks.append(asyncio.create_task(follower.run()))
        return tasks[-1]

    yield run
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def test_the_first_page_comes_at_once_without_items(bank):
    async with asyncio.timeout(1), aclosing(bank.publisher.watch("")) as pages:
        page = await anext(pages)
    assert (list(page.items), page.caught_up) == ([], True)
    assert Cursor.parse(page.resume_token).rev == 0


async def test_a_watch_goes_on_where_its_token_ended(bank):
    for n in range(3):
        await bank.put(f"k{n}", n)
    async with aclosing(bank.publisher.watch("")) as pages:
        first = await anext(pages)
    await bank.put("k1", 7)
    async with aclosing(bank.publisher.watch(first.resume_token)) as pages:
        second = await anext(pages)
    assert [item[0] for item in first.items] == ["k0", "k1", "k2"]
    assert list(second.items) == [("k1", 7, False)]


async def test_a_page_of_large_items_is_sent_in_parts_that_can_be_resumed(bank):
    async with bank.source.begin() as tx:
        await tx.execute(text("INSERT INTO item SELECT 'k' || n, n, false FROM generate_series(1, 5) AS n"))

    def to_wire(item):
        return StringValue(value=item[0] + "x" * 900_000)

    async with aclosing(bank.publisher.watch("")) as pages:
        page = await anext(pages)
    parts = list(page.parts(to_wire))
    assert [len(part.items) for part in parts] == [2, 2, 1]
    assert [part.caught_up for part in parts] == [False, False, page.caught_up]
    assert parts[-1].resume_token == page.resume_token
    async with aclosing(bank.publisher.watch(parts[0].resume_token)) as pages:
        assert [item[0] for item in (await anext(pages)).items] == ["k3", "k4", "k5"]


async def test_a_heartbeat_is_one_part(bank):
    async with aclosing(bank.publisher.watch("")) as pages:
        page = await anext(pages)
    assert [(list(part.items), part.resume_token) for part in page.parts(StringValue)] == [([], page.resume_token)]


async def test_a_watch_from_now_tells_only_what_is_to_come(bank):
    await bank.put("old", 1)
    async with aclosing(bank.publisher.watch(await bank.publisher.now())) as pages:
        assert list((await anext(pages)).items) == []
        await bank.put("new", 2)
        assert list((await anext(pages)).items) == [("new", 2, False)]


@pytest.mark.parametrize("token", ["x", "e30", "W10", "WyJhIiwxLC01LCIiXQ", "é", "A" * 2000])
async def test_a_token_that_is_none_is_refused(bank, token):
    with pytest.raises(Refused) as refused:
        await anext(bank.publisher.watch(token))
    assert refused.value.violations[0].field == "resume_token"


async def test_a_change_reaches_a_waiting_watcher_soon(bank):
    async with aclosing(bank.publisher.watch("")) as pages:
        await anext(pages)
        await asyncio.sleep(1)  # it polls rarely now
        began = asyncio.get_running_loop().time()
        await bank.put("k", 1)
        assert (await anext(pages)).items
    assert asyncio.get_running_loop().time() - began < 0.5


async def test_without_valkey_a_change_arrives_a_little_later(databases, bank):
    alone = Publisher(databases[0], FEED, read_page, Wakeups("redis://127.0.0.1:1"))
    async with asyncio.timeout(5), aclosing(alone.watch("")) as pages:
        await anext(pages)
        await bank.put("k", 1)
        assert (await anext(pages)).items
    await alone._wakeups.close()


async def test_more_than_a_page_comes_in_pages(bank):
    async with bank.source.begin() as tx:
        await tx.execute(text("INSERT INTO item SELECT 'k' || n, n, false FROM generate_series(1, 4500) AS n"))
    sizes, ends = [], []
    async with aclosing(bank.publisher.watch("")) as pages:
        async for page in pages:
            sizes.append(len(page.items))
            ends.append(page.caught_up)
            if page.caught_up:
                break
    assert sizes == [2000, 2000, 500]
    assert ends == [False, False, True]


async def test_watchers_who_wait_together_share_their_polls(bank):
    reads = 0

    async def counted(tx, rev, key, limit):
        nonlocal reads
        reads += 1
        return await read_page(tx, rev, key, limit)

    publisher = Publisher(bank.source, FEED, counted, bank.wakeups)
    watches = [publisher.watch("") for _ in range(50)]
    await asyncio.gather(*(anext(watch) for watch in watches))
    reads = 0
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0.1)
    await bank.put("k", 1)
    await asyncio.gather(*waiting)
    assert reads <= 5
    for watch in watches:
        await watch.aclose()
    assert publisher._beating is None


async def test_a_long_transaction_delays_but_loses_nothing(bank, running):
    running(bank.follower())
    async with bank.source.begin() as tx:
        await tx.execute(PUT, {"key": "slow", "value": 1, "gone": False})
        await bank.put("fast", 2)
        await asyncio.sleep(0.5)
        assert (await bank.both())[1] == []
    await bank.are_equal(5)
    assert len((await bank.both())[1]) == 2


async def test_a_new_epoch_makes_followers_drop_what_the_source_lacks(bank, running):
    for n in range(3):
        await bank.put(f"k{n}", n)
    task = running(bank.follower())
    await bank.are_equal()
    # As if restored from a backup: a row is gone without a tombstone.
    async with bank.source.begin() as tx:
        await tx.execute(text("DELETE FROM item WHERE key = 'k1'"))
    await renew_epoch(bank.source)
    await bank.are_equal()
    assert not task.done()
    async with bank.copy.read() as tx:
        rows = (await tx.execute(text("SELECT generation, settled FROM feed_cursor"))).all()
        generations = (await tx.execute(text("SELECT DISTINCT generation FROM copied"))).scalars().all()
    assert rows == [(2, True)]
    assert generations == [2]


async def test_another_server_is_a_new_epoch_and_its_rows_are_readable(bank, running):
    await bank.put("k0", 0)
    running(bank.follower())
    await bank.are_equal()
    async with bank.source.begin() as tx:
        await tx.execute(text("UPDATE feed_epoch SET server = 'the old one'"))
        await tx.execute(text("UPDATE item SET rev = '9000000000', value = 5"))
    await bank.are_equal()
    async with bank.source.read() as tx:
        assert (await tx.execute(text("SELECT max(rev) < '9000000000' FROM item"))).scalar_one()


async def test_rows_of_the_new_epoch_that_are_still_held_back_are_not_dropped(bank, running):
    await bank.put("k0", 0)
    running(bank.follower())
    await bank.are_equal()
    async with bank.source.begin() as tx:
        await tx.execute(text("SELECT pg_current_xact_id()"))
        await bank.put("k0", 1)
        await renew_epoch(bank.source)
        await asyncio.sleep(3)  # longer than the idle poll
        assert (await bank.both())[1] == [("k0", 0)]
    await bank.are_equal()


async def test_of_two_leaders_one_stores(bank, running):
    for _ in range(2):
        running(bank.follower())
    for n in range(50):
        await bank.put(f"k{n % 7}", n)
    await bank.are_equal()


async def test_lag_is_known_to_those_who_do_not_follow(bank, running):
    running(bank.follower())
    await bank.put("k", 1)
    await bank.are_equal()
    other = bank.follower()
    async with bank.copy.begin() as tx:
        await tx.execute(text("UPDATE feed_cursor SET caught_up_time = clock_timestamp() - interval '11 minutes'"))
    await other._observe_once()
    assert 650 < other.lag_seconds < 670
    assert "behind" in other.not_ready()
    await bank.put("k", 2)
    await bank.are_equal()
    await other._observe_once()
    assert other.lag_seconds < 5
    assert other.not_ready() is None


@pytest.mark.soak
async def test_a_follower_that_is_killed_at_random_ends_equal_to_its_source(bank, seed):
    chance = random.Random(seed)
    writing = [asyncio.create_task(write(bank, random.Random(f"{seed}/{n}"), n)) for n in range(8)]
    killing = asyncio.create_task(follow_and_die(bank, chance))
    await asyncio.gather(*writing)
    killing.cancel()
    await asyncio.wait([killing])
    task = asyncio.create_task(bank.follower().run())
    try:
        await bank.are_equal(20)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert len((await bank.both())[1]) > 10


async def write(bank, chance, number):
    for _ in range(40):
        with contextlib.suppress(InterruptedError):
            await put_some(bank, chance, number)
        await bank.wakeups.notify(FEED)


async def put_some(bank, chance, number):
    keys = sorted(f"k{chance.randrange(60):02}" for _ in range(chance.choice([1, 1, 2, 5])))
    async with bank.source.begin() as tx:
        for key in keys:
            value = number * 1_000_000 + chance.randrange(1_000_000)
            await tx.execute(PUT, {"key": key, "value": value, "gone": chance.random() < 0.2})
            await asyncio.sleep(chance.random() * 0.02)
        if chance.random() < 0.1:
            # Some give up: what they wrote never was.
            raise InterruptedError


async def follow_and_die(bank, chance):
    while True:
        tasks = [asyncio.create_task(bank.follower().run()) for _ in range(chance.choice([1, 1, 2]))]
        try:
            await asyncio.sleep(chance.random() * 0.4)
            if chance.random() < 0.5:
                async with bank.copy.alone() as connection, connection.begin():
                    await connection.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )
                    )
                await asyncio.sleep(chance.random() * 0.2)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
