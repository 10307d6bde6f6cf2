"""What the six tags look at, a row for every customer."""

from dataclasses import dataclass
from datetime import date

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.parameters import Parameters
from acrm.stages.account_periods import balance_spans, series_months
from acrm.stages.calendar import days_before, full_months
from acrm.stages.expressions import cases, day, greatest, known, least
from acrm.stages.monthly_balances import customer_months

# An opt-out of every category.
_ALL = "ALL"


@dataclass(frozen=True)
class TagSources:
    """`base`, `months` and `stands` are results of stages before: customer_base, month_totals, standing_bookings."""

    base: ir.Table
    months: ir.Table
    stands: ir.Table
    accounts: ir.Table
    balances: ir.Table
    complaints: ir.Table
    opt_outs: ir.Table


def series_numbers(business_date: date, count: int) -> list[int]:
    """How the last full months are numbered in the series, where the business date's own is 0."""
    firsts = [first for first, _last in series_months(business_date)]
    return [firsts.index(first) for first in full_months(business_date, count)]


def month_lengths(business_date: date, count: int) -> list[int]:
    """How many days the last full months have."""
    months = series_months(business_date)
    return [(months[n][1] - months[n][0]).days + 1 for n in series_numbers(business_date, count)]


def tag_inputs(sources: TagSources, business_date: date, parameters: Parameters) -> ir.Table:
    """The customer's base with what is looked at besides: see the parts."""
    wanted = series_numbers(business_date, max(parameters.steady_months, parameters.mean_months))
    joined = sources.base
    for part in (
        customer_months(sources.months, wanted),
        _credits(sources.stands, business_date, parameters),
        _idle(sources.accounts, sources.balances, business_date, parameters),
        _complaints(sources.complaints),
        _opt_outs(sources.opt_outs, parameters),
    ):
        joined = joined.left_join(part, "customer_id").drop("customer_id_right")
    counts = ("complaint_count", "opt_out_count")
    return joined.mutate(**{name: known(_[name], 0) for name in counts})


def _credits(stands: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    """What came in from outside in each of the last full months."""
    firsts = full_months(business_date, parameters.steady_months)
    recent = stands.filter(_.outside & _.incoming & (_.booking_date >= day(firsts[-1])))
    sums: dict[str, Deferred] = {}
    for place, n in enumerate(series_numbers(business_date, parameters.steady_months)):
        last = series_months(business_date)[n][1]
        within = _.booking_date.between(day(firsts[place]), day(last))
        sums[f"series_{n}_credits"] = (_.amount_minor * within.cast("int64")).sum()
    return recent.group_by("customer_id").agg(**sums)


def _idle(accounts: ir.Table, balances: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    """The least that stood at the end of a day on all demand accounts together, over the last days.

    Each balance comes on the day since when it holds, or on the first of the days, and goes on the day on which it
    ends; the running sum of that is the balance of the day.
    """
    first = days_before(business_date, parameters.idle_days - 1)
    spans = balance_spans(accounts, balances, business_date).filter((_.kind == "DEMAND") & (_.until > day(first)))
    held = spans.filter(_.until > _.since)
    comes = held.select("customer_id", at=greatest(_.since, day(first)), change=_.balance_minor)
    goes = held.filter(_.until <= day(business_date)).select("customer_id", at=_.until, change=-_.balance_minor)
    changes = ibis.union(comes, goes).group_by("customer_id", "at").agg(change=_.change.sum())
    so_far = ibis.window(group_by="customer_id", order_by="at", preceding=None, following=0)
    running = changes.mutate(balance=_.change.sum().over(so_far))
    told = running.group_by("customer_id").agg(lowest=_.balance.min(), since=_.at.min())
    # Before the first change there was nothing.
    lowest = cases((_.since > day(first), least(_.lowest, 0)), otherwise=_.lowest)
    return told.select("customer_id", idle_minor=lowest)


def _complaints(complaints: ir.Table) -> ir.Table:
    return complaints.filter(_.close_time.isnull()).group_by("customer_id").agg(complaint_count=_.complaint_id.count())


def _opt_outs(opt_outs: ir.Table, parameters: Parameters) -> ir.Table:
    """Opt-outs of e-channels, or of everything, on whatever channel."""
    stopping = opt_outs.filter(_.category.isin((*parameters.e_channel_categories, _ALL)))
    return stopping.group_by("customer_id").agg(opt_out_count=_.channel.count())
