"""A small bank by chance: what its other systems tell, and what becomes of its staff and branches."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest

from chassis import clock
from chassis.errors import Refused
from services.assignment_svc.domain.acting import Arranged
from services.assignment_svc.domain.branch_changes import ChangeKind, Planned
from services.assignment_svc.domain.organisation import Branch, Staff
from services.assignment_svc.store import org
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.usecases import (
    acting_managers,
    branch_changes,
    change_branches,
    change_staff,
    staff_relations,
)
from services.assignment_svc.usecases.change_branches import Edit
from services.assignment_svc.usecases.change_staff import Leaving
from services.assignment_svc.usecases.read_ownership import Reader

CUSTOMERS = tuple(f"c{number:02}" for number in range(14))
AMOUNTS = (None, 0, 100, 119, 120, 144, 145, 1000)


@dataclass(frozen=True)
class Piece:
    """A loan, card or account as the source has it, live on [since, until); its amount may be unknown."""

    kind: str
    piece_id: str
    branch_id: str
    since: date
    until: date
    amount: int | None
    staff_id: str | None


@dataclass
class Source:
    """The bank's other systems. They know nothing of mergers of customers, and learn late of those of branches."""

    chance: random.Random
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    recoded: dict[str, str] = field(default_factory=dict)

    def live(self, since: date, until: date, staff: Sequence[Any], branches: Sequence[str]) -> None:
        """What happens in the days after `since` up to `until`."""
        for customer in CUSTOMERS:
            for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
                self._happens(
                    customer, since + timedelta(days=self.chance.randint(1, max(1, (until - since).days))), staff
                )
            if len(self.pieces.get(customer, ())) < self.chance.choice((1, 2, 4)):
                self._open(customer, until, staff, branches)

    def _happens(self, customer: str, day: date, staff: Sequence[Any]) -> None:
        pieces = self.pieces.get(customer, [])
        live = [number for number, piece in enumerate(pieces) if piece.since < day < piece.until]
        was = self.states.get(customer, "ACTIVE")
        if self.chance.random() < (0.05 if was == "ACTIVE" else 0.5):
            self.states[customer] = self.chance.choice(("FROZEN", "DECEASED")) if was == "ACTIVE" else "ACTIVE"
        elif live:
            number = self.chance.choice(live)
            piece = pieces[number]
            here = [one.staff_id for one in staff if one.branch_id == piece.branch_id]
            pieces[number] = self.chance.choice(
                (
                    replace(piece, until=day),
                    replace(piece, amount=self.chance.choice(AMOUNTS)),
                    replace(piece, staff_id=self.chance.choice([None, "stranger", *here])),
                )
            )

    def _open(self, customer: str, day: date, staff: Sequence[Any], branches: Sequence[str]) -> None:
        branch = self.chance.choice(branches)
        here = [one.staff_id for one in staff if one.branch_id == branch]
        pieces = self.pieces.setdefault(customer, [])
        kind = self.chance.choice(("account", "account", "loan", "card"))
        amount = self.chance.choice(AMOUNTS[kind == "account" :])
        officer = self.chance.choice([None, "stranger", *here])
        pieces.append(Piece(kind, f"{customer}-{len(pieces)}", branch, day, date.max, amount, officer))

    def learn(self, gone: str, target: str) -> None:
        """From now on it tells of another branch what it told of one that went."""
        for pieces in self.pieces.values():
            pieces[:] = [replace(one, branch_id=target) if one.branch_id == gone else one for one in pieces]

    def facts(self, day: date, customers: Iterable[str] = CUSTOMERS) -> list[dict[str, object]]:
        """What the feed tells of a day."""
        places = sorted({(customer, one.branch_id) for customer in customers for one in self.pieces.get(customer, ())})
        return [self._row(customer, branch, day) for customer, branch in places]

    def _row(self, customer: str, branch: str, day: date) -> dict[str, object]:
        known = [one for one in self.pieces[customer] if one.branch_id == branch]
        live = [one for one in known if one.since <= day < one.until]
        loans, cards, accounts = ([one for one in live if one.kind == kind] for kind in ("loan", "card", "account"))
        loan, card = _largest(loans), _largest(cards)
        return {
            "customer_id": customer,
            "branch_id": branch,
            "loan_live": loan is not None,
            "loan_id": loan and loan.piece_id,
            "loan_outstanding_minor": loan and loan.amount,
            "loan_first_disburse_date": min((one.since for one in loans), default=None),
            "loan_officer_id": loan and loan.staff_id,
            "loan_end_date": max((one.until for one in known if one.kind == "loan" and one.until <= day), default=None),
            "card_live": card is not None,
            "card_id": card and card.piece_id,
            "card_limit_minor": card and card.amount,
            "card_first_open_date": min((one.since for one in cards), default=None),
            "card_manager_id": card and card.staff_id,
            "deposit_live": bool(accounts),
            "deposit_sum_minor": sum(one.amount or 0 for one in accounts),
            "relation_since_date": min(one.since for one in known),
            "last_live_date": max(min(day, one.until - timedelta(days=1)) for one in known),
            "customer_state": self.states.get(customer, "ACTIVE"),
        }


def _largest(pieces: Sequence[Piece]) -> Piece | None:
    return min(pieces, key=lambda one: (one.amount is None, -(one.amount or 0), one.since, one.piece_id), default=None)


HR = Telling("hr", "M", "r", "for good reasons")


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def breaks_off(_done: int, _total: int) -> bool:
    return False


class Organisation:
    """What happens to staff and branches, by chance; each act is a method."""

    def __init__(self, bank: Any) -> None:
        self.bank = bank
        self.database = bank.database
        self.chance = bank.chance

    async def hire(self) -> None:
        branch = self.bank.some(self.bank.seen.open_branches())
        role = "MANAGER" if self.bank.seen.active(self.bank.today, branch, "BRANCH_HEAD") else "BRANCH_HEAD"
        name = f"n{next(self.bank.numbers)}"
        new = Staff(name, name, branch, (role,), None, None, None, None, clock.now())
        await self.database.repeat(lambda tx: change_staff.create_staff(tx, HR, new))

    async def leave(self) -> None:
        """Somebody leaves, today or later, with a successor or without one."""
        staff = await self._some_staff()
        last = self.chance.choice([None, self.bank.today + timedelta(days=self.chance.randint(0, 60))])
        others = self.bank.seen.active(self.bank.today, staff.branch_id)
        successor = self.chance.choice([None, *(one.staff_id for one in others if one.staff_id != staff.staff_id)])
        leaving = Leaving(staff.staff_id, staff.etag, last, successor)
        await self.database.repeat(lambda tx: change_staff.deactivate_staff(tx, HR, leaving))

    async def move(self) -> None:
        staff = await self._some_staff()
        edit = Edit(staff.staff_id, staff.etag, {"branch_id": self.bank.some(self.bank.seen.open_branches())})
        await self.database.repeat(lambda tx: change_staff.update_staff(tx, HR, edit))

    async def _some_staff(self) -> Staff:
        found = self.bank.some(one for one in self.bank.seen.active(self.bank.today) if one.branch_id != "hq")
        async with self.database.read() as conn:
            staff = await org.get_staff(conn, found.staff_id)
        assert staff is not None
        return staff

    async def cover(self) -> None:
        one, other = (self.bank.some(self.bank.seen.active(self.bank.today)) for _ in range(2))
        first = self.bank.today + timedelta(days=self.chance.randint(0, 5))
        until = first + timedelta(days=self.chance.randint(0, 20))
        if one.staff_id == other.staff_id:
            raise self.bank.nobody
        head = self.bank.head_of(other.branch_id)
        arranged = Arranged(other.branch_id, one.staff_id, other.staff_id, "MANAGER", first, until, "on leave")
        caller = self.bank.caller(head)
        await self.database.repeat(lambda tx: acting_managers.arrange(tx, caller, arranged))

    async def declare(self) -> None:
        """A member of the staff says that a customer is his relative: nobody gives him that one by hand."""
        staff = self.bank.some(self.bank.seen.active(self.bank.today))
        customer = self.chance.choice(CUSTOMERS)
        reader, telling = Reader(self.bank.caller(staff), "r", "M"), Telling(staff.staff_id, "M", "r", "")
        told = (customer, "SPOUSE")
        await self.database.repeat(lambda tx: staff_relations.declare(tx, reader, telling, staff.staff_id, told))

    async def found_branch(self) -> None:
        if len(self.bank.seen.open_branches()) > 6:
            raise self.bank.nobody
        name = f"n{next(self.bank.numbers)}"
        new = Branch(name, name, "hq", None, None, None, None, clock.now())
        await self.database.repeat(lambda tx: change_branches.create_branch(tx, HR, new))

    async def rebuild_branches(self) -> None:
        """A branch is merged into another, closed or split; tried first, and perhaps broken off between."""
        kind = self.chance.choice(list(ChangeKind))
        there = self.bank.seen.open_branches()
        if len(there) < 4:
            raise self.bank.nobody
        gone, target = self.chance.sample(there, 2)
        managers = tuple(one.staff_id for one in self.bank.seen.active(self.bank.today, gone))
        chosen = managers[:1] if kind is ChangeKind.SPLIT else ()
        if kind is ChangeKind.SPLIT and not chosen:
            raise self.bank.nobody
        if kind is ChangeKind.CLOSING:
            await self._move_everybody(gone, target)
        planned = Planned(kind, gone, target, chosen, self.bank.today, "for good reasons")
        change = await self.database.repeat(lambda tx: branch_changes.plan(tx, planned, "planner"))
        try:
            would = await branch_changes.try_change(self.database, change.branch_change_id, "boss", goes_on)
            assert (await self.bank.picture()).managed() == self.bank.seen.managed(), "a dry run changed something"
            if self.chance.random() < 0.3:
                await branch_changes.apply_change(self.database, change.branch_change_id, "boss", breaks_off)
            counts = await branch_changes.apply_change(self.database, change.branch_change_id, "boss", goes_on)
        except Refused:
            await self.database.repeat(lambda tx: branch_changes.cancel(tx, change.branch_change_id, "planner"))
            raise
        assert counts == would, "a dry run tells what will be"
        self.bank.tally[f"rebuilt by {kind}"] += 1
        if kind is not ChangeKind.SPLIT and self.chance.random() < 0.5:
            self.bank.source.learn(gone, target)

    async def _move_everybody(self, gone: str, target: str) -> None:
        for one in self.bank.seen.staff.values():
            async with self.database.read() as conn:
                staff = await org.get_staff(conn, one.staff_id)
            if staff is not None and staff.branch_id == gone:
                edit = Edit(staff.staff_id, staff.etag, {"branch_id": target})
                await self.database.repeat(lambda tx, edit=edit: change_staff.update_staff(tx, HR, edit))


@pytest.fixture
def source_by_chance() -> Callable[[random.Random], Source]:
    return Source


@pytest.fixture
def organisation_by_chance() -> Callable[[Any], Organisation]:
    return Organisation
