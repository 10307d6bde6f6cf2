"""Items per second of a follower that starts from nothing: ownership, from assignment_svc's database to customer_svc's.

All of it is real: pages read from the source, its messages over gRPC from another process, pages stored with the cursor
in one transaction. The limit is the same rows between the same tables by psql alone, COPY out and COPY in.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from statistics import median
from typing import Any

import grpc
import uvloop
from banyan.assignment.v1 import ownership_service_pb2 as pb
from banyan.assignment.v1 import ownership_service_pb2_grpc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import servers
from bench.results import Result
from chassis.feed import Follower, Wakeups
from chassis.sql.engine import Database
from chassis.testing import SignedIn
from devstack.home import Home
from devstack.postgres import Postgres
from services.assignment_svc.store import MIGRATIONS as SOURCE_MIGRATIONS
from services.customer_svc.jobs.follow import store_ownership
from services.customer_svc.store import MIGRATIONS as TARGET_MIGRATIONS
from services.customer_svc.store import ownership

ROUNDS = 2
ITEMS = 200_000
SOURCE, TARGET = "bench_source", "bench_target"
_FILL = (
    """
INSERT INTO ownership (customer_id, state, business_date)
SELECT 'C' || lpad(n::text, 8, '0'), 'LIVE', date '2026-06-30' FROM generate_series(1, {items}) AS n""",
    # Half of the customers have a secondary branch.
    """
INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, basis, amount_minor, held_by_margin, since_date,
  from_date, actor)
SELECT 'C' || lpad(n::text, 8, '0'), 'B' || lpad(((n + k * 67) % 200)::text, 4, '0'),
  CASE k WHEN 0 THEN 'PRIMARY' ELSE 'SECONDARY' END, CASE k WHEN 0 THEN 'LOAN' ELSE 'SECONDARY' END,
  'S' || lpad((n % 2000)::text, 5, '0'), 'L' || n, n * 100, false, date '2026-06-30', date '2026-06-30', 'allocation'
FROM generate_series(1, {items}) AS n, generate_series(0, n % 2) AS k""",
    "ANALYZE ownership, owner",
)
_ROWS = "SELECT customer_id, branch_id, side, manager_id, since_date, 1 FROM owner ORDER BY customer_id, branch_id"


def measure(rounds: int = ROUNDS, items: int = ITEMS) -> list[Result]:
    """An item is a customer with all his rows, one or two here."""
    with servers.home() as home, servers.postgres_of(home) as server:
        SignedIn(home.root / "keys")
        source = servers.database(server, SOURCE, SOURCE_MIGRATIONS)
        target = servers.database(server, TARGET, TARGET_MIGRATIONS)
        server.sql(*(statement.format(items=items) for statement in _FILL), database=SOURCE)
        port = home.port("feed-source")
        spec = servers.serving(home, "feed-source", port, "bench.feed_source", source, home.short, port)
        with servers.running([spec], home):
            pairs = [
                (_by_psql(home, server, items), uvloop.run(_by_follower(home, target, port, items)))
                for _ in range(rounds)
            ]
    limit, value = (median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = median(followed / bare for bare, followed in pairs)
    return [Result("feed_follow", value, "items/s", limit, ratio, "limit: psql COPY out and COPY in")]


def _by_psql(home: Home, server: Postgres, items: int) -> float:
    server.sql("TRUNCATE owners", database=TARGET)
    file = home.root / "owners.csv"
    begin = time.perf_counter()
    server.sql(rf"\copy ({_ROWS}) TO '{file}'", database=SOURCE)
    server.sql(
        rf"\copy owners (customer_id, branch_id, side, manager_id, since_date, generation) FROM '{file}'",
        database=TARGET,
    )
    return items / (time.perf_counter() - begin)


async def _by_follower(home: Home, url: str, port: int, items: int) -> float:
    database = Database(url)
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE owners, feed_cursor"))
    counted, done = 0, asyncio.Event()

    async def store(tx: AsyncConnection, changes: Sequence[pb.OwnershipChange], generation: int) -> None:
        nonlocal counted
        await store_ownership(tx, changes, generation)
        counted += len(changes)

    async def settled(tx: AsyncConnection, generation: int) -> None:
        await ownership.drop_older(tx, generation)
        done.set()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
        metadata = SignedIn(home.root / "keys").service("customer_svc")

        def watch(token: str) -> AsyncIterator[Any]:
            return stub.WatchOwnershipChanges(pb.WatchOwnershipChangesRequest(resume_token=token), metadata=metadata)

        begin = time.perf_counter()
        following = asyncio.create_task(Follower(database, "bench", watch, store, settled, Wakeups(None)).run())
        await done.wait()
        taken = time.perf_counter() - begin
        following.cancel()
        await asyncio.wait([following])
    await database.close()
    assert counted == items, counted
    return items / taken
