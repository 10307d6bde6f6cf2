"""Deposits by customer and branch: what they are, and what they were over 30 days."""

from datetime import date, timedelta

import ibis
from ibis import _
from ibis.expr import types as ir

from acrm.stages.account_periods import WINDOW_DAYS, balance_spans, days_within
from acrm.stages.expressions import day
from acrm.stages.live import last_live_day, not_closed


def deposits(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """For each customer and branch with an account: deposit_live, deposit_balance_minor, deposit_sum_minor.

    Both amounts are empty if the balance of a live account is unknown. The sum runs over all accounts, the closed ones
    for the days before they were closed, and takes a balance below 0 as 0.
    """
    sums = _account_sums(accounts, balances, business_date)
    each = accounts.left_join(sums, "account_id").mutate(
        live=not_closed(business_date), last_day=last_live_day("open_date")
    )
    # Sums of 0 and 1 instead of conditional counts: all engines agree on them.
    each = each.mutate(
        unknown=(_.live & _.balance_minor.isnull()).cast("int64"),
        balance=ibis.coalesce(_.balance_minor, 0) * _.live.cast("int64"),
        balance_days=ibis.coalesce(_.balance_days, 0),
    )
    grouped = each.group_by("customer_id", "branch_id").agg(
        deposit_live=_.live.any(),
        unknown=_.unknown.sum(),
        balance=_.balance.sum(),
        balance_days=_.balance_days.sum(),
        first_open_date=_.open_date.min(),
        last_account_date=_.last_day.max(),
    )
    return grouped.select(
        "customer_id",
        "branch_id",
        "deposit_live",
        "first_open_date",
        "last_account_date",
        deposit_balance_minor=ibis.cases((_.unknown > 0, ibis.null("int64")), else_=_.balance),
        deposit_sum_minor=ibis.cases((_.unknown > 0, ibis.null("int64")), else_=_.balance_days),
    )


def _account_sums(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """For each account the sum of its end-of-day balances over the window: each balance times the days it held."""
    first = business_date - timedelta(days=WINDOW_DAYS - 1)
    spans = balance_spans(accounts, balances, business_date)
    in_window = spans.filter((_.until > day(first)) & (_.until > _.since) & (_.balance_minor > 0))
    weighed = in_window.mutate(balance_days=_.balance_minor * days_within(first, business_date))
    return weighed.group_by("account_id").agg(balance_days=_.balance_days.sum())
