"""Expressions over columns that no table is named for yet, typed as what they are: the library's own types say less."""

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

import ibis
from ibis import Deferred
from ibis.expr import types as ir

UNKNOWN = ibis.null("int64")
_NO = ibis.literal(value=False)
_YES = ibis.literal(value=True)

# A column, or what stands for one.
Operand = Deferred | ir.Value | int | str


def day(business_date: date) -> ir.Scalar:
    """A date as an expression."""
    return ibis.literal(business_date, type="date")


def known(value: Operand, *others: Operand) -> Deferred:
    """The first of them that is not empty."""
    return cast("Deferred", ibis.coalesce(_any(value), *map(_any, others)))


def yes(condition: Operand) -> Deferred:
    """Whether it holds; unknown is no."""
    return known(condition, _NO)


def not_no(condition: Operand) -> Deferred:
    """Whether it may hold; unknown is yes."""
    return known(condition, _YES)


def one_if(condition: Operand) -> Deferred:
    """1 where it holds, else 0: sums of these instead of conditional counts, for all engines agree on them."""
    return yes(condition).cast("int64")


def cases(*branches: tuple[Operand, Operand], otherwise: Operand | None = None) -> Deferred:
    """The value beside the first condition that holds."""
    told = [(_any(condition), _any(value)) for condition, value in branches]
    return cast("Deferred", ibis.cases(*told) if otherwise is None else ibis.cases(*told, else_=_any(otherwise)))


def where(condition: Operand, value: Operand) -> Deferred:
    """The value where the condition holds, else empty."""
    return cases((yes(condition), value))


def least(*values: Operand) -> Deferred:
    """The least; some engines pass over what is empty, some do not."""
    return cast("Deferred", ibis.least(*map(_any, values)))


def greatest(*values: Operand) -> Deferred:
    """The greatest; the same holds."""
    return cast("Deferred", ibis.greatest(*map(_any, values)))


def earliest_known(dates: Sequence[Deferred]) -> Deferred:
    """The earliest of the dates that are known."""
    return least(*(known(one, *dates) for one in dates))


def latest_known(dates: Sequence[Deferred]) -> Deferred:
    """The latest of the dates that are known."""
    return greatest(*(known(one, *dates) for one in dates))


def whole(numerator: Deferred, divisor: int) -> Deferred:
    """A division rounded down that stays in whole numbers, for amounts from 0 on."""
    return ((numerator - numerator % divisor) / divisor).cast("int64")


def _any(value: Operand) -> Any:  # noqa: ANN401 - the library's signatures leave out what they take
    return value
