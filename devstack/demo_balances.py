"""The demo bank's balances: 13 months and more of them, such as the transactions lead to."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from devstack.demo_bookings import Bookings
from devstack.demo_business import Accounts, Business
from devstack.demo_columns import Mask, Numbers, amounts, between, days, ids, lognormal_minor, rows

# Wide enough for one customer in fifty to be rich.
BALANCE_SPREAD = 1.4
UNKNOWN_BALANCE_SHARE = 0.001
OVERDRAWN_SHARE = 0.01
# Balances are told from this many days back, if the account is older: before the first day of thirteen whole months.
BALANCES_FROM = 425
# In so many of the months before the transactions an account's balance changes; of a large bank's accounts, fewer do.
EARLIER_CHANGE_SHARE = 0.5
EARLIER_CHANGE_SHARE_MIN = 0.1
_EARLIER_MONTHS = 10
_EARLIER_UNTIL = 95


@dataclass(frozen=True)
class Balances:
    """The balance of each account on the business date, and the rows that lead there."""

    ending: Numbers
    unknown: Mask
    table: pa.Table


def make_balances(business: Business, accounts: Accounts, booked: Bookings, traffic: float) -> Balances:
    """Balances that fit the transactions: an opening one, then one for each day on which something was booked.

    Before the transactions of everybody begin, they change without ones that are told, as a month's bookings would.
    """
    chance = business.chance(11)
    count, now = len(accounts.owner), business.now
    median = np.where(accounts.is_time, 30_000, 6_000) * np.where(business.people.corporate[accounts.owner], 20, 1)
    usual = lognormal_minor(chance, median, BALANCE_SPREAD, count)
    account, day, running = _changes(chance, (accounts, booked), usual, (now, traffic))
    lowest = np.zeros(count, dtype=np.int64)
    np.minimum.at(lowest, account, running)
    opening = usual - np.where(chance.random(count) < OVERDRAWN_SHARE, 0, lowest)
    last_of_day = np.append((account[1:] != account[:-1]) | (day[1:] != day[:-1]), True)[: len(account)]
    ending = np.where(accounts.closed, 0, opening)
    last_of_account = np.append(account[1:] != account[:-1], True)[: len(account)]
    ending[account[last_of_account]] += running[last_of_account]
    # An account that was closed long ago had its last balance before the window.
    told = ~accounts.closed | (accounts.close_day > now - BALANCES_FROM)
    first_day = np.maximum(accounts.open_day, now - BALANCES_FROM)
    opened = np.flatnonzero(told & (~accounts.closed | (accounts.close_day > first_day)))
    emptied = np.flatnonzero(told & accounts.closed)
    parts = (
        (opened, first_day[opened], opening[opened]),
        (emptied, accounts.close_day[emptied], np.zeros(len(emptied), dtype=np.int64)),
        (account[last_of_day], day[last_of_day], (opening[account] + running)[last_of_day]),
    )
    of, at, balance = (np.concatenate(column) for column in zip(*parts, strict=True))
    table = rows(
        "balances",
        {"account_id": ids("A", of + 1, 9), "balance_date": days(at), "balance_minor": amounts(balance)},
    )
    return Balances(ending, chance.random(count) < UNKNOWN_BALANCE_SHARE, table)


def _changes(
    chance: np.random.Generator, told: tuple[Accounts, Bookings], usual: Numbers, size: tuple[int, float]
) -> tuple[Numbers, Numbers, Numbers]:
    """What changes the balances, in the order of accounts and days: account, day and the sum so far."""
    accounts, booked = told
    now, traffic = size
    open_ones = np.flatnonzero(~accounts.is_time & ~accounts.closed)
    share = max(EARLIER_CHANGE_SHARE * traffic, EARLIER_CHANGE_SHARE_MIN)
    account = np.repeat(open_ones, chance.binomial(_EARLIER_MONTHS, share, len(open_ones)))
    day = between(chance, np.full(len(account), now - BALANCES_FROM + 1), now - _EARLIER_UNTIL)
    kept = day > accounts.open_day[account]
    account, day = account[kept], day[kept]
    change = (usual[account] * chance.normal(0.03, 0.25, len(account))).astype(np.int64)
    account = np.concatenate([account, booked.account])
    day = np.concatenate([day, booked.day])
    change = np.concatenate([change, np.where(booked.incoming, booked.amount, -booked.amount)])
    order = np.lexsort((day, account))
    return account[order], day[order], _running(account[order], change[order])


def _running(group: Numbers, value: Numbers) -> Numbers:
    """The running sum within each group; rows of a group stand together."""
    total = np.cumsum(value)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(group)])
    before = np.zeros(len(group), dtype=np.int64)
    before[starts] = np.diff(np.append(0, total[starts] - value[starts]))
    return total - np.cumsum(before)
