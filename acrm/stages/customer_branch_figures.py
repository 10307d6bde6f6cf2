"""Deposit figures by customer and branch, for customer_svc."""

from datetime import date

from ibis import _
from ibis.expr import types as ir

from acrm.stages.deposits import WINDOW_DAYS, deposits


def customer_branch_figures(accounts: ir.Table, balances: ir.Table, business_date: date) -> ir.Table:
    """A row for each customer and branch with an account: the balance, and the average of 30 days, rounded down."""
    return deposits(accounts, balances, business_date).select(
        "customer_id",
        "branch_id",
        "deposit_balance_minor",
        deposit_average_minor=_.deposit_sum_minor // WINDOW_DAYS,
    )
