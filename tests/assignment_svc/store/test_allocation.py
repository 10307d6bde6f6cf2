"""One customer in Python and all of them in SQL are decided alike, night after night, in random banks."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database
from services.assignment_svc.domain.allocation import allocate
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Customer,
    Duty,
    Evidence,
    Hold,
    HoldKind,
    LiveCard,
    LiveLoan,
    Night,
    OfficerOverride,
    Outcome,
    Owner,
    Policy,
    Rule,
    Side,
    State,
)
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships

BRANCHES = ["b1", "b2", "b3", "b4"]
STAFF = ["s1", "s2", "s3", "s4", "s5", "s6"]
# Around the margin of 20 %, equal, unknown, nothing, overdrawn.
AMOUNTS = [None, None, -5, 0, 1, 100, 100, 119, 120, 121, 144, 145, 2**62]
START = date(2024, 1, 31)
TABLES = "branch_facts, ownership, owner, owner_period, ownership_hold, officer_override, staff, staff_duty"
CUSTOMERS = 60
NIGHTS = 6


@dataclass(frozen=True)
class Member:
    """A staff member as the bank has him; `duties` tells what allocation makes of it."""

    branch_id: str
    from_date: date | None
    until_date: date | None
    successor_id: str | None

    def works_at(self, day: date) -> str | None:
        starts, ends = self.from_date or date.min, self.until_date or date.max
        return self.branch_id if starts <= day <= ends else None


@dataclass
class Bank:
    """A random bank and what the pure function made of it."""

    chance: random.Random
    day: date
    policy: Policy
    members: dict[str, Member] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    periods: dict[str, list[tuple[Owner, date]]] = field(default_factory=dict)

    def duties(self) -> Mapping[str, Duty]:
        return {
            staff_id: Duty(
                member.works_at(self.day),
                member.successor_id,
                self.members[member.successor_id].works_at(self.day) if member.successor_id else None,
            )
            for staff_id, member in self.members.items()
        }

    def date_near(self, days: int = 6) -> date:
        return self.day - timedelta(days=self.chance.randint(0, days))

    def maybe(self, share: float) -> bool:
        return self.chance.random() < share

    def staff_or_none(self) -> str | None:
        return self.chance.choice([None, *STAFF, "stranger"])

    def next_member(self) -> Member:
        ends = self.day + timedelta(days=self.chance.randint(-3, 6))
        return Member(
            self.chance.choice(BRANCHES),
            self.chance.choice([None, self.date_near(), self.day + timedelta(days=2)]),
            self.chance.choice([None, ends]),
            self.chance.choice([None, *STAFF]),
        )

    def next_facts(self, old: BranchFacts | None, branch_id: str) -> BranchFacts:
        loan = card = None
        if self.maybe(0.3):
            amount = self.chance.choice(AMOUNTS)
            loan = LiveLoan(self.chance.choice(["l1", "l2"]), amount, self.date_near(2), self.staff_or_none())
        if self.maybe(0.3):
            limit = self.chance.choice(AMOUNTS)
            card = LiveCard(self.chance.choice(["k1", "k2"]), limit, self.date_near(2), self.staff_or_none())
        deposit = self.maybe(0.4)
        was_live = old is not None and old.live
        loan_end = old.loan_end_date if old else self.chance.choice([None, self.date_near(12)])
        if old and old.loan and not loan:
            loan_end = self.date_near(2)
        return BranchFacts(
            branch_id,
            loan,
            loan_end,
            card,
            deposit,
            self.chance.choice(AMOUNTS) if deposit else None,
            old.relation_since_date if old else self.date_near(3),
            self.date_near(2) if was_live or old is None else old.last_live_date,
        )

    def next_hold(self, number: int) -> Hold:
        return Hold(
            f"h{number}",
            self.chance.choice(list(HoldKind)),
            self.chance.choice(BRANCHES),
            self.staff_or_none(),
            self.day + timedelta(days=self.chance.randint(-3, 3)),
            self.chance.choice([None, self.day + timedelta(days=self.chance.randint(0, 9))]),
            self.chance.choice([None, self.date_near(3)]),
        )

    def next_customer(self, old: Customer | None) -> Customer:
        facts = {f.branch_id: f for f in old.facts} if old else {}
        # Now and then holds or transfers change, and nothing else.
        share = 0.5 if old is None or self.maybe(0.6) else 0.0
        for branch_id in BRANCHES:
            if self.maybe(share):
                facts[branch_id] = self.next_facts(facts.get(branch_id), branch_id)
        holds = old.holds if old else ()
        if self.maybe(0.15):
            holds = (*holds, self.next_hold(len(holds)))
        overrides = old.overrides if old else ()
        if not overrides and self.maybe(0.2):
            overrides = (OfficerOverride("l1", self.staff_or_none(), self.chance.choice(STAFF)),)
        frozen = self.maybe(0.5) if old and old.frozen else self.maybe(0.05)
        return Customer(frozen, tuple(facts.values()), holds=holds, overrides=overrides)

    def move_on(self, *, same_day: bool) -> None:
        if not same_day:
            self.day += timedelta(days=self.chance.choice([1, 1, 1, 2, 3, 5, 40]))
        for staff_id in STAFF:
            if staff_id not in self.members or self.maybe(0.1):
                self.members[staff_id] = self.next_member()
        for number in range(CUSTOMERS):
            customer_id = f"c{number:03}"
            old = self.customers.get(customer_id)
            if old is None or self.maybe(0.4):
                self.customers[customer_id] = self.next_customer(old)

    def allocate_each(self, customer_ids: Iterable[str] | None = None) -> None:
        night = Night(self.day, self.policy, self.duties())
        for customer_id in self.customers if customer_ids is None else customer_ids:
            customer = self.customers[customer_id]
            before = self.outcomes.get(customer_id, Outcome(None, (), None, None))
            known = replace(customer, owners=before.owners, former_date=before.former_date)
            after = allocate(known, night)
            periods = self.periods.setdefault(customer_id, [])
            periods += [(row, self.day) for row in before.owners if row not in after.owners]
            self.outcomes[customer_id] = after


def facts_row(customer_id: str, customer: Customer, facts: BranchFacts) -> dict[str, object]:
    loan, card = facts.loan, facts.card
    return {
        "customer_id": customer_id,
        "branch_id": facts.branch_id,
        "loan_live": loan is not None,
        "loan_id": loan and loan.loan_id,
        "loan_outstanding_minor": loan and loan.outstanding_minor,
        "loan_first_disburse_date": loan and loan.first_disburse_date,
        "loan_officer_id": loan and loan.officer_id,
        "loan_end_date": facts.loan_end_date,
        "card_live": card is not None,
        "card_id": card and card.card_id,
        "card_limit_minor": card and card.limit_minor,
        "card_first_open_date": card and card.first_open_date,
        "card_manager_id": card and card.manager_id,
        "deposit_live": facts.deposit_live,
        "deposit_sum_minor": facts.deposit_sum_minor,
        "relation_since_date": facts.relation_since_date,
        "last_live_date": None if facts.live else facts.last_live_date,
        "customer_state": "FROZEN" if customer.frozen else "ACTIVE",
    }


async def put(tx: AsyncConnection, table: str, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Inserts or updates rows as the import does: what is equal is not written, what is written gets a new rev."""
    if not rows:
        return
    names = list(rows[0])
    await tx.execute(
        text(
            f"INSERT INTO {table} AS t ({', '.join(names)}) VALUES ({', '.join(':' + n for n in names)})"
            f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in names)},"
            f" rev = pg_current_xact_id() WHERE ({', '.join('t.' + n for n in names)})"
            f" IS DISTINCT FROM ({', '.join('excluded.' + n for n in names)})"
        ),
        rows,
    )


async def store(bank: Bank, tx: AsyncConnection) -> None:
    facts = [facts_row(cid, c, f) for cid, c in bank.customers.items() for f in c.facts]
    await put(tx, "branch_facts", "customer_id, branch_id", facts)
    holds = [
        {"customer_id": cid, "reason": "a test", **vars(hold), "kind": str(hold.kind)}
        for cid, c in bank.customers.items()
        for hold in c.holds
    ]
    await put(tx, "ownership_hold", "customer_id, hold_id", holds)
    overrides = [{"customer_id": cid, **vars(o)} for cid, c in bank.customers.items() for o in c.overrides]
    await put(tx, "officer_override", "customer_id, loan_id", overrides)
    staff = [
        {
            "staff_id": staff_id,
            "display_name": staff_id,
            "branch_id": member.branch_id,
            "roles": ["MANAGER"],
            "active_from_date": member.from_date,
            "active_until_date": member.until_date,
            "successor_id": member.successor_id,
        }
        for staff_id, member in bank.members.items()
    ]
    await put(tx, "staff", "staff_id", staff)
    await tx.execute(text("UPDATE allocation_day SET facts_date = :day"), {"day": bank.day})


async def put_policy(tx: AsyncConnection, policy: Policy) -> None:
    names = list(vars(policy))
    values = ", ".join(f":{name}" for name in names)
    await tx.execute(text("DELETE FROM ownership_policy"))
    await tx.execute(
        text(f"INSERT INTO ownership_policy ({', '.join(names)}, actor) VALUES ({values}, 'test')"), vars(policy)
    )


def owner_of(row: Any) -> Owner:
    r = row._mapping
    return Owner(
        r["branch_id"],
        Side(r["side"]),
        Rule(r["rule"]),
        r["manager_id"],
        r["named_manager_id"],
        Evidence(r["basis"], r["amount_minor"], r["rival_branch_id"], r["rival_amount_minor"], r["held_by_margin"]),
        r["since_date"],
        r["from_date"],
        r["due_date"],
    )


async def name_managers(bank: Bank, tx: AsyncConnection) -> None:
    """Heads name managers between two nights; the next one looks at their customers."""
    for customer_id, outcome in bank.outcomes.items():
        if outcome.owners and bank.maybe(0.15):
            row = bank.chance.choice(outcome.owners)
            named = replace(row, named_manager_id=bank.staff_or_none())
            rows = tuple(named if other is row else other for other in outcome.owners)
            bank.outcomes[customer_id] = replace(outcome, owners=rows)
            key = {"customer_id": customer_id, "branch_id": row.branch_id, "named": named.named_manager_id}
            await tx.execute(
                text(
                    "UPDATE owner SET named_manager_id = :named"
                    " WHERE customer_id = :customer_id AND branch_id = :branch_id"
                ),
                key,
            )
            await tx.execute(
                text("UPDATE branch_facts SET rev = pg_current_xact_id() WHERE customer_id = :customer_id"), key
            )


async def stored(tx: AsyncConnection) -> tuple[dict[str, Outcome], dict[str, list[tuple[Owner, date]]]]:
    owners: dict[str, list[Owner]] = {}
    for row in await tx.execute(text("SELECT * FROM owner ORDER BY customer_id, side, branch_id")):
        owners.setdefault(row.customer_id, []).append(owner_of(row))
    roots = await tx.execute(text("SELECT customer_id, state, due_date, former_date FROM ownership"))
    outcomes = {
        row.customer_id: Outcome(
            State(row.state), tuple(owners.pop(row.customer_id, ())), row.due_date, row.former_date
        )
        for row in roots
    }
    assert owners == {}, "rows without their aggregate root"
    periods: dict[str, list[tuple[Owner, date]]] = {}
    for row in await tx.execute(text("SELECT * FROM owner_period ORDER BY customer_id, period_id")):
        periods.setdefault(row.customer_id, []).append((owner_of(row), row.until_date))
    return outcomes, periods


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def compare(bank: Bank, database: Database, customer_ids: Iterable[str] | None = None) -> None:
    async with database.begin() as tx:
        outcomes, periods = await stored(tx)
    for customer_id in bank.customers if customer_ids is None else customer_ids:
        customer = bank.customers[customer_id]
        expected = bank.outcomes[customer_id]
        told = outcomes.get(customer_id, Outcome(None, (), None, None))
        story = f"{customer_id} on {bank.day} under {bank.policy}: {customer} {bank.duties()}"
        assert told == expected, story
        past = sorted(bank.periods[customer_id], key=lambda period: (period[1], period[0].branch_id))
        assert sorted(periods.get(customer_id, []), key=lambda p: (p[1], p[0].branch_id)) == past, story


def check_invariants(bank: Bank) -> None:
    for customer_id, customer in bank.customers.items():
        outcome = bank.outcomes[customer_id]
        rows = outcome.owners
        primaries = [row for row in rows if row.side is Side.PRIMARY]
        assert len({row.branch_id for row in rows}) == len(rows)
        assert len(primaries) == (1 if rows else 0)
        if any(f.live for f in customer.facts):
            assert len(primaries) == 1
        if outcome.state is State.LIVE:
            live = {f.branch_id for f in customer.facts if f.live}
            assert live <= {row.branch_id for row in rows}
        for branch_id in BRANCHES:
            spans = [(p.from_date, until) for p, until in bank.periods[customer_id] if p.branch_id == branch_id]
            spans += [(row.from_date, date.max) for row in rows if row.branch_id == branch_id]
            assert all(first[1] <= second[0] for first, second in pairwise(spans))


async def first_bank(seed: int, database: Database) -> Bank:
    chance = random.Random(seed)
    policy = Policy(1, chance.randint(0, 4), chance.randint(0, 4), 120, chance.randint(0, 1), 2, 15)
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        await tx.execute(text("UPDATE allocation_day SET business_date = NULL, policy_version = 0, seen_rev = '0'"))
    return Bank(chance, START, policy)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_every_customer_is_decided_alike_by_both_on_every_night(database: Database, seed: int) -> None:
    bank = await first_bank(seed, database)
    for number in range(NIGHTS):
        bank.move_on(same_day=number > 0 and bank.maybe(0.2))
        if bank.maybe(0.1):
            bank.policy = replace(bank.policy, version=bank.policy.version + 1, grace_days=bank.chance.randint(0, 4))
        async with database.begin() as tx:
            await put_policy(tx, bank.policy)
            await name_managers(bank, tx)
            await store(bank, tx)
        bank.allocate_each()
        await allocate_ownerships(database, bank.day, goes_on)
        await compare(bank, database)
        check_invariants(bank)
    again = await allocate_ownerships(database, bank.day, goes_on, everybody=True)
    assert again.counts.customers == sum(1 for customer in bank.customers.values() if customer.facts)
    assert (again.counts.changed_customers, again.counts.changed_rows) == (0, 0)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_a_list_is_decided_alike_and_the_night_after_it_changes_nothing(database: Database, seed: int) -> None:
    bank = await first_bank(seed, database)
    for _ in range(NIGHTS):
        bank.move_on(same_day=False)
        some = bank.chance.sample(sorted(bank.customers), bank.chance.randint(1, CUSTOMERS))
        async with database.begin() as tx:
            await put_policy(tx, bank.policy)
            await name_managers(bank, tx)
            await store(bank, tx)
            await allocate_now(tx, some, bank.day, bank.policy, "somebody")
            actors = await tx.execute(
                text("SELECT DISTINCT actor FROM owner WHERE from_date = :day"), {"day": bank.day}
            )
            assert set(actors.scalars()) <= {"somebody"}
        bank.allocate_each(some)
        await compare(bank, database, some)
        bank.allocate_each()
        await allocate_ownerships(database, bank.day, goes_on)
        await compare(bank, database)


@pytest.fixture(autouse=True)
async def default_policy(database: Database):
    yield
    async with database.begin() as tx:
        await put_policy(tx, Policy(1, 90, 90, 120, 12, 30, 15))
