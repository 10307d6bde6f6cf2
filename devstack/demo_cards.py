"""The demo bank's credit cards: used and unused, some overdue, some given back."""

import numpy as np
import pyarrow as pa

from devstack.demo_business import Business
from devstack.demo_columns import MINOR, Mask, Numbers, amounts, between, days, ids, pick, rows

CARD_SHARE = 0.25
SECOND_SHARE = 0.1
GIVEN_BACK_SHARE = 0.1
UNKNOWN_SHARE = 0.02
# So many cards have not been used for half a year, or never.
DORMANT_SHARE = 0.15
INSTALMENT_SHARE = 0.2
OVERDUE_SHARE = 0.03
_PRODUCTS = ("standard", "gold", "platinum")
_LIMITS = np.array([10_000, 50_000, 200_000])
# The buckets of days overdue: up to 3, 30, 60, 90 and 180.
_OVERDUE_LIMITS = np.array([1, 4, 31, 61, 91, 181])


def cards_table(business: Business) -> pa.Table:
    """Credit cards, with a bill each month."""
    chance = business.chance(6)
    holder = np.flatnonzero(business.adult & (chance.random(business.people.count) < CARD_SHARE))
    owner = np.concatenate([holder, holder[chance.random(len(holder)) < SECOND_SHARE]])
    count = len(owner)
    outlet = business.an_outlet(chance, owner)
    product = chance.choice(len(_PRODUCTS), count, p=[0.7, 0.25, 0.05])
    start = business.since(chance, owner)
    closed = (chance.random(count) < GIVEN_BACK_SHARE) & (start < business.now)
    limit = _LIMITS[product] * MINOR * chance.choice([1, 2, 3], count)
    return rows(
        "cards",
        {
            "card_id": ids("K", np.arange(count) + 1, 8),
            "customer_id": business.people.ids(owner),
            "branch_id": pick(business.org.outlet_ids, outlet),
            "product": pick(_PRODUCTS, product),
            "limit_minor": amounts(limit, chance.random(count) < UNKNOWN_SHARE),
            "open_date": days(start),
            "close_date": days(between(chance, start, business.now), ~closed),
            "manager_id": pick(business.org.staff_ids, business.officer(chance, outlet)),
            **_use(business.chance(15), (start, limit), closed, business.now),
        },
    )


def _use(chance: np.random.Generator, made: tuple[Numbers, Numbers], closed: Mask, now: int) -> dict[str, pa.Array]:
    """What is owed, when a part of it is due, and when the card was last used."""
    start, limit = made
    count = len(start)
    dormant = chance.random(count) < DORMANT_SHARE
    never = dormant & (chance.random(count) < 0.3)  # noqa: PLR2004 - of the dormant ones
    fresh = between(chance, np.maximum(start, now - 60), now)
    last = np.where(dormant, between(chance, np.maximum(np.minimum(start, now - 180), now - 900), now - 180), fresh)
    never |= last < start
    used = np.where(closed | dormant | never, 0, (limit * chance.beta(1.2, 2.2, count)).astype(np.int64))
    instalment = np.where(
        chance.random(count) < INSTALMENT_SHARE, (used * chance.random(count) * 0.6).astype(np.int64), 0
    )
    owes = used > 0
    bucket = chance.integers(0, len(_OVERDUE_LIMITS) - 1, count)
    overdue = between(chance, _OVERDUE_LIMITS[bucket], _OVERDUE_LIMITS[bucket + 1] - 1)
    # The first bill comes after a month and has twenty days.
    overdue = np.minimum(overdue, now - start - 50)
    overdue = np.where(owes & (overdue > 0) & (chance.random(count) < OVERDUE_SHARE), overdue, 0)
    due = between(chance, np.full(count, now), now + 24)
    part = np.where(overdue > 0, used, np.maximum((used - instalment) // 2 + instalment // 6, 1))
    return {
        "used_minor": amounts(used),
        "due_date": days(due, ~owes),
        "due_minor": amounts(part, ~owes),
        "overdue_days": amounts(overdue, closed),
        "instalment_minor": amounts(instalment),
        "last_use_date": days(last, never | (closed & (last > now))),
    }
