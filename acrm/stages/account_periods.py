"""What each account's balances were over the periods up to a business date: the one pass over all balances."""

from datetime import date, timedelta

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.stages.calendar import month_first, month_last, months_before, quarter_first, year_first
from acrm.stages.expressions import day, greatest, known, least, yes
from acrm.stages.live import not_closed

# The 30-day sum needs no row from before it (docs/feed.md); these are unknown without one.
REACHING = ("month", "quarter", "year", "days_90")
STARTS = ("month", "quarter", "year")
_LONG_DAYS = 90
WINDOW_DAYS = 30
SERIES_MONTHS = 13


def period_firsts(business_date: date) -> dict[str, date]:
    """The first day of each period; all of them last up to the business date."""
    return {
        "days_30": business_date - timedelta(days=WINDOW_DAYS - 1),
        "days_90": business_date - timedelta(days=_LONG_DAYS - 1),
        "month": month_first(business_date),
        "quarter": quarter_first(business_date),
        "year": year_first(business_date),
    }


def period_days(business_date: date) -> dict[str, int]:
    """How many days each period has."""
    return {name: (business_date - first).days + 1 for name, first in period_firsts(business_date).items()}


def series_months(business_date: date) -> list[tuple[date, date]]:
    """The first and the last day of the business date's month, as far as it has come, and of those before it."""
    firsts = [months_before(month_first(business_date), back) for back in range(SERIES_MONTHS)]
    return [(first, min(month_last(first), business_date)) for first in firsts]


def balance_spans(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """Each told balance with the days on which it held: from `since` to the day before `until`.

    A balance ends with the next one, with the account, or with the business date.
    """
    after = day(business_date + timedelta(days=1))
    following = ibis.window(group_by="account_id", order_by="balance_date")
    told = balances.filter(_.balance_date < after).mutate(next_date=_.balance_date.lead().over(following))
    owned = told.inner_join(
        accounts.select("account_id", "customer_id", "branch_id", "kind", "close_date"), "account_id"
    )
    return owned.select(
        "account_id",
        "customer_id",
        "branch_id",
        "kind",
        "balance_minor",
        since=_.balance_date,
        until=least(known(_.next_date, after), known(_.close_date, after), after),
    )


def days_within(first: date, last: date) -> Deferred:
    """How many of a span's days are among those from `first` to `last`."""
    until = least(_.until, day(last + timedelta(days=1)))
    return greatest(until.delta(greatest(_.since, day(first)), unit="day"), 0)


def held_on(wanted: date) -> Deferred:
    """Whether a span's balance is the one at the end of that day."""
    return (_.since <= day(wanted)) & (_.until > day(wanted))


def reaches(first: date) -> Deferred:
    """Whether an account's balances tell every day from `first` on; wants `first_told_date` and the account's columns.

    They do if one is from before it and today's is known too, or if there was nothing to tell then. A live account
    whose known balance never changed has no row: it is 0 (docs/feed.md).
    """
    told_before = yes(_.first_told_date < day(first))
    nothing_to_tell = (_.open_date >= day(first)) | yes(_.close_date < day(first))
    silent = _.first_told_date.isnull() & _.live & _.balance_minor.notnull()
    return nothing_to_tell | silent | (told_before & ~(_.live & _.balance_minor.isnull()))


def account_periods(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """A row for each account: its own columns, whether it is live, whether its balance is unknown (0 or 1), and sums.

    For each period `<period>_balance_days` (the sum of end-of-day balances, below 0 taken as 0), `<period>_missing`
    (1 where the balances do not reach back to before it) and `<period>_start` (the balance at the end of the day
    before it). For each month of the series, the business date's being 0, `series_<n>_days` and `series_<n>_end`.
    """
    firsts = period_firsts(business_date)
    months = list(enumerate(series_months(business_date)))
    sums = {f"{name}_balance_days": _sum_of_days(first, business_date) for name, first in firsts.items()}
    sums |= {f"series_{n}_days": _sum_of_days(first, last) for n, (first, last) in months}
    starts = {f"{name}_start": _balance_on(firsts[name] - timedelta(days=1)) for name in STARTS}
    starts |= {f"series_{n}_end": _balance_on(last) for n, (_first, last) in months}
    spans = balance_spans(accounts, balances, business_date)
    told = spans.group_by("account_id").agg(first_told_date=_.since.min(), **sums, **starts)
    each = accounts.left_join(told, "account_id").drop("account_id_right").mutate(live=not_closed(business_date))
    return each.mutate(
        **{f"{name}_missing": (~reaches(firsts[name])).cast("int64") for name in REACHING},
        unknown=(_.live & _.balance_minor.isnull()).cast("int64"),
        **{name: known(_[name], 0) for name in (*sums, *starts)},
    )


def _sum_of_days(first: date, last: date) -> Deferred:
    return (greatest(_.balance_minor, 0) * days_within(first, last)).sum()


def _balance_on(wanted: date) -> Deferred:
    return (_.balance_minor * held_on(wanted).cast("int64")).sum()
