"""Bookings that the demo bank's tags and reminders live on: regular income, and money that passes through or leaves."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from devstack.demo_business import Accounts, Business
from devstack.demo_columns import Numbers, between, lognormal_minor
from devstack.demo_holdings import Holdings

PATTERN_OPERATIONS = ("salary", "pension", "transfer_in", "transfer_out", "cash_out")
_SALARY, _PENSION, _IN, _OUT, _CASH = range(len(PATTERN_OPERATIONS))
# Wages and pensions of so many months are told, the one of the business date included.
INCOME_MONTHS = 7
# So many of those with a regular income miss it in one of the months.
GAP_SHARE = 0.05
# Through the accounts of so many customers large sums pass and do not stay.
PASSING_SHARE = 0.01
# So many send money to other banks often, and so many took most of theirs away last month.
SENDING_SHARE = 0.008
LEAVING_SHARE = 0.01
# From here on everybody's bookings are told, and what is spent of an income is among them.
_SPENT_UNTIL = 92


@dataclass(frozen=True)
class Moves:
    """Bookings to be: `sort` is a number of PATTERN_OPERATIONS here."""

    account: Numbers
    day: Numbers
    sort: Numbers
    amount: Numbers


def draw_patterns(business: Business, accounts: Accounts, holdings: Holdings, traffic: float) -> Moves:
    """The bookings of all patterns, with a share of the customers, on the first account of each."""
    chance = business.chance(18)
    account = business.first_account()
    told = chance.random(business.people.count) < traffic
    told &= (account >= 0) & ~accounts.closed[account] & (accounts.open_day[account] < business.now)

    def some(share: float) -> Numbers:
        return account[told & business.adult & (chance.random(len(told)) < share)]

    earners = [account[told & holdings.holders(name, len(told))] for name in ("payroll", "pension")]
    parts = [
        *_incomes(chance, earners, business.now),
        *_passing(chance, some(PASSING_SHARE), business.now),
        _sent(chance, some(SENDING_SHARE), business.now),
        _leaving(chance, some(LEAVING_SHARE), business.now),
    ]
    drawn = Moves(*(np.concatenate([getattr(part, name) for part in parts]) for name in Moves.__annotations__))
    kept = drawn.day > accounts.open_day[drawn.account]
    return Moves(*(getattr(drawn, name)[kept] for name in Moves.__annotations__))


def _incomes(chance: np.random.Generator, earners: list[Numbers], now: int) -> Iterator[Moves]:
    """Wages on the 10th and pensions on the 15th of each month, about the same each time, and what is spent of them."""
    months = (np.datetime64(now, "D").astype("datetime64[M]") - np.arange(INCOME_MONTHS)).astype("datetime64[D]")
    for account, sort, on, median in zip(earners, (_SALARY, _PENSION), (9, 14), (6_500, 2_600), strict=True):
        usual = lognormal_minor(chance, median, 0.4, len(account))
        gap = np.where(chance.random(len(account)) < GAP_SHARE, chance.integers(0, INCOME_MONTHS, len(account)), -1)
        for number, first in enumerate(months.astype(np.int64)):
            paid = (gap != number) & (first + on <= now)
            amount = (usual[paid] * chance.normal(1, 0.05, paid.sum()).clip(0.8, 1.2)).astype(np.int64)
            yield _moves(account[paid], np.full(paid.sum(), first + on), sort, amount)
            spent = between(chance, np.full(paid.sum(), first + on + 2), first + on + 16)
            early = spent < now - _SPENT_UNTIL
            share = chance.uniform(0.5, 0.95, paid.sum())
            yield _moves(account[paid][early], spent[early], _CASH, (amount * share).astype(np.int64)[early])


def _passing(chance: np.random.Generator, account: Numbers, now: int) -> Iterator[Moves]:
    """Three large sums that come in and leave the next day."""
    for weeks in range(3):
        day = between(chance, np.full(len(account), now - 85 + 28 * weeks), now - 65 + 28 * weeks)
        amount = lognormal_minor(chance, 40_000, 0.3, len(account))
        yield _moves(account, day, _IN, amount)
        yield _moves(account, day + 1, _OUT, amount * 98 // 100)


def _sent(chance: np.random.Generator, account: Numbers, now: int) -> Moves:
    """Five to nine transfers within the last 25 days."""
    many = np.repeat(account, chance.integers(5, 10, len(account)))
    return _moves(
        many, between(chance, np.full(len(many), now - 24), now), _OUT, lognormal_minor(chance, 800, 1, len(many))
    )


def _leaving(chance: np.random.Generator, account: Numbers, now: int) -> Moves:
    """Most of the money goes, long enough ago to show in the average of 30 days."""
    day = between(chance, np.full(len(account), now - 28), now - 20)
    return _moves(account, day, _OUT, lognormal_minor(chance, 80_000, 0.5, len(account)))


def _moves(account: Numbers, day: Numbers, sort: int, amount: Numbers) -> Moves:
    return Moves(account, day, np.full(len(account), sort), np.maximum(amount, 1))
