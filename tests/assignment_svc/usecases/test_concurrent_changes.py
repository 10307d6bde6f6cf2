"""Many people change ownership by hand at once, and nights run: it ends as a slow model says, and each refusal is true.

The order in which the model plays what succeeded is that of the changes' times: who writes one holds the customer and
the manager locked until it is committed, so of two that touch the same the later one is the later one.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import pytest

from chassis import clock
from chassis.caller import Caller, Role
from chassis.errors import Refused
from services.assignment_svc.domain.changes import row_etag
from services.assignment_svc.store import ownerships
from services.assignment_svc.usecases import change_history, claims, name_managers
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.manual_changes import Changed, Who
from services.assignment_svc.usecases.name_managers import Asked

NIGHT = date(2026, 6, 30)
# 12,000 calls in a soak of 100 seeds.
CALLS_PER_SEED = 120
WORKERS = 8
MANAGERS = ["m1", "m2", "m3", "m4"]
CUSTOMERS = [f"x{n}" for n in range(12)]
ROOM = 4
SAME = {"ALREADY_MANAGED": "ALREADY_CLAIMED"}


@dataclass(frozen=True)
class Row:
    """What the model knows of a customer: his manager, whose change it is, and how he was before."""

    manager: str | None = None
    hold: str = ""
    change: str = ""
    before: "Row | None" = None


Rows = Mapping[str, Row]


@dataclass(frozen=True)
class Call:
    """What somebody tried, and between which times it was decided."""

    verb: str
    staff: str
    customer: str
    manager: str | None
    undone: str
    begin: datetime
    end: datetime
    change: str = ""
    refused: str = ""


def refusal(rows: Rows, call: Call) -> str:
    """Why a call is refused in a state; empty if it is not. As slow and as plain as can be."""
    row, gets = rows[call.customer], call.manager
    if call.verb == "claim" and row.manager:
        return "ALREADY_CLAIMED"
    if call.verb == "release" and call.staff not in {"head", row.manager}:
        return "NOT_FOUND"
    if call.verb == "release" and row.manager is None:
        return "NOT_MANAGED"
    if call.verb == "undo":
        if row.change != call.undone or row.before is None:
            return "NOT_UNDOABLE"
        gets = row.before.manager
    load = sum(1 for other in rows.values() if other.manager == gets)
    return "CAPACITY" if gets and gets != row.manager and load >= ROOM else ""


def played(rows: Rows, call: Call) -> Rows:
    row = rows[call.customer]
    if call.verb == "undo":
        assert row.before is not None
        after = Row(row.before.manager, row.before.hold, call.change)
    elif call.manager is None:
        after = Row(None, "", call.change, row)
    else:
        after = Row(call.manager, f"named-{call.change}", call.change, row)
    return {**rows, call.customer: after}


class Crowd:
    """Whoever changes something by chance, and what came of it."""

    def __init__(self, database, chance: random.Random) -> None:
        self.database = database
        self.chance = chance
        self.done: list[Call] = []
        self.refused: list[Call] = []
        self.nothing = 0

    async def work(self, count: int) -> None:
        for _ in range(count):
            await self.try_one()

    def some_call(self) -> Call:
        customer, verb = self.chance.choice(CUSTOMERS), self.chance.choice(["claim", "assign", "release", "undo"])
        of_his = [call.change for call in self.done if call.customer == customer]
        if verb == "undo" and not of_his:
            verb = "claim"
        staff = self.chance.choice([*MANAGERS, "head"])
        if verb in {"assign", "undo"}:
            staff = "head"
        elif verb == "claim":
            staff = self.chance.choice(MANAGERS)
        manager = {"claim": staff, "assign": self.chance.choice([*MANAGERS, None])}.get(verb)
        undone = self.chance.choice(of_his[-2:]) if verb == "undo" else ""
        return Call(verb, staff, customer, manager, undone, clock.now(), clock.now())

    async def try_one(self) -> None:
        call = self.some_call()
        async with self.database.read() as conn:
            [seen] = await ownerships.of_customers(conn, [call.customer])
        etag = row_etag(seen.owners[0])
        try:
            changed = await self.database.repeat(lambda tx: self.change(tx, call, etag))
        except Refused as error:
            why = SAME.get(error.reason, error.reason)
            self.refused.append(replace(call, end=clock.now(), refused=why))
            return
        if changed.change_id is None:
            self.nothing += 1
        else:
            self.done.append(replace(call, end=clock.now(), change=changed.change_id))

    async def change(self, tx, call: Call, etag: str) -> Changed:
        roles = frozenset({Role.BRANCH_HEAD if call.staff == "head" else Role.MANAGER})
        caller = Caller(call.staff, "north", roles, "s", "staff", call.begin, "")
        who, asked = Who(call.staff, "north", "r", call.verb), Asked(call.customer, "north", "r", etag)
        match call.verb:
            case "claim":
                return await claims.claim(tx, caller, who, call.customer, "r")
            case "assign":
                return await name_managers.assign(tx, caller, who, asked, call.manager)
            case "release":
                return await name_managers.release(tx, caller, who, asked)
            case _:
                return await change_history.undo(tx, caller, who, (call.customer, call.undone), "r")

    async def nights(self, until: asyncio.Future[Any]) -> None:
        async def goes_on(_done: int, _total: int) -> bool:
            return True

        while not until.done():
            report = await allocate_ownerships(self.database, NIGHT, goes_on, everybody=True)
            assert report.counts.changed_rows == 0, "a night finds nothing to change after a manual change"
            await asyncio.sleep(0.1)


@pytest.fixture
async def many(by_hand):
    await by_hand.run("TRUNCATE branch_facts, ownership, owner, owner_period")
    await by_hand.run(
        "INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,"
        " relation_since_date, customer_state) SELECT 'x' || n, 'north', false, false, true, 5, '2020-01-01', 'ACTIVE'"
        " FROM generate_series(0, 11) AS n"
    )
    await by_hand.run(
        "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES ('m3', 'M', 'north', '{MANAGER}'),"
        " ('m4', 'M', 'north', '{MANAGER}')"
    )
    await by_hand.run("INSERT INTO capacity_policy (version, customers_max, actor) VALUES (2, :room, 't')", room=ROOM)
    await by_hand.run("UPDATE allocation_day SET seen_rev = '0'")
    await by_hand.night()
    return by_hand


async def in_order(bank, crowd: Crowd) -> list[tuple[datetime, Call]]:
    times = dict(await bank.run("SELECT change_id, create_time FROM ownership_change"))
    assert len(times) == len(crowd.done)
    return sorted(((times[call.change], call) for call in crowd.done), key=lambda one: one[0])


def check_refusal(call: Call, times: list[datetime], states: list[Rows]) -> None:
    """In some state while it was decided the model refuses it too, for the same reason."""
    # A change counts from its commit, a little after its time; at most one for each worker is under way.
    first = max(sum(1 for at in times if at <= call.begin) - WORKERS, 0)
    window = states[first : sum(1 for at in times if at <= call.end) + 1]
    if call.refused == "ETAG_OLD":
        assert len({state[call.customer] for state in window}) > 1, call
    else:
        assert call.refused in {refusal(state, call) for state in window}, call


@pytest.mark.soak
async def test_whatever_many_do_at_once_ends_as_the_slow_model_says(many, seed) -> None:
    crowd = Crowd(many.service.parts.database, random.Random(seed))
    working = asyncio.gather(*(crowd.work(CALLS_PER_SEED // WORKERS) for _ in range(WORKERS)))
    await asyncio.gather(working, crowd.nights(working))
    ordered = await in_order(many, crowd)
    states: list[Rows] = [{customer: Row() for customer in CUSTOMERS}]
    for _, call in ordered:
        assert refusal(states[-1], call) == "", f"{call} in {states[-1]}"
        states.append(played(states[-1], call))
    for call in crowd.refused:
        check_refusal(call, [at for at, _ in ordered], states)
    await check_end(many, states[-1])
    assert len(crowd.done) > CALLS_PER_SEED // 4
    assert {call.refused for call in crowd.refused} >= {"ALREADY_CLAIMED", "NOT_UNDOABLE", "NOT_FOUND"}


async def check_end(bank, rows: Rows) -> None:
    stored = await bank.run("SELECT customer_id, side, manager_id FROM owner ORDER BY 1")
    assert stored == [(customer, "PRIMARY", rows[customer].manager) for customer in sorted(CUSTOMERS)]
    holds = await bank.run("SELECT customer_id, hold_id FROM ownership_hold ORDER BY 1")
    assert holds == [(customer, rows[customer].hold) for customer in sorted(CUSTOMERS) if rows[customer].hold]
    assert max(Counter(row.manager for row in rows.values() if row.manager).values(), default=0) <= ROOM
    for customer in CUSTOMERS:
        spans = await bank.run(
            "SELECT from_date, until_date FROM owner_period WHERE customer_id = :id UNION ALL"
            " SELECT from_date, 'infinity' FROM owner WHERE customer_id = :id ORDER BY 1, 2",
            id=customer,
        )
        assert all(one[1] <= other[0] for one, other in pairwise(spans)), "history never overlaps"
