"""What the mark of a key customer is decided by (domain.md 2)."""

from datetime import date

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.parameters import Parameters
from acrm.stages.calendar import month_last
from acrm.stages.expressions import UNKNOWN, cases, known, not_no


def key_tests(base: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    """A row for each customer who can become or stay a key customer, or has a loan overdue; `base` is customer_base.

    Unknown is not small: of whom assets or debts are unknown, there is a row with that amount empty.
    """
    deposits = cases((_.deposit_unknown > 0, UNKNOWN), otherwise=known(_.deposit_average_minor, 0))
    tested = base.select(
        "customer_id",
        month_end=ibis.literal(business_date == month_last(business_date)),
        asset_average_minor=_.assets_minor if parameters.key_asset == "AUM" else deposits,
        loan_outstanding_minor=cases((_.loan_unknown > 0, UNKNOWN), otherwise=known(_.loan_outstanding, 0)),
        loan_overdue=(_.loan_overdue_count > 0) | (_.written_off_count > 0),
        loan_clean=~_.overdue_lately,
    )
    stay = parameters.key_stay_percent
    return tested.filter(
        _matters(_.asset_average_minor, parameters.key_asset_minor * stay)
        | _matters(_.loan_outstanding_minor, parameters.key_loan_minor * stay)
        | _.loan_overdue
    )


def _matters(amount: Deferred, least_times_100: int) -> Deferred:
    return not_no(amount * 100 >= least_times_100)
