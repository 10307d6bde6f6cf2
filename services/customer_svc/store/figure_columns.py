"""The figures of a customer's business.

They are the same over the whole bank, as columns `total_…` of `customers`, and at one branch, as columns of
`customer_branch_figures`. docs/feed.md says what each is.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Date, Integer, SmallInteger, Text
from sqlalchemy.types import TypeEngine

FIGURES: Mapping[str, type[TypeEngine[Any]] | TypeEngine[Any]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "deposit_balance_minor",
                "deposit_average_minor",
                "deposit_month_average_minor",
                "deposit_quarter_average_minor",
                "deposit_year_average_minor",
                "deposit_month_start_minor",
                "deposit_quarter_start_minor",
                "deposit_year_start_minor",
                "demand_balance_minor",
                "time_balance_minor",
                "wealth_minor",
                "aum_minor",
                "loan_outstanding_minor",
                "loan_line_minor",
                "loan_unused_minor",
                "loan_arrears_minor",
                "card_limit_minor",
                "card_used_minor",
                "card_instalment_minor",
                "inflow_30d_minor",
                "outflow_30d_minor",
                "inflow_90d_minor",
                "outflow_90d_minor",
                "largest_in_90d_minor",
                "largest_out_90d_minor",
                "other_bank_30d_minor",
                "other_bank_90d_minor",
            ),
            BigInteger,
        ),
        **dict.fromkeys(
            (
                "time_maturity_date",
                "loan_next_due_date",
                "loan_due_date",
                "loan_grade_date",
                "loan_settled_date",
                "card_due_date",
                "card_last_use_date",
                "last_active_date",
            ),
            Date,
        ),
        **dict.fromkeys(
            (
                "account_count",
                "loan_count",
                "loan_overdue_days",
                "card_count",
                "card_overdue_days",
                "other_bank_30d_count",
                "other_bank_90d_count",
                "closed_90d_count",
                "counter_90d_count",
                "atm_90d_count",
                "pos_90d_count",
                "mobile_90d_count",
                "online_90d_count",
            ),
            Integer,
        ),
        "loan_grade": SmallInteger,
        "holding_categories": ARRAY(Text),
    }
)


def figure_columns(prefix: str = "") -> Iterator[Column[Any]]:
    """The figures' columns, their names behind a prefix."""
    return (Column(f"{prefix}{name}", kind) for name, kind in FIGURES.items())
