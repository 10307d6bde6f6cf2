"""A small bank that lives for years: its shifted clock, what is stored, and what must hold of it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.caller import Caller, Role
from chassis.sql.bulk import BulkCounts
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.wakeups import Wakeups
from devstack.postgres import Postgres
from services.assignment_svc.store import MIGRATIONS
from services.assignment_svc.store.imports import FACTS_SCHEMA
from services.assignment_svc.store.ownership_feed import ToldOwnership, read_page
from services.assignment_svc.usecases.import_rows import FeedImport

START = date(2024, 1, 31)
BRANCHES = tuple(f"b{number}" for number in range(5))
CAPACITY = 2
EMPTY = """
TRUNCATE branch, staff, staff_duty, staff_relation, branch_facts, changed_facts, ownership, owner, owner_period,
  ownership_hold, officer_override, row_protection, ownership_change, ownership_request, request_approval,
  request_transition, bulk_transfer, bulk_transfer_line, branch_change, branch_alias, customer_branch_alias,
  merged_customers, merge_rows, merge_notice, acting_manager, business_day, branch_period;
DELETE FROM capacity_policy WHERE version > 1;
UPDATE allocation_day SET facts_date = NULL, business_date = NULL, changes_date = NULL, policy_version = 0,
  seen_rev = '0'
"""
READ = {
    "roots": "SELECT customer_id, state, gone, rev FROM ownership",
    "owners": (
        "SELECT customer_id, branch_id, side, rule, manager_id, named_manager_id, basis, since_date FROM owner"
        " ORDER BY customer_id, side, branch_id"
    ),
    "holds": (
        "SELECT customer_id, hold_id, kind, branch_id FROM ownership_hold UNION ALL"
        " SELECT customer_id, protection_id, 'ROW', branch_id FROM row_protection"
    ),
    "requests": "SELECT * FROM ownership_request WHERE state IN ('PENDING', 'SILENT') ORDER BY create_time, request_id",
    "changes": (
        "SELECT customer_id, change_id, kind, branch_id, to_manager_id, actor, reason, rev_after FROM ownership_change"
        " ORDER BY create_time, change_id"
    ),
    "staff": "SELECT staff_id, branch_id, roles, active_from_date, active_until_date FROM staff ORDER BY staff_id",
    "relations": "SELECT staff_id, customer_id FROM staff_relation",
    "branches": "SELECT branch_id, close_date FROM branch ORDER BY branch_id",
    "facts": (
        "SELECT customer_id, branch_id, loan_live, loan_id, customer_state,"
        " loan_live OR card_live OR deposit_live AS live FROM branch_facts ORDER BY 1, 2"
    ),
}
PAST = """
SELECT customer_id, branch_id, side, rule, manager_id, basis, from_date, until_date FROM owner_period
UNION ALL SELECT customer_id, branch_id, side, rule, manager_id, basis, from_date, 'infinity' FROM owner
"""
PASTED = ("customer_id", "branch_id", "side", "rule", "manager_id", "basis")


class ShiftedDatabase(Database):
    """A database whose clock shows another time: that of `bank_now()`, by which everything is decided and stored."""

    offset = "0"
    _SHIFT = text("SELECT set_config('banyan.clock_offset', :offset, :local)")

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        async with super().begin() as tx:
            await tx.execute(self._SHIFT, {"offset": self.offset, "local": True})
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        async with super().read() as conn:
            await conn.execute(self._SHIFT, {"offset": self.offset, "local": False})
            yield conn


class Nobody(Exception):
    """There is nobody now to whom this could happen."""


@dataclass(frozen=True)
class Picture:
    """All that is stored; nobody but the test writes."""

    roots: Mapping[str, Any]
    owners: Sequence[Any]
    holds: Sequence[Any]
    requests: Sequence[Any]
    changes: Sequence[Any]
    staff: Mapping[str, Any]
    branches: Mapping[str, Any]
    facts: Sequence[Any]
    relations: Sequence[Any]

    def rows_of(self, customer: str) -> list[Any]:
        return [row for row in self.owners if row.customer_id == customer]

    def lives(self) -> list[Any]:
        """The rows of customers whom people may change."""
        return [row for row in self.owners if self.roots[row.customer_id].state == "LIVE"]

    def managed(self) -> set[tuple[str, str, str | None]]:
        return {(row.customer_id, row.branch_id, row.manager_id) for row in self.owners}

    def loads(self) -> Counter[str]:
        rows = [row for row in self.owners if row.manager_id and self.roots[row.customer_id].state != "FORMER"]
        return Counter(row.manager_id for row in rows)

    def open_branches(self) -> list[str]:
        return [one.branch_id for one in self.branches.values() if not one.close_date and one.branch_id != "hq"]

    def active(self, day: date, branch: str | None = None, role: str = "MANAGER") -> list[Any]:
        there = [one for one in self.staff.values() if branch in {None, one.branch_id} and role in one.roles]
        return [one for one in there if works(one, day)]


def works(staff: Any, day: date) -> bool:
    return (staff.active_from_date or date.min) <= day <= (staff.active_until_date or date.max)


class YearsBank:
    """The bank, on the business day `day`, with what it was at the end of every day before."""

    nobody = Nobody

    def __init__(self, database: ShiftedDatabase, chance: random.Random, source: Any, organisation: Any) -> None:
        self.database = database
        self.chance = chance
        self.source = source
        self.seen: Any = None
        self.tally: Counter[str] = Counter()
        self.imports = FeedImport(database, Wakeups(None))
        self.day = START
        self.undecided = False
        self.has_night = False
        self.ended: dict[date, set[tuple[Any, ...]]] = {}
        self.told: dict[str, ToldOwnership] = {}
        self.place = (0, "")
        self.numbers = iter(range(10**6))
        self.organisation = organisation(self)

    @property
    def today(self) -> date:
        """The calendar's day: the one after the business day, whose night has just been."""
        return self.day + timedelta(days=1)

    def set_clock(self) -> None:
        ahead = clock.bank_noon(self.today) - clock.now()
        self.database.offset = f"{ahead.total_seconds()} seconds"

    async def run(self, statement: str, **values: object) -> list[Any]:
        async with self.database.begin() as tx:
            found = await tx.execute(text(statement), values)
            return list(found) if found.returns_rows else []

    async def open(self) -> None:
        """Branches below one head office, each with a head and two managers, and nobody's business yet."""
        self.set_clock()
        for statement in EMPTY.split(";"):
            await self.run(statement)
        await self.run("INSERT INTO branch (branch_id, display_name) VALUES ('hq', 'hq')")
        await self.run(
            "INSERT INTO capacity_policy (version, customers_max, actor) VALUES (2, :most, 't')", most=CAPACITY
        )
        added = (
            "INSERT INTO staff (staff_id, display_name, branch_id, roles)"
            " VALUES (:staff, :staff, :branch, CAST(:roles AS text[]))"
        )
        await self.run(added, staff="boss", branch="hq", roles=["BRANCH_HEAD"])
        for branch in BRANCHES:
            await self.run("INSERT INTO branch (branch_id, display_name, parent_id) VALUES (:id, :id, 'hq')", id=branch)
            await self.run(added, staff=f"{branch}-head", branch=branch, roles=["BRANCH_HEAD"])
            for number in range(2):
                await self.run(added, staff=f"{branch}-m{number}", branch=branch, roles=["MANAGER"])

    async def picture(self) -> Picture:
        async with self.database.read() as tx:
            read = {name: list(await tx.execute(text(query))) for name, query in READ.items()}
        keyed = {"roots": "customer_id", "staff": "staff_id", "branches": "branch_id"}
        named = {name: {getattr(row, key): row for row in read[name]} for name, key in keyed.items()}
        told: dict[str, Any] = {**read, **named}
        return Picture(**told)

    async def go_on(self, day: date) -> None:
        """Ends the business day: as the rows are now they were on it, for ever."""
        if day > self.day:
            self.ended[self.day] = {
                tuple(getattr(row, name) for name in PASTED) for row in (await self.picture()).owners
            }
            self.day = day
            self.set_clock()

    async def send(self, table: str, rows: Sequence[Mapping[str, object]]) -> BulkCounts:
        whole = pa.Table.from_pylist([dict(row) for row in rows], FACTS_SCHEMA)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole)

        async def chunks() -> AsyncIterator[bytes]:
            yield sink.getvalue().to_pybytes()

        return await self.imports.run(table, self.day, chunks())

    def caller(self, staff: Any) -> Caller:
        roles = frozenset(Role(role) for role in staff.roles)
        return Caller(staff.staff_id, staff.branch_id, roles, "s", "staff", clock.now() + timedelta(days=3650), "")

    def some(self, found: Iterable[Any]) -> Any:
        listed = list(found)
        if not listed:
            raise Nobody
        return self.chance.choice(listed)

    def head_of(self, branch: str) -> Any:
        return self.some(self.seen.active(self.today, branch, "BRANCH_HEAD") or [self.seen.staff["boss"]])

    async def check(self) -> Picture:
        """Everything that always holds; tells what is stored."""
        picture = await self.picture()
        check_primaries(picture)
        check_nobody_is_lost(picture, self.today)
        check_requests(picture)
        if not self.undecided:
            check_facts(picture)
        await self._check_feed(picture)
        await self.check_past(self.chance.sample(sorted(self.ended), min(3, len(self.ended))))
        return picture

    async def check_past(self, days: Iterable[date]) -> None:
        """History never overlaps, and tells of each day what was stored at its end."""
        periods = await self.run(PAST)
        spans: dict[tuple[str, str], list[tuple[date, date]]] = {}
        for row in periods:
            spans.setdefault((row.customer_id, row.branch_id), []).append((row.from_date, row.until_date))
        for place, of_place in spans.items():
            for one, other in pairwise(sorted(of_place)):
                assert one[1] <= other[0], f"periods of {place} overlap: {sorted(of_place)}"
        for day in days:
            there = {
                tuple(getattr(row, name) for name in PASTED) for row in periods if row.from_date <= day < row.until_date
            }
            assert there == self.ended[day], f"of {day}: told {there - self.ended[day]}, was {self.ended[day] - there}"

    async def _check_feed(self, picture: Picture) -> None:
        """Who followed all along, and who begins to follow now, know the rows as they are."""
        anew: dict[str, ToldOwnership] = {}
        for _ in range(100):
            async with self.database.read() as conn:
                for rev, key, one in await read_page(conn, *self.place, 10_000):
                    self.told[key], self.place = one, (rev, key)
                anew = {key: one for _, key, one in await read_page(conn, 0, "", 10_000)}
            if set(anew) == set(picture.roots) and anew == self.told:
                break
            # What is read ends where any transaction of the server, also of another test, is still under way.
            await asyncio.sleep(0.02)
        assert anew == self.told
        rows = {(key, *one[:4], one[9]) for key, told in anew.items() for one in told.owners}
        names = ("customer_id", "branch_id", "side", "rule", "manager_id", "since_date")
        assert rows == {tuple(getattr(row, name) for name in names) for row in picture.owners}
        assert {key: (one.state, one.gone) for key, one in anew.items()} == {
            key: (root.state, root.gone) for key, root in picture.roots.items()
        }


def check_primaries(picture: Picture) -> None:
    """Exactly one primary for whoever is live, one row for whoever is former, none for whoever is gone."""
    sides: dict[str, list[str]] = {customer: [] for customer in picture.roots}
    for row in picture.owners:
        sides[row.customer_id].append(row.side)
    for customer, root in picture.roots.items():
        rows = Counter(sides[customer])
        if root.gone:
            assert not rows, f"{customer} is gone and has {rows}"
        else:
            assert rows["PRIMARY"] == 1, f"{customer}, {root.state}, has {rows}"
            assert root.state != "FORMER" or rows.total() == 1, f"{customer} is former and has {rows}"


def check_nobody_is_lost(picture: Picture, today: date) -> None:
    """What is stored points at what exists."""
    for row in picture.owners:
        branch = picture.branches[row.branch_id]
        assert branch.close_date is None or branch.close_date >= today, f"{row} is at a closed branch"
    here = {customer for customer, root in picture.roots.items() if not root.gone}
    for one in (*picture.holds, *picture.requests):
        assert one.customer_id in here | {""}, f"{one} is of nobody"
    for change in picture.changes:
        assert change.reason, f"{change} has no reason"
        assert change.actor, f"nobody made {change}"


def check_facts(picture: Picture) -> None:
    """Whoever has live business has an owner, and is live unless he is frozen."""
    frozen = {row.customer_id for row in picture.facts if row.customer_state != "ACTIVE"}
    for customer in {row.customer_id for row in picture.facts if row.live}:
        root = picture.roots.get(customer)
        assert root is not None, f"{customer} has no owner"
        assert (root.state, root.gone) == ("FROZEN" if customer in frozen else "LIVE", False), f"{customer} is {root}"


def check_requests(picture: Picture) -> None:
    """A pending transfer leaves the customer with the giver, and what holds him for it ends with it."""
    pending = {one.request_id: one for one in picture.requests if one.exclusive}
    locked = {hold.customer_id for hold in picture.holds if hold.kind == "LOCK"}
    for hold in picture.holds:
        if hold.kind == "TRANSFER":
            assert hold.hold_id in pending, f"{hold} stands for no pending transfer"
    standing = {hold.hold_id for hold in picture.holds}
    for request_id in pending.keys() & standing:
        request = pending[request_id]
        root = picture.roots[request.customer_id]
        if root.state == "LIVE" and request.customer_id not in locked:
            leads = next(row for row in picture.rows_of(request.customer_id) if row.side == "PRIMARY")
            assert leads.branch_id == request.from_branch_id, f"{leads} while {request} is pending"
    for request in pending.values():
        if request.kind in {"PUSH", "PULL"} and request.from_branch_id != request.to_branch_id:
            assert request.request_id in standing, f"{request} holds nothing"


@pytest.fixture(scope="session")
async def years_database(postgres: Postgres) -> AsyncIterator[ShiftedDatabase]:
    """A database where no job decides by the real clock."""
    url = await asyncio.to_thread(postgres.create, "years")
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    opened = ShiftedDatabase(url, application="test")
    yield opened
    await opened.close()


@pytest.fixture
async def years(
    years_database: ShiftedDatabase, source_by_chance: Callable[[random.Random], Any], organisation_by_chance: Any
) -> Callable[[int], Awaitable[Any]]:
    """Opens a bank for a seed."""

    async def opened(seed: int) -> YearsBank:
        chance = random.Random(seed)
        bank = YearsBank(years_database, chance, source_by_chance(chance), organisation_by_chance)
        await bank.open()
        return bank

    return opened
