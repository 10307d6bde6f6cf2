"""The demo bank's year of contacts: as over-marketed as the one that the product is made for."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from devstack.demo_columns import Numbers, day_number, ids, instants, pick, rows
from devstack.demo_people import People
from devstack.demo_words import PRODUCTS

CAMPAIGNS_MAX = 156
CAMPAIGNS_MEAN = 5
SMS_MAX = 350
SMS_PER_CAMPAIGN = 2.6
# A prime: any step then visits all campaigns before it comes back to one.
CAMPAIGNS = 401
_CHANNELS = ("SMS", "CALL", "PUSH", "MAIL", "WECHAT", "VISIT")
# Contacts on the other channels, per customer and year.
_OTHERS = (0.0, 0.4, 1.0, 0.05, 0.5, 0.1)
_CLASSES = ("MARKETING", "SERVICE", "RELATIONSHIP", "REGULATORY", "COLLECTION")
_STATES = ("DELIVERED", "ACCEPTED", "UNKNOWN", "FAILED")
_OUTCOMES = ("interested", "refused", "no_answer", "later")
_SOLD = [
    index for index, product in enumerate(PRODUCTS) if product[2] in {"wealth", "insurance", "loan", "card", "deposit"}
]


@dataclass(frozen=True)
class _Drawn:
    customer: Numbers
    channel: Numbers
    message_class: Numbers
    second: Numbers
    """Seconds since 1970, in bank time."""
    campaign: Numbers
    """-1 for none."""


def contacts_table(people: People, seed: int, today: date, traffic: float) -> pa.Table:
    """A year of contacts with a share of the customers, those few included who get far too many."""
    chance = np.random.default_rng([seed, 12])
    reached = np.flatnonzero(people.marketable)
    if traffic < 1:
        reached = np.sort(chance.choice(reached, int(len(reached) * traffic), replace=False))
    marketing = _marketing(chance, people, reached, day_number(today))
    others = _others(chance, reached, day_number(today))
    drawn = _Drawn(*(np.concatenate([getattr(marketing, n), getattr(others, n)]) for n in _Drawn.__annotations__))
    count = len(drawn.customer)
    product = np.array(_SOLD)[drawn.campaign % len(_SOLD)]
    spoken = np.isin(drawn.channel, (_CHANNELS.index("CALL"), _CHANNELS.index("VISIT")))
    in_campaign = drawn.campaign >= 0
    return rows(
        "contacts",
        {
            "contact_id": ids("M", np.arange(count) + 1, 10),
            "customer_id": people.ids(drawn.customer),
            "channel": pick(_CHANNELS, drawn.channel),
            "message_class": pick(_CLASSES, drawn.message_class),
            "contact_time": instants(drawn.second - 8 * 3600),
            "state": pick(_STATES, chance.choice(len(_STATES), count, p=[0.92, 0.03, 0.02, 0.03])),
            "product_id": pick([one[0] for one in PRODUCTS], product, ~in_campaign),
            "campaign_id": ids("X", drawn.campaign + 1, 4, ~in_campaign),
            "outcome": pick(_OUTCOMES, chance.integers(0, len(_OUTCOMES), count), ~spoken),
        },
    )


def _marketing(chance: np.random.Generator, people: People, reached: Numbers, now: int) -> _Drawn:
    """Text messages of campaigns: a mean of 5 campaigns and 14 messages, at most 156 and 350, per person and number."""
    users = people.phone_users[reached]
    limit = np.maximum(SMS_MAX // users, 1)
    campaigns = np.exp(chance.normal(np.log(CAMPAIGNS_MEAN) - 0.72, 1.2, len(reached)) + 0.09).astype(np.int64)
    campaigns = np.minimum(np.minimum(campaigns, CAMPAIGNS_MAX), limit)
    messages = (campaigns * chance.gamma(12, SMS_PER_CAMPAIGN / 12, len(reached)) + chance.random(len(reached))).astype(
        np.int64
    )
    messages = np.clip(messages, campaigns, limit)
    if alone := np.flatnonzero(users == 1)[:1].tolist():
        campaigns[alone], messages[alone] = CAMPAIGNS_MAX, SMS_MAX
    messages = np.where(campaigns > 0, messages, 0)
    return _spread(chance, reached, campaigns, messages, now)


def _spread(chance: np.random.Generator, reached: Numbers, campaigns: Numbers, messages: Numbers, now: int) -> _Drawn:
    """Deals each customer's messages out to his campaigns, which have their weeks in the year."""
    row = np.repeat(np.arange(len(reached)), messages)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(messages) - messages, messages)
    start = chance.integers(0, CAMPAIGNS, len(reached))
    step = chance.integers(1, CAMPAIGNS, len(reached))
    campaign = (start[row] + step[row] * (turn % np.maximum(campaigns, 1)[row])) % CAMPAIGNS
    first_day = now - 364 + campaign * 350 // CAMPAIGNS
    day = first_day + (turn // np.maximum(campaigns, 1)[row]) * 3 % 14
    sms = np.zeros(len(row), dtype=np.int64)
    return _Drawn(reached[row], sms, sms, day * 86_400 + _clock(chance, len(row)), campaign)


def _others(chance: np.random.Generator, reached: Numbers, now: int) -> _Drawn:
    """What else reached the customers, outside campaigns."""
    counts = [chance.poisson(mean, len(reached)) for mean in _OTHERS]
    customer = np.concatenate([np.repeat(reached, count) for count in counts])
    channel = np.repeat(np.arange(len(_OTHERS)), [count.sum() for count in counts])
    day = chance.integers(now - 364, now + 1, len(customer))
    kind = chance.choice(len(_CLASSES), len(customer), p=[0.3, 0.4, 0.2, 0.08, 0.02])
    none = np.full(len(customer), -1)
    return _Drawn(customer, channel, kind, day * 86_400 + _clock(chance, len(customer)), none)


def _clock(chance: np.random.Generator, count: int) -> Numbers:
    """Seconds into the day, in the hours in which contacts are made."""
    return chance.integers(9 * 3600, 20 * 3600, count)
