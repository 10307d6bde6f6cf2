"""Allocation against a slow model of one customer, written from the text of domain.md 3 and nothing else.

The model looks at every loan, card and account on its own, day by day; `allocate` gets what the feed would tell of
them. Both go through random lives of customers, night by night, with nights left out.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.assignment_svc.domain.allocation import allocate
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Customer,
    Duty,
    Hold,
    HoldKind,
    LiveCard,
    LiveLoan,
    Night,
    OfficerOverride,
    Outcome,
    Policy,
)

BRANCHES = ("b1", "b2", "b3")
STAFF = ("s1", "s2", "s3", "s4")
START = date(2024, 1, 1)
DAYS = 900
POLICY = Policy(1, 90, 90, 120, 12, 30, 15)
AMOUNTS = (None, 0, 1, 100, 119, 120, 121, 144, 145, 1000)


@dataclass(frozen=True)
class Piece:
    """One loan, card or account: live on [since, until), with an amount (None: unknown) and who looks after it."""

    kind: str
    piece_id: str
    branch_id: str
    since: date
    until: date
    amounts: tuple[int | None, int | None]
    staff_id: str | None

    def is_live(self, day: date) -> bool:
        return self.since <= day < self.until

    def amount(self, day: date) -> int | None:
        """What it amounts to; it changes once, in the middle of its life."""
        return self.amounts[day >= self.since + (self.until - self.since) / 2]


@dataclass
class Model:
    """One customer's owners as the text says: by branch the side, the rule and the manager."""

    primary: str | None = None
    rows: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    former_since: date | None = None
    state: str | None = None

    def night(self, life: "Life", day: date) -> None:
        """Decides over one business date."""
        if life.is_frozen(day) and self.rows:
            self.state = "FROZEN"
            return
        if not any(life.live(day, b) or life.runs_off(day, b) or life.in_grace(day, b) for b in BRANCHES):
            self._end(day, frozen=life.is_frozen(day))
            return
        if self.former_since and day > _a_year_after(self.former_since):
            self.primary, self.named = None, {}
        won = self._winner(life, day)
        rule, branch_id, held = won
        rows = {branch_id: ("PRIMARY", rule, self._manager(life, branch_id, day, held))}
        for other in BRANCHES:
            if other != branch_id and (life.live(day, other) or life.runs_off(day, other)):
                kind = "SECONDARY" if life.live(day, other) else "RUN_OFF"
                rows[other] = ("SECONDARY", kind, self._manager(life, other, day, None))
        self.named = {b: s for b, s in self.named.items() if b in rows}
        self.primary, self.rows, self.former_since = branch_id, rows, None
        self.state = "FROZEN" if life.is_frozen(day) else "LIVE"

    def _end(self, day: date, *, frozen: bool) -> None:
        """No live business for 90 days: the last row stays as it is."""
        if self.primary is None:
            self.state, self.rows = None, {}
            return
        self.rows = {self.primary: self.rows[self.primary]}
        self.named = {b: s for b, s in self.named.items() if b == self.primary}
        self.former_since = self.former_since or day
        self.state = "FROZEN" if frozen else "FORMER"

    def _winner(self, life: "Life", day: date) -> tuple[str, str, Hold | None]:
        # Rule 7: a loan never breaks a lock or a pending transfer; a protection stands against rules 3 and 4 only.
        for hold in life.strong(day):
            return "HELD", hold.branch_id, hold
        loans = [p for p in life.pieces if p.kind == "loan" and p.is_live(day)]
        if loans:
            return "LOAN", self._contest(loans, day), None
        graces = [(life.loan_end(day, b), b) for b in BRANCHES if life.in_grace(day, b)]
        if graces:
            last = max(end for end, _ in graces if end)
            equal = [b for end, b in graces if end == last]
            return "GRACE", self._stays_or_eldest(life, equal), None
        for hold in life.weak(day):
            return "HELD", hold.branch_id, hold
        for kind, rule in (("card", "CARD"), ("account", "DEPOSIT")):
            pieces = [p for p in life.pieces if p.kind == kind and p.is_live(day)]
            if pieces:
                return rule, self._contest(pieces, day, life if kind == "account" else None), None
        equal = [b for b in BRANCHES if life.runs_off(day, b)]
        if self.primary not in equal:
            last = max(life.last_live(day, b) for b in equal)
            equal = [b for b in equal if life.last_live(day, b) == last]
        return "RUN_OFF", self._stays_or_eldest(life, equal), None

    def _contest(self, pieces: list[Piece], day: date, life: "Life | None" = None) -> str:
        """The largest amount; with an incumbent only who has more, and a fifth more at least, takes over.

        Of loans and cards the largest single one counts, of accounts their sum.
        """
        amounts: dict[str, int | None] = {}
        since: dict[str, date] = {}
        for piece in pieces:
            here, amount = amounts.get(piece.branch_id), piece.amount(day)
            if life is not None:
                amount = (amount or 0) + (here or 0)
            elif here is not None and (amount is None or amount < here):
                amount = here
            amounts[piece.branch_id] = amount
            since[piece.branch_id] = min(since.get(piece.branch_id, date.max), piece.since)
        if life is not None:
            since = {b: life.relation_since(b) for b in amounts}
        able = list(amounts)
        if self.primary in amounts:
            mine = amounts[self.primary] or 0
            able = [b for b in able if (amounts[b] or 0) > mine and (amounts[b] or 0) * 100 >= mine * 120]
            if not able:
                return self.primary
        return min(able, key=lambda b: (amounts[b] is None, -(amounts[b] or 0), since[b], b))

    def _stays_or_eldest(self, life: "Life", equal: list[str]) -> str:
        return self.primary if self.primary in equal else min(equal, key=lambda b: (life.relation_since(b), b))

    def _manager(self, life: "Life", branch_id: str, day: date, held: Hold | None) -> str | None:
        """The officer of the largest loan, else the card's manager, else the named one; who has left: his successor."""
        live = [p for p in life.pieces if p.branch_id == branch_id and p.is_live(day)]
        wanted = held.manager_id if held else None
        for kind in ("loan", "card"):
            first = _largest(p for p in live if p.kind == kind)(day)
            if wanted is None and first is not None:
                wanted = life.officer(first) if kind == "loan" else first.staff_id
        return life.acts(wanted or self.named.get(branch_id), branch_id, day)


def _largest(pieces: Iterable[Piece]):
    ranked = list(pieces)
    return lambda day: min(
        ranked, key=lambda p: (p.amount(day) is None, -(p.amount(day) or 0), p.since, p.piece_id), default=None
    )


def _a_year_after(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return date(day.year + 1, 2, 28)


@dataclass
class Life:
    """What happens to one customer, and who works where."""

    pieces: list[Piece]
    holds: list[Hold]
    overrides: list[OfficerOverride]
    frozen: list[tuple[date, date]]
    work: dict[str, tuple[str, date, str | None]]
    """By staff member: the branch, the first day on which he is gone, his successor."""

    def is_frozen(self, day: date) -> bool:
        return any(since <= day < until for since, until in self.frozen)

    def live(self, day: date, branch_id: str) -> bool:
        return any(p.branch_id == branch_id and p.is_live(day) for p in self.pieces)

    def known(self, day: date, branch_id: str) -> list[Piece]:
        return [p for p in self.pieces if p.branch_id == branch_id and p.since <= day]

    def last_live(self, day: date, branch_id: str) -> date:
        return max(min(day, p.until - timedelta(days=1)) for p in self.known(day, branch_id))

    def runs_off(self, day: date, branch_id: str) -> bool:
        if self.live(day, branch_id) or not self.known(day, branch_id):
            return False
        return (day - self.last_live(day, branch_id)).days <= 90

    def loan_end(self, day: date, branch_id: str) -> date | None:
        ends = [p.until for p in self.known(day, branch_id) if p.kind == "loan" and p.until <= day]
        return max(ends, default=None)

    def in_grace(self, day: date, branch_id: str) -> bool:
        end = self.loan_end(day, branch_id)
        return end is not None and (day - end).days <= 90

    def relation_since(self, branch_id: str) -> date:
        return min(p.since for p in self.pieces if p.branch_id == branch_id)

    def strong(self, day: date) -> list[Hold]:
        standing = [h for h in self.holds if h.kind is not HoldKind.PROTECTION and self._stands(h, day)]
        return sorted(standing, key=lambda h: (h.kind is HoldKind.TRANSFER, h.from_date, h.hold_id))

    def weak(self, day: date) -> list[Hold]:
        standing = [h for h in self.holds if h.kind is HoldKind.PROTECTION and self._stands(h, day)]
        return sorted(standing, key=lambda h: (h.from_date, h.hold_id))

    def _stands(self, hold: Hold, day: date) -> bool:
        if hold.kind is HoldKind.PROTECTION and (day - (hold.last_contact_date or hold.from_date)).days > 30:
            return False
        return hold.from_date <= day and (hold.until_date is None or day < hold.until_date)

    def officer(self, loan: Piece) -> str | None:
        """An approved transfer stands until the source names another officer than it did then."""
        for override in self.overrides:
            if (override.loan_id, override.source_officer_id) == (loan.piece_id, loan.staff_id):
                return override.manager_id
        return loan.staff_id

    def acts(self, staff_id: str | None, branch_id: str, day: date) -> str | None:
        if staff_id not in self.work:
            return None
        place, gone, successor_id = self.work[staff_id]
        if place == branch_id and day < gone:
            return staff_id
        if successor_id in self.work and self.work[successor_id][0] == branch_id and day < self.work[successor_id][1]:
            return successor_id
        return None

    def duties(self, day: date) -> dict[str, Duty]:
        at = {s: (place if day < gone else None) for s, (place, gone, _) in self.work.items()}
        return {s: Duty(at[s], other, at.get(other or "")) for s, (_, _, other) in self.work.items()}

    def facts(self, day: date) -> list[BranchFacts]:
        """What the feed of a business date tells of a branch."""
        return [self._facts(day, b) for b in BRANCHES if self.known(day, b)]

    def _facts(self, day: date, branch_id: str) -> BranchFacts:
        live = [p for p in self.pieces if p.branch_id == branch_id and p.is_live(day)]
        loans, cards, accounts = ([p for p in live if p.kind == kind] for kind in ("loan", "card", "account"))
        loan, card = _largest(loans)(day), _largest(cards)(day)
        return BranchFacts(
            branch_id,
            loan and LiveLoan(loan.piece_id, loan.amount(day), min(p.since for p in loans), loan.staff_id),
            self.loan_end(day, branch_id),
            card and LiveCard(card.piece_id, card.amount(day), min(p.since for p in cards), card.staff_id),
            bool(accounts),
            sum(p.amount(day) or 0 for p in accounts) if accounts else None,
            self.relation_since(branch_id),
            self.last_live(day, branch_id),
        )


def a_life(chance: random.Random) -> Life:
    def day() -> date:
        return START + timedelta(days=chance.randrange(DAYS))

    def piece(number: int) -> Piece:
        since = day()
        until = since + timedelta(days=chance.choice([1, 30, 89, 90, 91, 200, 400]))
        first, then = chance.choice(AMOUNTS), chance.choice(AMOUNTS)
        kind = chance.choice(["loan", "card", "account"])
        # The balance of an account is always known.
        amounts = (first or 0, then or 0) if kind == "account" else (first, then)
        staff_id = chance.choice([None, *STAFF, "x"])
        return Piece(kind, f"p{number}", chance.choice(BRANCHES), since, until, amounts, staff_id)

    def hold(number: int) -> Hold:
        since = day()
        ends = chance.choice([None, since + timedelta(days=chance.choice([0, 10, 60, 300]))])
        contact = chance.choice([None, since + timedelta(days=chance.randrange(60))])
        kind = chance.choice(list(HoldKind))
        return Hold(
            f"h{number}", kind, chance.choice(BRANCHES), chance.choice([None, *STAFF, "x"]), since, ends, contact
        )

    pieces = [piece(number) for number in range(chance.choice([1, 2, 4, 8]))]
    if chance.random() < 0.4:
        # He goes, and comes back about a year after he is former.
        since, away = START + timedelta(days=200), timedelta(days=90 + 365 + chance.randint(-40, 40))
        pieces = [Piece("account", "p8", b, since, since + timedelta(days=9), (1, 1), None) for b in BRANCHES[:2]]
        pieces += [replace(p, piece_id="p9", since=p.since + away, until=p.until + away) for p in pieces]
    return Life(
        pieces,
        [hold(number) for number in range(chance.choice([0, 0, 1, 2]))],
        [OfficerOverride(f"p{n}", chance.choice([None, *STAFF]), chance.choice(STAFF)) for n in range(2)],
        [(since, since + timedelta(days=200)) for since in [day()] if chance.random() < 0.2],
        {s: (chance.choice(BRANCHES), day(), chance.choice([None, *STAFF])) for s in STAFF},
    )


@pytest.mark.parametrize("steps", [(1,), (1, 1, 2, 5, 40), (7, 91, 180)], ids=["every night", "some", "few"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_life_of_nights_is_decided_as_the_text_says(steps: tuple[int, ...], seed: int) -> None:
    chance = random.Random(seed)
    life, model, outcome, day = a_life(chance), Model(), Outcome(None, (), None, None), START
    while day < START + timedelta(days=DAYS + 600):
        owners = name_somebody(chance, model, outcome)
        customer = Customer(
            life.is_frozen(day), life.facts(day), owners, life.holds, life.overrides, outcome.former_date
        )
        before, outcome = outcome, allocate(customer, Night(day, POLICY, life.duties(day)))
        model.night(life, day)
        rows = {row.branch_id: (row.side.value, row.rule.value, row.manager_id) for row in outcome.owners}
        assert (rows, outcome.state) == (model.rows, model.state), f"night of {day} after {before}"
        day += timedelta(days=chance.choice(steps))


def name_somebody(chance: random.Random, model: Model, outcome: Outcome):
    """Now and then a head names a manager of his branch's row."""
    if chance.random() > 0.1 or not outcome.owners or model.state != "LIVE":
        return outcome.owners
    row, staff_id = chance.choice(outcome.owners), chance.choice(STAFF)
    model.named[row.branch_id] = staff_id
    return tuple(replace(each, named_manager_id=staff_id) if each == row else each for each in outcome.owners)
