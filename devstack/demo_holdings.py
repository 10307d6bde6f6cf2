"""The demo bank's sign-ups: what the customers hold besides accounts, loans and cards."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from devstack.demo_business import Business
from devstack.demo_columns import Mask, Numbers, amounts, between, days, lognormal_minor, pick, rows
from devstack.demo_words import HOLDING_SHARES, PRODUCTS

SIGNED_OFF_SHARE = 0.08
_IDS = [product[0] for product in PRODUCTS]
_RETIRED_DAYS = 60 * 365
_WEALTH_DAYS = np.array([90, 180, 365])
# Of those who buy wealth products, so many keep one without an end.
_ENDLESS_SHARE = 0.3


@dataclass(frozen=True)
class Holdings:
    """Who signed up for which product."""

    owner: Numbers
    product: Numbers
    start: Numbers
    closed: Mask

    def holders(self, name: str, count: int) -> Mask:
        """Which of `count` customers hold a product now."""
        held = np.zeros(count, dtype=bool)
        held[self.owner[(self.product == _IDS.index(name)) & ~self.closed]] = True
        return held


def draw_holdings(business: Business) -> Holdings:
    """Sign-ups of those for whom the product is made: wages are paid to people of working age, pensions to the old."""
    chance = business.chance(7)
    people = business.people
    old = business.now - people.birth_day >= _RETIRED_DAYS
    person = business.adult & ~people.corporate
    eligible = {
        "payroll": person & ~old,
        "pension": person & old,
        "merchant": business.adult & (people.corporate | (chance.random(people.count) < 0.1)),  # noqa: PLR2004 - shopkeepers
        "wealth": business.adult,
        "insurance": person,
    }
    owned = [
        np.flatnonzero(eligible.get(name, business.active) & (chance.random(people.count) < share))
        for name, share in zip(_IDS, HOLDING_SHARES, strict=False)
    ]
    owner = np.concatenate(owned)
    start = business.since(chance, owner)
    return Holdings(
        owner=owner,
        product=np.repeat(np.arange(len(owned)), [len(one) for one in owned]),
        start=start,
        closed=(chance.random(len(owner)) < SIGNED_OFF_SHARE) & (start < business.now),
    )


def holdings_table(business: Business, holdings: Holdings) -> pa.Table:
    """Sign-ups at the customer's first outlet; wealth products and insurances have an amount and an end."""
    chance = business.chance(16)
    count = len(holdings.owner)
    now, start = business.now, holdings.start
    insurance = holdings.product == _IDS.index("insurance")
    held = insurance | (holdings.product == _IDS.index("wealth"))
    # A term that is over begins again.
    term = np.where(insurance, 365 * chance.integers(5, 21, count), _WEALTH_DAYS[chance.integers(0, 3, count)])
    maturity = start + ((now - start) // term + 1) * term
    endless = ~held | holdings.closed | (~insurance & (chance.random(count) < _ENDLESS_SHARE))
    return rows(
        "holdings",
        {
            "customer_id": business.people.ids(holdings.owner),
            "branch_id": pick(business.org.outlet_ids, business.home[holdings.owner]),
            "product_code": pick(_IDS, holdings.product),
            "open_date": days(start),
            "close_date": days(between(chance, start, now), ~holdings.closed),
            "amount_minor": amounts(
                lognormal_minor(chance, np.where(insurance, 20_000, 60_000), 1.1, count), ~held | holdings.closed
            ),
            "maturity_date": days(maturity, endless),
        },
    )
