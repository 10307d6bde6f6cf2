"""Ids per second of a group of a million members, streamed to a service, and the peak memory of who serves them.

The limit is bare asyncpg, which reads the same ids by the same pages, a row each. Memory is flat if the peak after a
million is that after a tenth.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import grpc
import uvloop
from banyan.customer.v1 import customer_group_service_pb2 as pb
from banyan.customer.v1 import customer_group_service_pb2_grpc

from bench import servers
from bench.memory import peak_megabytes
from bench.results import Result
from chassis.testing import SignedIn
from devstack.home import Home
from services.customer_svc.store import MIGRATIONS
from services.customer_svc.usecases.list_members import CHUNK_MEMBERS

ROUNDS = 3
MEMBERS = 1_000_000
DATABASE = "bench_groups"
_FILL = (
    """
INSERT INTO customer_groups (group_id, display_name, description, owner_id, sharing, kind, refresh_nightly,
  live_generation, least_level, member_count, last_build_time, last_build_micros)
VALUES ('small', 'small', '', 'staff', 'PRIVATE', 'LIST', false, 1, 2, {members} / 10, now(), 0),
  ('large', 'large', '', 'staff', 'PRIVATE', 'LIST', false, 1, 2, {members}, now(), 0)""",
    """
INSERT INTO group_members (customer_id, group_id, generation)
SELECT 'C' || lpad(n::text, 8, '0'), 'large', 1 FROM generate_series(1, {members}) AS n""",
    """
INSERT INTO group_members (customer_id, group_id, generation)
SELECT 'C' || lpad(n::text, 8, '0'), 'small', 1 FROM generate_series(1, {members} / 10) AS n""",
    "VACUUM ANALYZE group_members",
)
_PAGE = (
    "SELECT customer_id FROM group_members WHERE group_id = 'large' AND generation = 1 AND customer_id > $1"
    " ORDER BY customer_id LIMIT $2"
)


def measure(rounds: int = ROUNDS, members: int = MEMBERS) -> list[Result]:
    """A stream over gRPC from one process to another, in turns with asyncpg alone."""
    with servers.home() as home, servers.postgres_of(home) as server:
        SignedIn(home.root / "keys")
        url = servers.database(server, DATABASE, MIGRATIONS)
        for statement in _FILL:
            server.sql(statement.format(members=members), database=DATABASE)
        port = home.port("group-source")
        spec = servers.serving(home, "group-source", port, "bench.group_source", url, home.short, port)
        with servers.running([spec], home) as (source,):
            uvloop.run(_streamed(home, port, "small", members // 10))
            tenth = peak_megabytes(source.pid)
            pairs = [
                (uvloop.run(_read(url, members)), uvloop.run(_streamed(home, port, "large", members)))
                for _ in range(rounds)
            ]
            whole = peak_megabytes(source.pid)
    limit, value = (median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = median(streamed / bare for bare, streamed in pairs)
    return [
        Result("stream_group_1m", value, "ids/s", limit, ratio, "limit: asyncpg by pages of 10,000"),
        Result("stream_group_1m.peak", whole, "MB", tenth, whole / tenth, "flat: as after a tenth of the ids"),
    ]


async def _read(url: str, members: int) -> float:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    begin, after, count = time.perf_counter(), "", 0
    while rows := await connection.fetch(_PAGE, after, CHUNK_MEMBERS):
        ids = [row[0] for row in rows]
        after, count = ids[-1], count + len(ids)
    taken = time.perf_counter() - begin
    await connection.close()
    assert count == members, count
    return members / taken


async def _streamed(home: Home, port: int, group: str, members: int) -> float:
    metadata = SignedIn(Path(home.root) / "keys").service("campaign_svc")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = customer_group_service_pb2_grpc.CustomerGroupServiceStub(channel)
        request = pb.StreamGroupRequest(name=f"customerGroups/{group}")
        begin, count, complete = time.perf_counter(), 0, False
        async for message in stub.StreamGroup(request, metadata=metadata):
            count, complete = count + len(message.customers), message.complete
        taken = time.perf_counter() - begin
    assert complete
    assert count == members, count
    return members / taken
