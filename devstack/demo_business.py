"""The demo bank's accounts, loans, cards, holdings and relations: who has what at which outlets."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from devstack.demo_columns import (
    MINOR,
    Mask,
    Numbers,
    amounts,
    between,
    day_number,
    days,
    flags,
    ids,
    lognormal_minor,
    pick,
    rows,
)
from devstack.demo_org import MANAGERS_PER_OUTLET, Org
from devstack.demo_people import ADULT_DAYS, People
from devstack.demo_words import HOLDING_SHARES, PRODUCTS

NO_BUSINESS_SHARE = 0.02
# How many outlets besides the first one a customer has business with: none, one, two, three.
MORE_OUTLETS = (0.70, 0.21, 0.07, 0.02)
TIME_SHARE = 0.28
CLOSED_SHARE = 0.06
BORROWER_SHARE = 0.18
CARD_SHARE = 0.25
UNKNOWN_SHARE = 0.02
_LOAN_PRODUCTS = ("consumer_loan", "mortgage", "business_loan", "revolving_line")
_LOAN_MEDIANS = np.array([60_000, 450_000, 300_000, 150_000])
_LOAN_MONTHS = np.array([36, 240, 24, 36])
_LOAN_STATES = ("LIVE", "SETTLED", "WRITTEN_OFF")
_CARD_PRODUCTS = ("standard", "gold", "platinum")
_CARD_LIMITS = np.array([10_000, 50_000, 200_000])


@dataclass(frozen=True)
class Accounts:
    """Accounts before their balances are known."""

    owner: Numbers
    outlet: Numbers
    is_time: Mask
    open_day: Numbers
    close_day: Numbers
    closed: Mask


class Business:
    """Draws who has business where; each table from random numbers of its own: one can change without the others."""

    def __init__(self, people: People, org: Org, seed: int, today: date) -> None:
        self._people = people
        self._org = org
        self._seed = seed
        self._now = day_number(today)
        chance = self._chance(3)
        count = people.count
        outlets = len(org.outlet_ids)
        self.active = chance.random(count) >= NO_BUSINESS_SHARE
        self._adult = self.active & ((self._now - people.birth_day >= ADULT_DAYS) | people.corporate)
        # Some outlets are several times as large as others.
        weights = 1 / np.sqrt(np.arange(1, outlets + 1))
        self.home = chance.choice(outlets, count, p=weights / weights.sum())
        self.more = np.where(self.active, chance.choice(len(MORE_OUTLETS), count, p=MORE_OUTLETS), 0)

    def _chance(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number])

    def _other_outlet(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        """An outlet that is not the customer's first one."""
        outlets = len(self._org.outlet_ids)
        return (self.home[owner] + chance.integers(1, outlets, len(owner))) % outlets

    def _an_outlet(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        """Mostly the customer's first outlet; for those with several, another one as often."""
        elsewhere = (self.more[owner] > 0) & (chance.random(len(owner)) < 0.5)  # noqa: PLR2004 - evens
        return np.where(elsewhere, self._other_outlet(chance, owner), self.home[owner])

    def _since(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        return between(chance, self._people.since_day[owner], self._now)

    def accounts(self) -> Accounts:
        """A demand account at each outlet of a customer, and time deposits at some."""
        chance = self._chance(4)
        everyone = np.arange(self._people.count)
        first = everyone[self.active]
        further = np.repeat(everyone, self.more)
        saver = everyone[self.active & (chance.random(self._people.count) < TIME_SHARE)]
        owner = np.concatenate([first, further, saver])
        outlet = np.concatenate([self.home[first], self._other_outlet(chance, further), self._an_outlet(chance, saver)])
        is_time = np.arange(len(owner)) >= len(first) + len(further)
        open_day = self._since(chance, owner)
        open_day[: len(first)] = self._people.since_day[first]
        closed = (chance.random(len(owner)) < CLOSED_SHARE) & (open_day < self._now)
        close_day = between(chance, open_day, self._now)
        return Accounts(owner, outlet, is_time, open_day, close_day, closed)

    def accounts_table(self, accounts: Accounts, balance: Numbers, unknown: Mask) -> pa.Table:
        numbers = np.arange(len(accounts.owner))
        # Time deposits are rolled over each year.
        maturity = self._now + 365 - (self._now - accounts.open_day) % 365
        return rows(
            "accounts",
            {
                "account_id": ids("A", numbers + 1, 9),
                "customer_id": self._people.ids(accounts.owner),
                "branch_id": pick(self._org.outlet_ids, accounts.outlet),
                "kind": pick(("DEMAND", "TIME"), accounts.is_time.astype(np.int64)),
                "open_date": days(accounts.open_day),
                "close_date": days(accounts.close_day, ~accounts.closed),
                "maturity_date": days(maturity, ~accounts.is_time | accounts.closed),
                "balance_minor": amounts(balance, unknown),
            },
        )

    def loans(self) -> pa.Table:
        """Loans of every product and state; amounts are round, so that some are equal."""
        chance = self._chance(5)
        borrower = np.flatnonzero(self._adult & (chance.random(self._people.count) < BORROWER_SHARE))
        owner = np.concatenate([borrower, borrower[chance.random(len(borrower)) < 0.2]])  # noqa: PLR2004 - a second loan
        count = len(owner)
        outlet = self._an_outlet(chance, owner)
        product = chance.choice(len(_LOAN_PRODUCTS), count, p=[0.45, 0.2, 0.15, 0.2])
        months = _LOAN_MONTHS[product]
        start = between(chance, np.maximum(self._people.since_day[owner], self._now - months * 36), self._now)
        due = start + months * 365 // 12
        state = chance.choice(3, count, p=[0.74, 0.25, 0.01])
        step = 10_000 * MINOR
        principal = np.maximum(lognormal_minor(chance, _LOAN_MEDIANS[product], 0.6, count) // step, 1) * step
        # A line is drawn anyhow; of other loans the part of the time that is left is owed.
        left = np.where(product == 3, chance.random(count) * 0.9, np.clip((due - self._now) / (due - start), 0.02, 1.0))  # noqa: PLR2004 - the line's number and use
        outstanding = np.where(state == 0, (principal * left).astype(np.int64) // MINOR * MINOR, 0)
        close_day = between(chance, np.maximum(start, self._now - 500), self._now)
        officer = self._officer(chance, outlet)
        return rows(
            "loans",
            {
                "loan_id": ids("L", np.arange(count) + 1, 8),
                "customer_id": self._people.ids(owner),
                "branch_id": pick(self._org.outlet_ids, outlet),
                "product": pick(_LOAN_PRODUCTS, product),
                "principal_minor": amounts(principal),
                "outstanding_minor": amounts(outstanding, (state == 0) & (chance.random(count) < UNKNOWN_SHARE)),
                "outstanding_estimated": flags(np.zeros(count, dtype=bool)),
                "disburse_date": days(start),
                "due_date": days(due),
                "close_date": days(close_day, state == 0),
                "state": pick(_LOAN_STATES, state),
                "in_arrears": flags((state == 0) & (chance.random(count) < 0.04)),  # noqa: PLR2004 - arrears are rare
                "officer_id": pick(self._org.staff_ids, officer, chance.random(count) < UNKNOWN_SHARE),
            },
        )

    def _officer(self, chance: np.random.Generator, outlet: Numbers) -> Numbers:
        return self._org.officers[outlet, chance.integers(0, MANAGERS_PER_OUTLET, len(outlet))]

    def cards(self) -> pa.Table:
        """Credit cards, some of them given back."""
        chance = self._chance(6)
        holder = np.flatnonzero(self._adult & (chance.random(self._people.count) < CARD_SHARE))
        owner = np.concatenate([holder, holder[chance.random(len(holder)) < 0.1]])  # noqa: PLR2004 - a second card
        count = len(owner)
        outlet = self._an_outlet(chance, owner)
        product = chance.choice(len(_CARD_PRODUCTS), count, p=[0.7, 0.25, 0.05])
        start = self._since(chance, owner)
        closed = (chance.random(count) < 0.1) & (start < self._now)  # noqa: PLR2004 - given back
        limit = _CARD_LIMITS[product] * MINOR * chance.choice([1, 2, 3], count)
        return rows(
            "cards",
            {
                "card_id": ids("K", np.arange(count) + 1, 8),
                "customer_id": self._people.ids(owner),
                "branch_id": pick(self._org.outlet_ids, outlet),
                "product": pick(_CARD_PRODUCTS, product),
                "limit_minor": amounts(limit, chance.random(count) < UNKNOWN_SHARE),
                "open_date": days(start),
                "close_date": days(between(chance, start, self._now), ~closed),
                "manager_id": pick(self._org.staff_ids, self._officer(chance, outlet)),
            },
        )

    def holdings(self) -> pa.Table:
        """Sign-ups at the customer's first outlet."""
        chance = self._chance(7)
        owned = [np.flatnonzero(self.active & (chance.random(len(self.active)) < share)) for share in HOLDING_SHARES]
        owner = np.concatenate(owned)
        product = np.repeat(np.arange(len(owned)), [len(one) for one in owned])
        start = self._since(chance, owner)
        closed = (chance.random(len(owner)) < 0.08) & (start < self._now)  # noqa: PLR2004 - signed off
        return rows(
            "holdings",
            {
                "customer_id": self._people.ids(owner),
                "branch_id": pick(self._org.outlet_ids, self.home[owner]),
                "product_code": pick([product[0] for product in PRODUCTS], product),
                "open_date": days(start),
                "close_date": days(between(chance, start, self._now), ~closed),
            },
        )

    def relations(self) -> pa.Table:
        """Families on one phone, owners of companies, and people who may only dispose of another's account."""
        chance = self._chance(8)
        everyone = np.arange(self._people.count)
        family = everyone[(self._people.phone < everyone) & (self._people.phone_users <= 3)]  # noqa: PLR2004 - not the faulty ones
        company = everyone[self._people.corporate & (everyone > 0)]
        passive = everyone[~self.active & (everyone > 0)]
        of = np.concatenate([self._people.phone[family], company, passive - 1])
        who = np.concatenate([family, chance.integers(0, company), passive])
        kind = np.repeat([0, 1, 2], [len(family), len(company), len(passive)])
        return rows(
            "relations",
            {
                "customer_id": self._people.ids(of),
                "related_customer_id": self._people.ids(who),
                "kind": pick(("household", "company_owner", "disponent"), kind),
            },
        )
