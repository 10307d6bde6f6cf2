"""What score cards are made from (domain.md 11), for assignment_svc, which knows itself who owned whom."""

from dataclasses import dataclass
from datetime import date

import ibis
from ibis import _
from ibis.expr import types as ir

from acrm.parameters import Parameters
from acrm.stages.account_periods import balance_spans
from acrm.stages.calendar import days_before, month_first, month_last, months_before
from acrm.stages.expressions import UNKNOWN, cases, day, greatest, known, not_no, whole, yes
from acrm.stages.live import not_closed
from acrm.stages.monthly_balances import customer_months as months_of_customers

_STEP = ("customer_id", "branch_id", "from_date")


@dataclass(frozen=True)
class ScoreSources:
    """The tables that it is made from; `base` and `months` are results of stages before."""

    base: ir.Table
    months: ir.Table
    accounts: ir.Table
    loans: ir.Table
    cards: ir.Table


def balance_steps(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """A customer's deposits at a branch on each day on which they changed, from the first day of the month before on.

    A balance below 0 is taken as 0; accounts of which it is unknown tell nothing.
    """
    first = months_before(month_first(business_date), 1)
    told = accounts.filter(_.balance_minor.notnull() | ~not_closed(business_date))
    spans = balance_spans(told, balances, business_date).filter(
        (_.until > day(first)) & (_.until > _.since) & (_.balance_minor > 0)
    )
    pair = ("customer_id", "branch_id")
    rises = spans.select(*pair, from_date=greatest(_.since, day(first)), change_minor=_.balance_minor)
    falls = spans.filter(_.until <= day(business_date)).select(*pair, from_date=_.until, change_minor=-_.balance_minor)
    changes = ibis.union(rises, falls).group_by(*_STEP).agg(change_minor=_.change_minor.sum())
    so_far = ibis.cumulative_window(group_by=list(pair), order_by="from_date")
    steps = changes.filter(_.change_minor != 0).mutate(balance_minor=_.change_minor.sum().over(so_far))
    return steps.select(*_STEP, balance_minor=_.balance_minor.cast("int64"))


def customer_months(sources: ScoreSources, business_date: date, parameters: Parameters) -> ir.Table:
    """A row for each customer who has business or wealth, or had business when the month began."""
    first = month_first(business_date)
    before = months_of_customers(sources.months, (1,))
    base = sources.base.left_join(before, "customer_id").drop("customer_id_right")
    told = base.left_join(_live_on(sources, days_before(first, 1)), "customer_id").drop("customer_id_right")
    days_of_month_before = month_last(months_before(first, 1)).day
    unknown_before = known(_.series_1_days_missing, 0) > 0
    average_before = cases((unknown_before, UNKNOWN), otherwise=whole(known(_.series_1_days, 0), days_of_month_before))
    loans = cases((_.loan_unknown > 0, UNKNOWN), otherwise=known(_.loan_outstanding, 0))
    assets = (
        _.assets_minor
        if parameters.key_asset == "AUM"
        else cases((_.deposit_unknown > 0, UNKNOWN), otherwise=known(_.deposit_average_minor, 0))
    )
    averaged = told.mutate(
        month_average=cases((_.account_ever_count > 0, _.deposit_month_average_minor), otherwise=0),
        had=yes(_.had),
    )
    is_key = yes(assets > parameters.key_asset_minor) | (yes(loans > parameters.key_loan_minor) & ~_.overdue_lately)
    months = averaged.select(
        "customer_id",
        month_date=day(first),
        deposit_average_minor=_.month_average,
        deposit_growth_minor=_.month_average - average_before,
        wealth_minor=known(_.wealth_minor, 0),
        loan_minor=loans,
        category_count=cases(
            (_.holding_categories.notnull(), _.holding_categories.split(";").length()), otherwise=0
        ).cast("int64"),
        had_business=_.had,
        has_business=_.has_business,
        new_customer=yes(_.first_date >= day(first)),
        key_customer=is_key,
    )
    return months.filter(_.had_business | _.has_business | (_.wealth_minor > 0))


def _live_on(sources: ScoreSources, wanted: date) -> ir.Table:
    """The customers who had an account, loan or card that was live at the end of a day."""
    parts = [
        table.filter((_[since] <= day(wanted)) & not_no(_.close_date > day(wanted))).select("customer_id")
        for table, since in (
            (sources.accounts, "open_date"),
            (sources.loans, "disburse_date"),
            (sources.cards, "open_date"),
        )
    ]
    return ibis.union(*parts, distinct=True).mutate(had=ibis.literal(value=True))
