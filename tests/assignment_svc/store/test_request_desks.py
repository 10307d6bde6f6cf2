"""Who answers for a side, as the store finds it for many at once, against the rule for one."""

import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from chassis.sql.engine import Database
from services.assignment_svc.domain.approvals import Rung, desk_of
from services.assignment_svc.store import request_desks

DAY = date(2026, 6, 30)
TABLES = "branch, staff, ownership_request, request_approval, delegation"


@pytest.fixture
async def empty(database: Database) -> AsyncIterator[Database]:
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
    yield database
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))


async def put(database: Database, table: str, *rows: Mapping[str, object]) -> None:
    if rows:
        names = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        async with database.begin() as tx:
            await tx.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), [dict(row) for row in rows])


async def seats(database: Database, staff: str) -> list[tuple[str, str]]:
    async with database.read() as conn:
        return [(one.branch_id, one.head_id) for one in await request_desks.seats_of(conn, staff, DAY)]


def head(staff: str, branch: str, **more: object) -> dict[str, object]:
    given = {"staff_id": staff, "display_name": staff, "branch_id": branch, "roles": ["BRANCH_HEAD"]}
    return {**given, "active_from_date": None, "active_until_date": None, "gone": False, **more}


def way_up(parents: dict[str, str | None], heads: dict[str, set[str]], branch: str) -> list[Rung]:
    rungs, at = [], branch
    while at is not None:
        rungs.append(Rung(at, frozenset(heads.get(at, ()))))
        at = parents.get(at)
    return rungs


@pytest.mark.parametrize("draw", range(3))
async def test_desks_of_many_sides_are_those_of_each(empty: Database, draw: int) -> None:
    chance = random.Random(draw)
    parents = {f"b{n}": f"b{chance.randrange(n)}" if n else None for n in range(12)}
    heads: dict[str, set[str]] = {}
    staff = []
    for n in range(14):
        branch, until = f"b{chance.randrange(12)}", chance.choice([None, DAY, date(2026, 6, 29)])
        staff.append(head(f"s{n}", branch, active_until_date=until))
        if until != date(2026, 6, 29):
            heads.setdefault(branch, set()).add(f"s{n}")
    await put(empty, "branch", *({"branch_id": b, "display_name": b, "parent_id": p} for b, p in parents.items()))
    await put(empty, "staff", *staff)
    requests, sides, expected = [], [], {}
    for n in range(60):
        branch, level, creator, kind = (
            f"b{chance.randrange(12)}",
            chance.randrange(3),
            f"s{chance.randrange(14)}",
            chance.choice(["PUSH", "LOCK"]),
        )
        keys = {"customer_id": f"s{chance.randrange(20)}", "request_id": f"r{n}"}
        requests.append({**keys, "kind": kind, "creator": creator, "state": "PENDING", "exclusive": False})
        sides.append({**keys, "side": "GIVER", "branch_id": branch, "level": level})
        barred = frozenset({creator, keys["customer_id"]})
        rungs = way_up(parents, heads, branch)
        desk = desk_of(rungs, level, barred)
        above = rungs[[rung.branch_id for rung in rungs].index(desk) + 1 :] if desk else []
        upper = desk_of(above, 0, barred) if kind == "LOCK" else None
        expected[f"r{n}"] = (desk, upper)
    more = {"to_branch_id": "b0", "reason": "", "due_time": _noon(), "expire_time": _noon()}
    await put(empty, "ownership_request", *({**one, **more} for one in requests))
    await put(empty, "request_approval", *sides)
    async with empty.begin() as tx:
        await request_desks.seat(tx, DAY)
        rows = await tx.execute(text("SELECT request_id, desk_branch_id, upper_desk_branch_id FROM request_approval"))
        assert {row[0]: (row[1], row[2]) for row in rows} == expected
        assert await request_desks.seat(tx, DAY) == 0, "what stands is not written again"


async def test_a_tree_that_runs_in_a_circle_ends(empty: Database) -> None:
    loop = {"b1": "b2", "b2": "b1"}
    await put(empty, "branch", *({"branch_id": b, "display_name": b, "parent_id": p} for b, p in loop.items()))
    more = {"to_branch_id": "b1", "reason": "", "due_time": _noon(), "expire_time": _noon(), "creator": "x"}
    keys = {"customer_id": "c", "request_id": "r"}
    await put(empty, "ownership_request", {**keys, **more, "kind": "PUSH", "state": "PENDING", "exclusive": True})
    await put(empty, "request_approval", {**keys, "side": "GIVER", "branch_id": "b1", "level": 0})
    async with empty.begin() as tx:
        assert await request_desks.seat(tx, DAY) == 0


async def test_heads_and_their_delegates_of_the_day_have_seats(empty: Database) -> None:
    teller = {"roles": ["TELLER"]}
    await put(
        empty,
        "staff",
        head("h", "north"),
        head("old", "north", active_until_date=date(2026, 6, 1)),
        head("t", "north", **teller),
        head("away", "south", **teller),
    )
    days = {"from_date": date(2026, 6, 30), "until_date": date(2026, 6, 30), "reason": "r", "end_time": None}
    given = {"branch_id": "north", **days}
    await put(
        empty,
        "delegation",
        {**given, "delegation_id": "d1", "head_id": "h", "delegate_id": "t"},
        {**given, "delegation_id": "d2", "head_id": "old", "delegate_id": "t"},
        {**given, "delegation_id": "d3", "head_id": "h", "delegate_id": "away"},
        {**given, "delegation_id": "d4", "head_id": "h", "delegate_id": "h", "until_date": date(2026, 7, 1)},
        {**given, "delegation_id": "d5", "head_id": "h", "delegate_id": "t", "end_time": _noon()},
    )
    assert await seats(empty, "h") == [("north", "h"), ("north", "h")]
    assert await seats(empty, "t") == [("north", "h")]
    assert await seats(empty, "old") == await seats(empty, "away") == await seats(empty, "nobody") == []
    async with empty.begin() as tx:
        await tx.execute(text("UPDATE delegation SET from_date = '2026-06-01', until_date = '2026-06-29'"))
    assert await seats(empty, "t") == []


def _noon() -> datetime:
    return datetime(2026, 6, 30, 12, tzinfo=UTC)
