"""What the demo bank's customers said: complaints, consents, and what they do not want to hear."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from devstack.demo_business import Business
from devstack.demo_columns import Numbers, ids, instants, pick, rows
from devstack.demo_words import PRODUCTS

COMPLAINT_SHARE = 0.01
OPEN_SHARE = 0.25
# So many adults were asked, so many of them took it back, and so many want no messages of some sort.
CONSENT_SHARE = 0.6
WITHDRAWN_SHARE = 0.05
SMS_CONSENT_SHARE = 0.15
OPT_OUT_SHARE = 0.03
_COMPLAINT_CHANNELS = ("hotline", "counter", "mobile_bank", "regulator")
_COMPLAINT_CATEGORIES = ("service", "fees", "marketing", "products", "cards")
_CHANNELS = ("ALL", "SMS", "CALL", "PUSH", "MAIL", "WECHAT")
_CATEGORIES = ("ALL", *dict.fromkeys(product[2] for product in PRODUCTS))


def said_tables(business: Business) -> Iterator[tuple[str, pa.Table]]:
    """The tables `complaints`, `consents` and `opt_outs`."""
    people = business.people
    told = np.flatnonzero(people.adult)
    yield "complaints", _complaints(business, told)
    yield "consents", _consents(business, told)
    yield "opt_outs", _opt_outs(business, told)


def _instants(chance: np.random.Generator, day: Numbers, now: int) -> Numbers:
    """Seconds since 1970, UTC, in the hours in which people speak with their bank; never after the day `now`."""
    return np.minimum(day, now) * 86_400 + chance.integers(1 * 3600, 10 * 3600, len(day))


def _complaints(business: Business, told: Numbers) -> pa.Table:
    chance = business.chance(19)
    now = business.now
    customer = told[chance.random(len(told)) < COMPLAINT_SHARE]
    count = len(customer)
    opened = now - chance.integers(0, 365, count)
    closed = opened + chance.integers(1, 30, count)
    # What came weeks ago is settled, but for a few.
    still_open = (closed > now) | (chance.random(count) < OPEN_SHARE)
    return rows(
        "complaints",
        {
            "complaint_id": ids("P", np.arange(count) + 1, 8),
            "customer_id": business.people.ids(customer),
            "channel": pick(_COMPLAINT_CHANNELS, chance.integers(0, len(_COMPLAINT_CHANNELS), count)),
            "category": pick(_COMPLAINT_CATEGORIES, chance.integers(0, len(_COMPLAINT_CATEGORIES), count)),
            "open_time": instants(_instants(chance, opened, now)),
            "close_time": instants(_instants(chance, closed, now), still_open),
        },
    )


def _consents(business: Business, told: Numbers) -> pa.Table:
    """Most agreed to everything at once, some to text messages alone; some took it back."""
    chance = business.chance(20)
    everything = told[chance.random(len(told)) < CONSENT_SHARE]
    messages = told[chance.random(len(told)) < SMS_CONSENT_SHARE]
    customer = np.concatenate([everything, messages])
    count = len(customer)
    channel = np.repeat([_CHANNELS.index("ALL"), _CHANNELS.index("SMS")], [len(everything), len(messages)])
    given = np.maximum(business.people.since_day[customer], business.now - chance.integers(0, 1_500, count))
    return rows(
        "consents",
        {
            "customer_id": business.people.ids(customer),
            "channel": pick(_CHANNELS, channel),
            "category": pick(("ALL",), np.zeros(count, dtype=np.int64)),
            "state": pick(("GRANTED", "WITHDRAWN"), (chance.random(count) < WITHDRAWN_SHARE).astype(np.int64)),
            "state_time": instants(_instants(chance, given, business.now)),
            "version": pick(("2021-11", "2024-03"), chance.integers(0, 2, count)),
            "proof": ids("form ", np.arange(count) + 1, 8),
        },
    )


def _opt_outs(business: Business, told: Numbers) -> pa.Table:
    chance = business.chance(21)
    customer = told[chance.random(len(told)) < OPT_OUT_SHARE]
    count = len(customer)
    # Text messages most of all; every third one means everything.
    channel = chance.choice(len(_CHANNELS), count, p=[0.2, 0.5, 0.2, 0.05, 0.01, 0.04])
    category = np.where(chance.random(count) < 1 / 3, 0, chance.integers(1, len(_CATEGORIES), count))
    return rows(
        "opt_outs",
        {
            "customer_id": business.people.ids(customer),
            "channel": pick(_CHANNELS, channel),
            "category": pick(_CATEGORIES, category),
            "opt_out_time": instants(_instants(chance, business.now - chance.integers(0, 700, count), business.now)),
        },
    )
