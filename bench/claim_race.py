"""Claims per second of 64 managers at once, each of another customer; and of all of them of one customer after another.

The servicer itself, with a connection for each, without gRPC around it. The limit is the same statements bare: those
that one claim was seen to send, sent again for other customers by the database's driver over as many connections.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg
import uvloop
from banyan.assignment.v1 import ownership_change_service_pb2 as pb
from sqlalchemy import Engine, event, text

from bench import servers
from bench.results import Result
from chassis import clock
from chassis.caller import Caller, Role, calling
from chassis.errors import Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.rpc.ownership_change_service import OwnershipChangeServicer
from services.assignment_svc.store import MIGRATIONS, allocation
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships

CALLERS = 64
CLAIMS = 6_400
RACES = 20
DAY = date(2026, 6, 30)
_BRANCH = "B0001"
_FILL = (
    "INSERT INTO branch (branch_id, display_name) VALUES ('B0001', 'B')",
    """
INSERT INTO staff (staff_id, display_name, branch_id, roles)
SELECT 'S' || lpad(s::text, 5, '0'), 'S', 'B0001', ARRAY['MANAGER'] FROM generate_series(0, 64) AS s""",
    """
INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,
  relation_since_date, customer_state)
SELECT kind || lpad(n::text, 8, '0'), 'B0001', false, false, true, n, date '2020-01-01', 'ACTIVE'
FROM unnest(ARRAY['C', 'D', 'R', 'W']) AS kind, generate_series(0, CAST(:claims AS bigint)) AS n""",
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The servicer looks at none.
_NO_CONTEXT: Any = None
Sent = list[tuple[str, tuple[Any, ...]]]


def measure(claims: int = CLAIMS, races: int = RACES) -> list[Result]:
    """Customers C… are claimed by the service, D… by its statements alone, and of R… each by everybody at once."""
    with servers.home() as home, servers.postgres_of(home) as server:
        return uvloop.run(_measure(servers.database(server, "bench_assignment", MIGRATIONS), claims, races))


async def _measure(url: str, claims: int, races: int) -> list[Result]:
    database = Database(url, pool=CALLERS)
    await _prepare(database, claims)
    servicer = OwnershipChangeServicer(database, Wakeups(None), _no_tags, b"s" * 32)
    sent = await _statements(servicer)
    value = await _rate(claims, _each(lambda staff, number: _claim(servicer, staff, f"C{number:08}"), claims))
    limit = await _bare(url, sent, claims)
    raced = await _rate(races * CALLERS, _race(servicer, races))
    await database.close()
    return [
        Result("claim_race", value, "claims/s", limit, value / limit, "limit: the same statements bare"),
        Result("claim_race.one_customer", raced, "answers/s"),
    ]


async def _prepare(database: Database, claims: int) -> None:
    async with database.begin() as tx:
        for statement in _FILL:
            await tx.execute(text(statement), {"claims": claims} if ":claims" in statement else {})
        await allocation.set_facts_date(tx, DAY)
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE branch_facts, staff"))
    await allocate_ownerships(database, DAY, _go_on)
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE owner, ownership"))


async def _claim(servicer: OwnershipChangeServicer, staff: int, customer_id: str) -> bool:
    """Says whether the claim won."""
    request_id = str(uuid.uuid4())
    request = pb.ClaimCustomerRequest(name=f"customers/{customer_id}/ownership", reason="bench", request_id=request_id)
    roles = frozenset({Role.MANAGER})
    caller = Caller(f"S{staff:05}", _BRANCH, roles, "session", "staff", clock.now(), "")
    with calling(caller, request_id):
        try:
            await servicer.ClaimCustomer(request, _NO_CONTEXT)
        except Refused as refused:
            if refused.reason != "ALREADY_CLAIMED":
                raise
            return False
    return True


async def _each(claim: Any, claims: int) -> None:  # noqa: ANN401 -- a function of a manager's and a customer's number
    """Every caller claims one customer after another, none of whom another claims."""

    async def work(staff: int) -> None:
        for number in range(staff, claims, CALLERS):
            assert await claim(staff, number)

    await asyncio.gather(*(work(staff) for staff in range(CALLERS)))


async def _race(servicer: OwnershipChangeServicer, races: int) -> None:
    """Everybody claims the same customer; then the next."""
    for number in range(races):
        won = await asyncio.gather(*(_claim(servicer, staff, f"R{number:08}") for staff in range(CALLERS)))
        assert sum(won) == 1, won


async def _statements(servicer: OwnershipChangeServicer) -> Sent:
    """What one claim sends, by manager S00064 of customer W00000000; each claim before it makes the plans known."""
    sent: Sent = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:  # noqa: ANN401 -- SQLAlchemy's own
        sent.append((statement, tuple(parameters)))

    for number in range(1, 20):
        await _claim(servicer, 64, f"W{number:08}")
    event.listen(Engine, "before_cursor_execute", note)
    assert await _claim(servicer, 64, "W00000000")
    event.remove(Engine, "before_cursor_execute", note)
    return sent


async def _bare(url: str, sent: Sent, claims: int) -> float:
    """Claims per second of the statements alone."""
    pool = await asyncpg.create_pool(
        url.replace("postgresql+asyncpg", "postgresql"), min_size=CALLERS, max_size=CALLERS
    )

    ids = set(_UUID.findall(repr([parameters for _, parameters in sent])))

    async def claim(staff: int, number: int) -> bool:
        given = {"W00000000": f"D{number:08}", "S00064": f"S{staff:05}", **{one: str(uuid.uuid4()) for one in ids}}
        async with pool.acquire() as connection, connection.transaction():
            for statement, parameters in sent:
                await connection.fetch(statement, *_put(parameters, given))
        return True

    rate = await _rate(claims, _each(claim, claims))
    await pool.close()
    return rate


def _put(parameters: Sequence[Any], given: Mapping[str, str]) -> list[Any]:
    """The parameters with other ids in them, wherever they stand."""
    return [_with(one, given) for one in parameters]


def _with(value: Any, given: Mapping[str, str]) -> Any:  # noqa: ANN401 -- whatever a statement is given
    if isinstance(value, list):
        return [_with(one, given) for one in value]
    if isinstance(value, str):
        for old, new in given.items():
            value = value.replace(old, new)
    return value


async def _rate(count: int, work: Awaitable[None]) -> float:
    begin = time.perf_counter()
    await work
    return count / (time.perf_counter() - begin)


async def _no_tags(_customer_ids: Sequence[str]) -> None:
    return None


async def _go_on(_done: int, _total: int) -> bool:
    return True
