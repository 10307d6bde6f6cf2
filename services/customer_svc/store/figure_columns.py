"""The figures of a customer's business.

They are the same over the whole bank, as columns `total_…` of `customers`, and at one branch, as columns of
`customer_branch_figures`. docs/feed.md says what each is.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Date, Integer, SmallInteger, Text
from sqlalchemy.types import TypeEngine

from services.customer_svc.domain.figure_names import AMOUNTS, DATES, HOLDING_CATEGORIES, LOAN_GRADE, NUMBERS

FIGURES: Mapping[str, type[TypeEngine[Any]] | TypeEngine[Any]] = MappingProxyType(
    {
        **dict.fromkeys(AMOUNTS, BigInteger),
        **dict.fromkeys(DATES, Date),
        **dict.fromkeys(NUMBERS, Integer),
        LOAN_GRADE: SmallInteger,
        HOLDING_CATEGORIES: ARRAY(Text),
    }
)


def figure_columns(prefix: str = "") -> Iterator[Column[Any]]:
    """The figures' columns, their names behind a prefix."""
    return (Column(f"{prefix}{name}", kind) for name, kind in FIGURES.items())
