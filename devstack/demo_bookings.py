"""The demo bank's 90 days of transactions, and the balances that they lead to."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from chassis.clock import bank_noon
from devstack.demo_business import Accounts
from devstack.demo_columns import (
    Mask,
    Numbers,
    amounts,
    between,
    day_number,
    days,
    flags,
    ids,
    instants,
    lognormal_minor,
    pick,
    rows,
)
from devstack.demo_people import People

DAYS = 90
PER_ACCOUNT_MEAN = 10
REVERSED_SHARE = 0.003
OWN_TRANSFER_SHARE = 0.03
UNKNOWN_BALANCE_SHARE = 0.001
OVERDRAWN_SHARE = 0.01
# Balances are told from this many days back, if the account is older.
_BALANCES_FROM = 120

# operation, direction, how often, median in units, spread, standing order
_SORTS = (
    ("salary", "IN", 6, 6_000, 0.4, False),
    ("pension", "IN", 3, 2_500, 0.3, False),
    ("transfer_in", "IN", 14, 1_500, 1.5, False),
    ("cash_in", "IN", 8, 2_000, 1.2, False),
    ("interest_credit", "IN", 4, 20, 1.0, False),
    ("transfer_out", "OUT", 14, 1_200, 1.5, False),
    ("transfer_out", "OUT", 4, 1_000, 0.6, True),
    ("cash_out", "OUT", 14, 1_000, 0.9, False),
    ("card_payment", "OUT", 22, 120, 1.2, False),
    ("household", "OUT", 5, 200, 0.5, True),
    ("loan_instalment", "OUT", 3, 3_000, 0.6, True),
    ("insurance", "OUT", 1, 1_500, 0.5, True),
    ("fee", "OUT", 2, 10, 0.3, False),
)
_OPERATIONS = tuple(sort[0] for sort in _SORTS)
_REVERSAL = len(_SORTS)
_OWN_IN = _OPERATIONS.index("transfer_in")
_OWN_OUT = _OPERATIONS.index("transfer_out")
_OUT = np.array([sort[1] == "OUT" for sort in _SORTS])
_BANKS = ("工商银行", "农业银行", "中国银行", "建设银行", "邮储银行")


@dataclass(frozen=True)
class Bookings:
    """Transactions in the order of their numbers."""

    account: Numbers
    second: Numbers
    """Seconds since 1970, UTC."""
    day: Numbers
    """The day of bank time."""
    sort: Numbers
    incoming: Mask
    amount: Numbers
    own_transfer: Mask
    undoes: Numbers
    """The number of the booking that this one reverses, else -1."""


def make_bookings(people: People, accounts: Accounts, seed: int, today: date, traffic: float) -> Bookings:
    """Bookings on open demand accounts, with transfers between a customer's own accounts and reversals among them."""
    chance = np.random.default_rng([seed, 9])
    now = day_number(today)
    busy = np.flatnonzero(~accounts.is_time & ~accounts.closed & (accounts.open_day < now))
    # Few accounts have very many.
    rate = PER_ACCOUNT_MEAN * traffic * np.exp(chance.normal(-0.32, 0.8, len(busy)))
    account = np.repeat(busy, chance.poisson(rate))
    count = len(account)
    day = between(chance, np.maximum(accounts.open_day[account] + 1, now - DAYS + 1), now)
    weights = np.array([sort[2] for sort in _SORTS], dtype=float)
    sort = chance.choice(len(_SORTS), count, p=weights / weights.sum())
    median = np.array([sort[3] for sort in _SORTS])[sort] * np.where(people.corporate[accounts.owner[account]], 20, 1)
    amount = lognormal_minor(chance, median, 1.0, count)
    spread = np.array([sort[4] for sort in _SORTS])[sort]
    amount = np.maximum((amount / (median * 100)) ** spread * median * 100, 1).astype(np.int64)
    clock = chance.integers(8 * 3600, 21 * 3600, count)
    drawn = Bookings(
        account, day * 86_400 + clock, day, sort, ~_OUT[sort], amount, np.zeros(count, dtype=bool), np.full(count, -1)
    )
    offset = bank_noon(today).utcoffset()
    assert offset is not None, "bank time has an offset"
    return _numbered(_with_reversals(chance, _with_own_transfers(chance, drawn, accounts)), int(offset.total_seconds()))


def _joined(one: Bookings, other: Bookings) -> Bookings:
    return Bookings(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in Bookings.__annotations__))


def _with_own_transfers(chance: np.random.Generator, drawn: Bookings, accounts: Accounts) -> Bookings:
    """Sends some outgoing transfers to another open account of the same customer, where they come in a second later."""
    sibling = _siblings(accounts)[drawn.account]
    chosen = (chance.random(len(drawn.account)) < OWN_TRANSFER_SHARE / 2) & (sibling >= 0) & ~drawn.incoming
    chosen &= accounts.open_day[sibling] < drawn.day
    drawn.sort[chosen] = _OWN_OUT
    drawn.own_transfer[chosen] = True
    arriving = Bookings(
        sibling[chosen],
        drawn.second[chosen] + 1,
        drawn.day[chosen],
        np.full(chosen.sum(), _OWN_IN),
        np.ones(chosen.sum(), dtype=bool),
        drawn.amount[chosen],
        np.ones(chosen.sum(), dtype=bool),
        drawn.undoes[chosen],
    )
    return _joined(drawn, arriving)


def _siblings(accounts: Accounts) -> Numbers:
    """For each account the next open demand account of its owner, else -1."""
    usable = np.flatnonzero(~accounts.is_time & ~accounts.closed)
    ordered = usable[np.argsort(accounts.owner[usable], kind="stable")]
    sibling = np.full(len(accounts.owner), -1)
    same = accounts.owner[ordered[:-1]] == accounts.owner[ordered[1:]]
    sibling[ordered[:-1][same]] = ordered[1:][same]
    return sibling


def _with_reversals(chance: np.random.Generator, booked: Bookings) -> Bookings:
    """Undoes some bookings ten minutes later."""
    undone = np.flatnonzero((chance.random(len(booked.account)) < REVERSED_SHARE) & ~booked.own_transfer)
    return _joined(
        booked,
        Bookings(
            booked.account[undone],
            booked.second[undone] + 600,
            booked.day[undone],
            np.full(len(undone), _REVERSAL),
            ~booked.incoming[undone],
            booked.amount[undone],
            booked.own_transfer[undone],
            undone,
        ),
    )


def _numbered(booked: Bookings, offset_seconds: int) -> Bookings:
    """Puts the bookings in the order of time, in UTC."""
    order = np.lexsort((booked.account, booked.second))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    undoes = booked.undoes[order]
    return Bookings(
        booked.account[order],
        booked.second[order] - offset_seconds,
        booked.day[order],
        booked.sort[order],
        booked.incoming[order],
        booked.amount[order],
        booked.own_transfer[order],
        np.where(undoes >= 0, number[undoes], -1),
    )


def transactions_table(booked: Bookings, seed: int) -> pa.Table:
    chance = np.random.default_rng([seed, 10])
    count = len(booked.account)
    names = (*_OPERATIONS, "reversal")
    is_transfer = np.isin(booked.sort, [index for index, name in enumerate(names) if name.startswith("transfer")])
    elsewhere = is_transfer & ~booked.own_transfer
    standing = np.array([*(sort[5] for sort in _SORTS), False])[booked.sort]
    return rows(
        "transactions",
        {
            "transaction_id": ids("T", np.arange(count) + 1, 10),
            "account_id": ids("A", booked.account + 1, 9),
            "event_time": instants(booked.second),
            "direction": pick(("OUT", "IN"), booked.incoming.astype(np.int64)),
            "amount_minor": amounts(booked.amount),
            "operation": pick(names, booked.sort),
            "counterparty_bank": pick(_BANKS, chance.integers(0, len(_BANKS), count), ~elsewhere),
            "counterparty_account": ids("62", chance.integers(0, 10**9, count), 16, ~elsewhere),
            "standing_order": flags(standing & ~booked.own_transfer),
            "own_transfer": flags(booked.own_transfer),
            "reversed_transaction_id": ids("T", booked.undoes + 1, 10, booked.undoes < 0),
        },
    )


@dataclass(frozen=True)
class Balances:
    """The balance of each account on the business date, and the rows that lead there."""

    ending: Numbers
    unknown: Mask
    table: pa.Table


def make_balances(people: People, accounts: Accounts, booked: Bookings, seed: int, today: date) -> Balances:
    """Balances that fit the transactions: an opening one, then one for each day on which something was booked."""
    chance = np.random.default_rng([seed, 11])
    count = len(accounts.owner)
    now = day_number(today)
    order = np.lexsort((booked.day, booked.account))
    account, day = booked.account[order], booked.day[order]
    running = _running(account, np.where(booked.incoming, booked.amount, -booked.amount)[order])
    median = np.where(accounts.is_time, 30_000, 6_000) * np.where(people.corporate[accounts.owner], 20, 1)
    lowest = np.zeros(count, dtype=np.int64)
    np.minimum.at(lowest, account, running)
    opening = lognormal_minor(chance, median, 1.6, count) - np.where(chance.random(count) < OVERDRAWN_SHARE, 0, lowest)
    last_of_day = np.append((account[1:] != account[:-1]) | (day[1:] != day[:-1]), True)[: len(account)]
    ending = np.where(accounts.closed, 0, opening)
    last_of_account = np.append(account[1:] != account[:-1], True)[: len(account)]
    ending[account[last_of_account]] += running[last_of_account]
    # An account that was closed long ago had its last balance before the window.
    told = ~accounts.closed | (accounts.close_day > now - _BALANCES_FROM)
    first_day = np.maximum(accounts.open_day, now - _BALANCES_FROM)
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


def _running(group: Numbers, value: Numbers) -> Numbers:
    """The running sum within each group; rows of a group stand together."""
    total = np.cumsum(value)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(group)])
    before = np.zeros(len(group), dtype=np.int64)
    before[starts] = np.diff(np.append(0, total[starts] - value[starts]))
    return total - np.cumsum(before)
