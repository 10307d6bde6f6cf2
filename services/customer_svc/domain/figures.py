"""The figures that conditions and orders look at: how each is computed, in what unit, and what requests call it.

Stored figures stand in store/figure_columns.py; those of `COMPUTED` are made from stored ones when a query runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Unit(Enum):
    """What a figure's number means."""

    MONEY = "MONEY"
    """Minor units of the bank's currency."""
    COUNT = "COUNT"
    DAYS = "DAYS"
    PERCENT = "PERCENT"
    LEVEL = "LEVEL"
    """A tier or a rating."""
    DATE = "DATE"


@dataclass(frozen=True)
class Difference:
    """One figure less another; unknown if one of them is."""

    of: str
    less: str


@dataclass(frozen=True)
class Share:
    """A part of the sum of figures in percent, not rounded; unknown if the part is unknown or the sum is not above 0.

    In a sum that is made of several figures, an unknown one counts as 0, and so does the part if it is one of them.
    """

    part: str
    whole: tuple[str, ...]


VISITS = ("counter_90d_count", "atm_90d_count", "pos_90d_count", "mobile_90d_count", "online_90d_count")
COMPUTED: Mapping[str, Difference | Share] = MappingProxyType(
    {
        "deposit_month_change_minor": Difference("deposit_balance_minor", "deposit_month_start_minor"),
        "deposit_quarter_change_minor": Difference("deposit_balance_minor", "deposit_quarter_start_minor"),
        "deposit_year_change_minor": Difference("deposit_balance_minor", "deposit_year_start_minor"),
        "demand_share_percent": Share("demand_balance_minor", ("deposit_balance_minor",)),
        "time_share_percent": Share("time_balance_minor", ("deposit_balance_minor",)),
        "card_utilisation_percent": Share("card_used_minor", ("card_limit_minor",)),
        "counter_share_percent": Share("counter_90d_count", VISITS),
        "atm_share_percent": Share("atm_90d_count", VISITS),
        "pos_share_percent": Share("pos_90d_count", VISITS),
        "mobile_share_percent": Share("mobile_90d_count", VISITS),
        "online_share_percent": Share("online_90d_count", VISITS),
    }
)

COUNTED: Mapping[str, str] = MappingProxyType({"deposit": "account_count", "loan": "loan_count", "card": "card_count"})
"""By kind of condition, the figure that says how much of it he has; unknown is none."""

VALUES = frozenset(
    {"tier", "tier_gap_minor", "contribution_minor", "risk_rating", "risk_rating_expiry_date", "key_until_date"}
)
"""Figures that are columns of the customer himself, not of his business somewhere."""

SUM_DAYS = (30, 90)
"""Over so many days back sums of movements are kept; largest movements, closures and channels over the longer."""

# By kind of condition: what requests call a range, and its figure. `_min` and `_max` follow the name.
RANGES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "deposit": MappingProxyType(
            {
                "balance": "deposit_balance_minor",
                "average": "deposit_average_minor",
                "month_average": "deposit_month_average_minor",
                "quarter_average": "deposit_quarter_average_minor",
                "year_average": "deposit_year_average_minor",
                "month_change": "deposit_month_change_minor",
                "quarter_change": "deposit_quarter_change_minor",
                "year_change": "deposit_year_change_minor",
                "demand_balance": "demand_balance_minor",
                "time_balance": "time_balance_minor",
                "demand_share_percent": "demand_share_percent",
                "time_share_percent": "time_share_percent",
                "wealth": "wealth_minor",
                "aum": "aum_minor",
            }
        ),
        "loan": MappingProxyType(
            {
                "outstanding": "loan_outstanding_minor",
                "line": "loan_line_minor",
                "unused_line": "loan_unused_minor",
                "overdue_days": "loan_overdue_days",
                "arrears": "loan_arrears_minor",
            }
        ),
        "card": MappingProxyType(
            {
                "limit": "card_limit_minor",
                "used": "card_used_minor",
                "utilisation_percent": "card_utilisation_percent",
                "overdue_days": "card_overdue_days",
                "instalment": "card_instalment_minor",
            }
        ),
        "behaviour": MappingProxyType(
            {
                "largest_in": "largest_in_90d_minor",
                "largest_out": "largest_out_90d_minor",
                "closed_count": "closed_90d_count",
                "last_active_date": "last_active_date",
                "counter_share_percent": "counter_share_percent",
                "atm_share_percent": "atm_share_percent",
                "pos_share_percent": "pos_share_percent",
                "mobile_share_percent": "mobile_share_percent",
                "online_share_percent": "online_share_percent",
            }
        ),
        "value": MappingProxyType(
            {
                "tier": "tier",
                "tier_gap": "tier_gap_minor",
                "contribution": "contribution_minor",
                "risk_rating": "risk_rating",
                "risk_rating_expiry_date": "risk_rating_expiry_date",
                "key_until_date": "key_until_date",
            }
        ),
    }
)

# What requests call a sum over some days, and its figure by their number. `.min` and `.max` follow the name.
SUMS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "inflow": MappingProxyType({days: f"inflow_{days}d_minor" for days in SUM_DAYS}),
        "outflow": MappingProxyType({days: f"outflow_{days}d_minor" for days in SUM_DAYS}),
        "other_bank": MappingProxyType({days: f"other_bank_{days}d_minor" for days in SUM_DAYS}),
        "other_bank_count": MappingProxyType({days: f"other_bank_{days}d_count" for days in SUM_DAYS}),
    }
)


@dataclass(frozen=True)
class SpanField:
    """What requests call the distance of a day from the business date."""

    figure: str
    ahead: bool
    least: str = ""
    """The field that holds the lower end; none begins at the business date."""
    most: str = ""
    months: bool = False


SPANS: Mapping[str, tuple[SpanField, ...]] = MappingProxyType(
    {
        "deposit": (SpanField("time_maturity_date", ahead=True, most="time_deposit_due_within_days"),),
        "loan": (SpanField("loan_settled_date", ahead=False, most="settled_within_months", months=True),),
        "card": (
            SpanField("card_due_date", ahead=True, most="due_within_days"),
            SpanField("card_last_use_date", ahead=False, least="dormant_days_min"),
        ),
        "behaviour": (
            SpanField("last_active_date", ahead=False, least="inactive_days_min", most="active_within_days"),
        ),
        "value": (SpanField("risk_rating_expiry_date", ahead=True, most="risk_rating_expires_within_days"),),
    }
)


def unit_of(figure: str) -> Unit:
    """The unit that a figure's number is in."""
    if figure in {"tier", "risk_rating"}:
        return Unit.LEVEL
    if figure in {"loan_overdue_days", "card_overdue_days"}:
        return Unit.DAYS
    by_end = {"minor": Unit.MONEY, "percent": Unit.PERCENT, "count": Unit.COUNT, "date": Unit.DATE}
    return by_end[figure.rsplit("_", 1)[-1]]
