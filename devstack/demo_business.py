"""The demo bank's customers at its outlets: who has business where, and their accounts."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from devstack.demo_columns import Mask, Numbers, amounts, between, day_number, days, ids, pick, rows
from devstack.demo_org import MANAGERS_PER_OUTLET, Org
from devstack.demo_people import People

NO_BUSINESS_SHARE = 0.02
# How many outlets besides the first one a customer has business with: none, one, two, three.
MORE_OUTLETS = (0.70, 0.21, 0.07, 0.02)
TIME_SHARE = 0.28
CLOSED_SHARE = 0.06


@dataclass(frozen=True)
class Accounts:
    """Accounts before their balances are known. The first one of each customer with business comes first."""

    owner: Numbers
    outlet: Numbers
    is_time: Mask
    open_day: Numbers
    close_day: Numbers
    closed: Mask


class Business:
    """Draws who has business where; each table from random numbers of its own: one can change without the others."""

    def __init__(self, people: People, org: Org, seed: int, today: date) -> None:
        self.people = people
        self.org = org
        self.now = day_number(today)
        self._seed = seed
        chance = self.chance(3)
        count = people.count
        outlets = len(org.outlet_ids)
        self.active = chance.random(count) >= NO_BUSINESS_SHARE
        self.adult = self.active & people.adult
        # Some outlets are several times as large as others.
        weights = 1 / np.sqrt(np.arange(1, outlets + 1))
        self.home = chance.choice(outlets, count, p=weights / weights.sum())
        self.more = np.where(self.active, chance.choice(len(MORE_OUTLETS), count, p=MORE_OUTLETS), 0)

    def chance(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number])

    def _other_outlet(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        """An outlet that is not the customer's first one."""
        outlets = len(self.org.outlet_ids)
        return (self.home[owner] + chance.integers(1, outlets, len(owner))) % outlets

    def an_outlet(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        """Mostly the customer's first outlet; for those with several, another one as often."""
        elsewhere = (self.more[owner] > 0) & (chance.random(len(owner)) < 0.5)  # noqa: PLR2004 - evens
        return np.where(elsewhere, self._other_outlet(chance, owner), self.home[owner])

    def since(self, chance: np.random.Generator, owner: Numbers) -> Numbers:
        return between(chance, self.people.since_day[owner], self.now)

    def officer(self, chance: np.random.Generator, outlet: Numbers) -> Numbers:
        """One of the outlet's managers, as a number of the staff."""
        return self.org.officers[outlet, chance.integers(0, MANAGERS_PER_OUTLET, len(outlet))]

    def accounts(self) -> Accounts:
        """A demand account at each outlet of a customer, and time deposits at some."""
        chance = self.chance(4)
        everyone = np.arange(self.people.count)
        first = everyone[self.active]
        further = np.repeat(everyone, self.more)
        saver = everyone[self.active & (chance.random(self.people.count) < TIME_SHARE)]
        owner = np.concatenate([first, further, saver])
        outlet = np.concatenate([self.home[first], self._other_outlet(chance, further), self.an_outlet(chance, saver)])
        is_time = np.arange(len(owner)) >= len(first) + len(further)
        open_day = self.since(chance, owner)
        open_day[: len(first)] = self.people.since_day[first]
        closed = (chance.random(len(owner)) < CLOSED_SHARE) & (open_day < self.now)
        close_day = between(chance, open_day, self.now)
        return Accounts(owner, outlet, is_time, open_day, close_day, closed)

    def first_account(self) -> Numbers:
        """The number of each customer's first account, else -1."""
        return np.where(self.active, np.cumsum(self.active) - 1, -1)

    def accounts_table(self, accounts: Accounts, balance: Numbers, unknown: Mask) -> pa.Table:
        numbers = np.arange(len(accounts.owner))
        # Time deposits are rolled over each year.
        maturity = self.now + 365 - (self.now - accounts.open_day) % 365
        return rows(
            "accounts",
            {
                "account_id": ids("A", numbers + 1, 9),
                "customer_id": self.people.ids(accounts.owner),
                "branch_id": pick(self.org.outlet_ids, accounts.outlet),
                "kind": pick(("DEMAND", "TIME"), accounts.is_time.astype(np.int64)),
                "open_date": days(accounts.open_day),
                "close_date": days(accounts.close_day, ~accounts.closed),
                "maturity_date": days(maturity, ~accounts.is_time | accounts.closed),
                "balance_minor": amounts(balance, unknown),
            },
        )
