"""What the set-based statements say is due and done, against a slow count of one customer after the other."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chassis.sql.engine import Database
from services.assignment_svc.domain.visit_duties import DueVisit, DutyClass, next_month
from services.assignment_svc.store import visit_duties, visit_policies
from services.assignment_svc.store.visit_duties import DueOf, DuePlace, DutyDone

MONTH = date(2026, 6, 10)
BRANCHES = ("b1", "b2", "b3")
TABLES = "ownership, owner, owner_period, private_manager, private_manager_period, branch_facts, branch, staff"
OWN_TABLES = "visit, visit_duty, visit_month"


@dataclass
class Someone:
    """A customer of the random world."""

    customer_id: str
    state: str
    branch_id: str
    manager_id: str | None
    since_date: date
    former_manager: tuple[str, date] | None
    private_manager: tuple[str, date] | None
    facts: list[tuple[str, int | None, int | None]]
    """At each branch: outstanding of a live loan, sum of live deposits."""
    visits: list[tuple[date, str, str, str, bool]] = field(default_factory=list)
    """Day, branch, kind, state, withdrawn."""


@pytest.fixture
async def tables(database: Database):
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}, {OWN_TABLES}"))
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('b1','1'), ('b2','2'), ('b3','3')"))
        for number in range(6):
            values = {"id": f"m{number}", "branch": BRANCHES[number // 2]}
            await tx.execute(text("INSERT INTO staff VALUES (:id, :id, :branch, '{MANAGER}')"), values)
    yield database
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}, {OWN_TABLES}"))


def world(seed: int) -> list[Someone]:
    chance = random.Random(seed)

    def day(span: int = 70) -> date:
        return MONTH + timedelta(days=chance.randint(-span, 25))

    def one(number: int) -> Someone:
        branch = chance.randrange(3)
        manager = f"m{branch * 2 + chance.randrange(2)}"
        facts = [
            (
                b,
                chance.choice([None, 0, 29_999_999, 30_000_000, 90_000_000]),
                chance.choice([None, 0, 30 * 49_999_999 + 29, 30 * 50_000_000, 30 * 300_000_000]),
            )
            for b in chance.sample(BRANCHES, chance.randint(1, 3))
        ]
        someone = Someone(
            customer_id=f"c{number:02}",
            state=chance.choice(["LIVE"] * 6 + ["FROZEN"]),
            branch_id=BRANCHES[branch],
            manager_id=chance.choice([manager, manager, None]),
            since_date=chance.choice([date(2020, 1, 1), day()]),
            former_manager=("m9", day()) if chance.random() < 0.3 else None,
            private_manager=(f"m{chance.randrange(6)}", day()) if chance.random() < 0.3 else None,
            facts=facts,
        )
        someone.visits = [
            (
                day(),
                chance.choice([someone.branch_id] * 3 + list(BRANCHES)),
                chance.choice(["VISIT", "PHONE", "PHONE", "LOBBY"]),
                chance.choice(["VALID"] * 3 + ["WEAK", "LATE", "SUSPICIOUS", "OUT_OF_RADIUS"]),
                chance.random() < 0.1,
            )
            for _ in range(chance.randrange(6))
        ]
        return someone

    return [one(number) for number in range(60)]


OWNER = "customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor"
ADD_OWNERSHIP = "INSERT INTO ownership (customer_id, state, business_date) VALUES (:c, :s, '2026-06-30')"
ADD_OWNER = f"INSERT INTO owner ({OWNER}) VALUES (:c, :b, 'PRIMARY', 'LOAN', :m, false, :since, :since, 't')"
ADD_PERIOD = f"""INSERT INTO owner_period ({OWNER}, until_date)
VALUES (:c, :b, 'PRIMARY', 'LOAN', :m, false, '2020-01-01', '2020-01-01', 't', :until)"""
ADD_PRIVATE = "INSERT INTO private_manager VALUES (:c, :m, 'r', 't', CAST(:d AS date) + time '12:00')"
ADD_FACTS = """INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_outstanding_minor, card_live,
  deposit_live, deposit_sum_minor, relation_since_date, customer_state)
VALUES (:c, :b, CAST(:l AS bigint) IS NOT NULL, :l, false, CAST(:d AS bigint) IS NOT NULL, :d, '2020-01-01', 'ACTIVE')
"""
ADD_VISIT = """INSERT INTO visit (customer_id, visit_id, staff_id, branch_id, kind, content, attachments, device_time,
  visit_time, visit_date, captured_offline, late, state, withdraw_time)
VALUES (:c, :v, 'm0', :b, :k, 'x', '[]', bank_now(), bank_now(), :day, false, false, :s,
  CASE WHEN :w THEN bank_now() END)"""


async def store(database: Database, people: list[Someone]) -> None:
    async with database.begin() as tx:

        async def add(statement: str, **values: Any) -> None:
            await tx.execute(text(statement), values)

        for who in people:
            name = {"c": who.customer_id, "b": who.branch_id}
            await add(ADD_OWNERSHIP, c=who.customer_id, s=who.state)
            await add(ADD_OWNER, **name, m=who.manager_id, since=who.since_date)
            if who.former_manager:
                await add(ADD_PERIOD, **name, m=who.former_manager[0], until=who.former_manager[1])
            if who.private_manager:
                await add(ADD_PRIVATE, c=who.customer_id, m=who.private_manager[0], d=who.private_manager[1])
            for branch, loan, deposit in who.facts:
                await add(ADD_FACTS, c=who.customer_id, b=branch, l=loan, d=deposit)
            for number, (day, branch, kind, state, withdrawn) in enumerate(who.visits):
                key = {"c": who.customer_id, "v": f"v{number}"}
                await add(ADD_VISIT, **key, b=branch, k=kind, day=day, s=state, w=withdrawn)


def asked_of(who: Someone) -> tuple[int, int, DutyClass] | None:
    """Visits a month, percent of a call and class, by the defaults of the policy."""
    loans = [loan for _, loan, _ in who.facts if loan is not None]
    deposits = [deposit for _, _, deposit in who.facts if deposit is not None]
    asked: list[tuple[int, int, DutyClass]] = []
    if loans and sum(loans) >= 30_000_000:
        asked.append((1, 0, DutyClass.LOAN))
    if deposits and sum(deposits) // 30 >= 50_000_000:
        asked.append((2 if sum(deposits) // 30 >= 300_000_000 else 1, 50, DutyClass.DEPOSIT))
    if who.private_manager:
        asked.append((1, 50, DutyClass.KEY))
    return min(asked, key=lambda one: (-one[0], one[1], one[2]), default=None)


def entry_of(who: Someone) -> date:
    if who.private_manager:
        return max(who.since_date, who.private_manager[1])
    if who.former_manager and who.former_manager[1] >= date(2026, 6, 1):
        return max(who.since_date, who.former_manager[1])
    return who.since_date


def slowly(who: Someone) -> DueVisit | None:
    """What domain.md 11 says of one customer, word by word."""
    manager = who.private_manager[0] if who.private_manager else who.manager_id
    asked, entry = asked_of(who), entry_of(who)
    if who.state != "LIVE" or manager is None or asked is None or entry > date(2026, 6, 30):
        return None
    visits, call, customer_class = asked
    due = visits // 2 if date(2026, 6, 15) < entry else visits
    if due == 0:
        return None
    counted = [visit for visit in who.visits if visit[3] in {"VALID", "WEAK"} and not visit[4]]
    worth = {"VISIT": 100, "PHONE": call, "LOBBY": 0}
    done = 0
    for number in range(1, 31):
        day = date(2026, 6, number)
        done += max((worth[kind] for d, b, kind, *_ in counted if d == day and b == who.branch_id), default=0)
    start = max(entry, date(2026, 6, 1))
    left = [start + timedelta(days=n) for n in range((date(2026, 7, 1) - start).days)]
    # The days that are left are dealt out to the visits in equal parts, the earlier visits first.
    part = [day for n, day in enumerate(left) if n * due // len(left) <= done // 100] if done < due * 100 else []
    last = max((visit[0] for visit in counted), default=None)
    return DueVisit(who.customer_id, who.branch_id, manager, customer_class, due, done, max(part, default=None), last)


def in_order(found: list[DueVisit]) -> list[DueVisit]:
    return sorted(
        found, key=lambda due: (due.next_due_date or date.max, due.last_visit_date or date.min, due.customer_id)
    )


def added_up(found: list[DueVisit]) -> dict[str, DutyDone]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for due in found:
        mine = counts[due.manager_id]
        mine[0] += 1
        mine[1] += due.due_count
        mine[2] += min(due.done_percent, due.due_count * 100)
    return {manager: DutyDone(*mine) for manager, mine in counts.items()}


async def test_what_is_due_and_done_is_what_a_slow_count_says(tables: Database, seed: int) -> None:
    people = world(seed)
    await store(tables, people)
    expected = [due for who in people if (due := slowly(who))]
    assert len(expected) > 10, "a world in which something is due"
    async with tables.read() as conn:
        everything = DueOf(None, frozenset(BRANCHES))
        assert await visit_duties.due_visits(conn, MONTH, everything, None, 100, with_done=True) == in_order(expected)
        opened = [due for due in expected if due.open_percent]
        assert await visit_duties.due_visits(conn, MONTH, everything, None, 100, with_done=False) == in_order(opened)
        assert await visit_duties.duty_done(conn, MONTH, BRANCHES) == added_up(expected)
        assert await visit_duties.duty_done(conn, MONTH, ["b1"]) == added_up(
            [d for d in expected if d.branch_id == "b1"]
        )


async def test_pages_join_without_gap_or_double(tables: Database) -> None:
    people = world(7)
    await store(tables, people)
    of, place, found = DueOf(None, frozenset(BRANCHES)), None, []
    async with tables.read() as conn:
        while page := await visit_duties.due_visits(conn, MONTH, of, place, 7, with_done=True):
            found += page
            place = DuePlace(page[-1].next_due_date, page[-1].last_visit_date, page[-1].customer_id)
    assert found == in_order([due for who in people if (due := slowly(who))])


async def test_one_managers_duties_are_those_of_his_branch_and_of_his_key_customers(tables: Database) -> None:
    people = world(3)
    await store(tables, people)
    async with tables.read() as conn:
        for manager in (f"m{number}" for number in range(6)):
            mine = [due for who in people if (due := slowly(who)) and due.manager_id == manager]
            found = await visit_duties.due_visits(conn, MONTH, DueOf(manager, None), None, 100, with_done=True)
            assert found == in_order(mine)


async def test_a_month_that_is_kept_stays_whoever_owns_then(tables: Database) -> None:
    people = world(5)
    await store(tables, people)
    expected = added_up([due for who in people if (due := slowly(who))])
    async with tables.begin() as tx:
        last: str | None = ""
        while last is not None:
            last = await visit_duties.keep_duties(tx, MONTH, last, 2)
        assert await visit_duties.is_kept(tx, MONTH)
        await tx.execute(text("UPDATE owner SET manager_id = 'm5', branch_id = 'b3'"))
    async with tables.read() as conn:
        assert await visit_duties.duty_done(conn, MONTH, BRANCHES) == expected
        assert await visit_duties.duty_done(conn, next_month(MONTH), BRANCHES) != expected
        # Who has a customer no more is shown no more of him.
        for manager in ("m0", "m1"):
            found = await visit_duties.due_visits(conn, MONTH, DueOf(manager, None), None, 100, with_done=True)
            key = {who.customer_id for who in people if who.private_manager and who.private_manager[0] == manager}
            assert {due.customer_id for due in found} <= key


async def test_the_version_in_force_is_the_last_that_started(tables: Database) -> None:
    async with tables.read() as conn:
        first = await visit_policies.in_force(conn, date(2026, 6, 30))
        assert (first.version, first.from_date, first.kept_months, len(first.lines)) == (1, date(1900, 1, 1), 24, 4)
        assert await visit_policies.get(conn, 9) is None
