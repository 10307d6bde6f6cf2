"""A customer's deposits month by month, as a viewer sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

MONTHS_MAX = 13


@dataclass(frozen=True)
class MonthBalance:
    """One month; None is unknown."""

    month_date: date
    end_minor: int | None
    average_minor: int | None


@dataclass(frozen=True)
class BalanceSeries:
    """The oldest month first, without months of which nothing is known. `total` is None for who does not see it."""

    customer_id: str
    business_date: date
    total: Sequence[MonthBalance] | None
    own: Sequence[MonthBalance]
    own_branch_id: str | None
