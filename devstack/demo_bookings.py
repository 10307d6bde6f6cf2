"""The demo bank's 90 days of transactions, with regular income from the months before."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from chassis.clock import bank_noon
from devstack.demo_business import Accounts, Business
from devstack.demo_columns import Mask, Numbers, amounts, between, flags, ids, instants, lognormal_minor, pick, rows
from devstack.demo_holdings import Holdings
from devstack.demo_patterns import PATTERN_OPERATIONS, Moves, draw_patterns

DAYS = 90
_EPOCH = date(1970, 1, 1).toordinal()
PER_ACCOUNT_MEAN = 9
REVERSED_SHARE = 0.003
OWN_TRANSFER_SHARE = 0.03
# Of those who have the mobile bank, so many transfers are made there; of the others' cash, half at the counter.
MOBILE_SHARE = 0.8

# operation, direction, how often, median in units, spread, standing order. Wages and pensions come once a month, to
# those who have them paid here (demo_patterns).
_SORTS = (
    ("salary", "IN", 0, 6_000, 0.4, False),
    ("pension", "IN", 0, 2_500, 0.3, False),
    ("transfer_in", "IN", 19, 1_500, 1.5, False),
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
_CHANNELS = ("COUNTER", "ATM", "POS", "MOBILE", "ONLINE", "SYSTEM")
_COUNTER, _ATM, _POS, _MOBILE, _ONLINE, _SYSTEM = range(len(_CHANNELS))
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


def make_bookings(business: Business, accounts: Accounts, holdings: Holdings, traffic: float) -> Bookings:
    """Bookings on open demand accounts, with transfers between a customer's own accounts and reversals among them."""
    chance = business.chance(9)
    people, now = business.people, business.now
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
    usual = _of_moves(Moves(account, day, sort, amount), chance)
    patterns = draw_patterns(business, accounts, holdings, traffic)
    of_patterns = Moves(
        patterns.account,
        patterns.day,
        np.array([_OPERATIONS.index(name) for name in PATTERN_OPERATIONS])[patterns.sort],
        patterns.amount,
    )
    drawn = _joined(_with_own_transfers(chance, usual, accounts), _of_moves(of_patterns, chance))
    offset = bank_noon(date.fromordinal(_EPOCH + now)).utcoffset()
    assert offset is not None, "bank time has an offset"
    return _numbered(_with_reversals(chance, drawn), int(offset.total_seconds()))


def _of_moves(moves: Moves, chance: np.random.Generator) -> Bookings:
    """Bookings during the day, none of them special."""
    count = len(moves.account)
    return Bookings(
        account=moves.account,
        second=moves.day * 86_400 + chance.integers(8 * 3600, 21 * 3600, count),
        day=moves.day,
        sort=moves.sort,
        incoming=~_OUT[moves.sort],
        amount=moves.amount,
        own_transfer=np.zeros(count, dtype=bool),
        undoes=np.full(count, -1),
    )


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


def transactions_table(business: Business, accounts: Accounts, holdings: Holdings, booked: Bookings) -> pa.Table:
    chance = business.chance(10)
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
            "channel": pick(_CHANNELS, _channel(business, accounts, holdings, booked)),
        },
    )


def _channel(business: Business, accounts: Accounts, holdings: Holdings, booked: Bookings) -> Numbers:
    """Where each booking was made: with a mobile or net bank mostly there, without at the counter or a machine."""
    chance = business.chance(17)
    owner = accounts.owner[booked.account]
    mobile, online = (holdings.holders(name, business.people.count)[owner] for name in ("mobile_bank", "e_bank"))
    draw = chance.random((2, len(owner)))
    cash = np.where(draw[0] < 0.5, _COUNTER, _ATM)  # noqa: PLR2004 - evens
    paid = np.where(mobile & (draw[0] < 0.4), _MOBILE, _POS)  # noqa: PLR2004 - with the phone
    sent = np.where(online, np.where(draw[1] < 0.9, _ONLINE, _COUNTER), cash)  # noqa: PLR2004 - mostly
    sent = np.where(mobile & (draw[0] < MOBILE_SHARE), _MOBILE, sent)
    standing = np.array([*(sort[5] for sort in _SORTS), False])[booked.sort] & ~booked.own_transfer
    channel = np.full(len(owner), _SYSTEM)
    for names, made in ((("cash_in", "cash_out"), cash), (("card_payment",), paid), (("transfer_out",), sent)):
        chosen = np.isin(booked.sort, [i for i, name in enumerate(_OPERATIONS) if name in names]) & ~standing
        channel[chosen] = made[chosen]
    return channel
