"""Deposits month by month, by customer and branch."""

from collections.abc import Sequence
from datetime import date

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.stages.account_periods import SERIES_MONTHS, reaches, series_months
from acrm.stages.branch_totals import PAIR, summed
from acrm.stages.calendar import days_before
from acrm.stages.expressions import UNKNOWN, cases, day, not_no, one_if, whole

_PARTS = ("days", "end", "days_missing", "end_missing", "present")
_SERIES = [f"series_{n}_{part}" for n in range(SERIES_MONTHS) for part in _PARTS]


def month_totals(periods: ir.Table, business_date: date) -> ir.Table:
    """By customer and branch, for each month of the series: totals that add up over branches.

    `series_<n>_days` and `_end` as in account_periods, `_present` (accounts open on some day of it), and how many
    accounts' balances do not tell all of its days (`_days_missing`) or its last one (`_end_missing`).
    """
    each: dict[str, Deferred] = {}
    for n, (first, last) in enumerate(series_months(business_date)):
        each |= {
            f"series_{n}_days": _[f"series_{n}_days"],
            f"series_{n}_end": _[f"series_{n}_end"],
            f"series_{n}_present": ((_.open_date <= day(last)) & not_no(_.close_date > day(first))).cast("int64"),
            # An account of that month whose balance is unknown now was never known.
            f"series_{n}_days_missing": one_if(~reaches(first) | ((_.unknown > 0) & (_.open_date <= day(last)))),
            # The end of a day is told by what is from before the next one.
            f"series_{n}_end_missing": (~reaches(days_before(last, -1))).cast("int64"),
        }
    return periods.select(*PAIR, **each).group_by(*PAIR).agg(**summed(dict.fromkeys(_SERIES, "sum")))


def monthly_balances(totals: ir.Table, business_date: date) -> ir.Table:
    """A row for each customer, branch and month with an account of which the end or the average is known."""
    return ibis.union(
        *(
            _month(totals, n, first, (last - first).days + 1)
            for n, (first, last) in enumerate(series_months(business_date))
        )
    )


def _month(totals: ir.Table, n: int, first: date, days: int) -> ir.Table:
    values = totals.filter(_[f"series_{n}_present"] > 0).select(
        *PAIR,
        month_date=day(first),
        end_minor=cases((_[f"series_{n}_end_missing"] > 0, UNKNOWN), otherwise=_[f"series_{n}_end"]),
        average_minor=cases((_[f"series_{n}_days_missing"] > 0, UNKNOWN), otherwise=whole(_[f"series_{n}_days"], days)),
    )
    return values.filter(_.end_minor.notnull() | _.average_minor.notnull())


def customer_months(totals: ir.Table, numbers: Sequence[int]) -> ir.Table:
    """By customer, of the months so numbered: `series_<n>_days`, and `_days_missing`."""
    names = [f"series_{n}_{part}" for n in numbers for part in ("days", "days_missing")]
    return totals.group_by("customer_id").agg(**summed(dict.fromkeys(names, "sum")))
