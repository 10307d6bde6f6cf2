"""What a customer is worth over the whole bank: tier, contribution and lifecycle."""

from datetime import date
from functools import reduce
from operator import add

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.parameters import Parameters
from acrm.stages.branch_totals import customer_totals
from acrm.stages.calendar import days_before, months_before, years_before
from acrm.stages.expressions import UNKNOWN, cases, day, earliest_known, known, latest_known, whole, yes
from acrm.stages.figures import figures

_BASIS_POINTS = 10_000
_KEY = ("customer_id",)


def customer_base(
    customers: ir.Table, by_branch: ir.Table, categories: ir.Table, business_date: date, parameters: Parameters
) -> ir.Table:
    """A row for every customer: his own columns, his totals, his figures, his value.

    Besides, assets_minor, which the tier goes by; last_doing_date, the last time he did anything himself; active,
    unknown where the feed's bookings do not reach back far enough to tell; and overdue_lately, whether a loan is
    overdue beyond the tolerance, was within the years that must be clean, or was written off.
    """
    totals = customer_totals(by_branch)
    told = customers.left_join(totals, "customer_id").drop("customer_id_right")
    figured = figures(told, categories, _KEY, business_date)
    reach = by_branch.agg(bank_first_booking_date=by_branch.first_booking_date.min())
    return _valued(figured.cross_join(reach), business_date, parameters)


def _valued(figured: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    active_from = months_before(business_date, parameters.dormant_months)
    new_from = days_before(business_date, parameters.new_days - 1)
    openings = (_.account_first_date, _.loan_first_date, _.card_first_date)
    latest = (_.account_last_date, _.loan_last_date, _.card_last_date, _.holding_last_date)
    clean_from = years_before(business_date, parameters.clean_years)
    dated = figured.mutate(
        overdue_lately=(_.loan_overdue_count + _.written_off_count > 0) | yes(_.last_overdue_date > day(clean_from)),
        assets_minor=_assets(),
        first_date=earliest_known(openings),
        last_doing_date=latest_known((_.last_active_date, _.card_last_use_date, *latest)),
        had_business=_.account_ever_count + _.loan_ever_count + _.card_ever_count > 0,
        has_business=_.account_count + _.loan_count + _.card_count > 0,
    ).mutate(
        active=cases(
            (_.last_doing_date > day(active_from), ibis.literal(value=True)),
            (_.bank_first_booking_date <= day(active_from), ibis.literal(value=False)),
        )
    )
    lived = dated.mutate(
        lifecycle=cases(
            (~_.had_business, "PROSPECT"),
            (~_.has_business, "LOST"),
            (_.first_date >= day(new_from), "NEW"),
            # A borrower pays, whoever sets it off.
            (_.active | (_.loan_count > 0), "ACTIVE"),
            (~_.active, "DORMANT"),
        ),
    )
    bounds = parameters.tier_bounds_minor
    return lived.mutate(
        tier=_of_somebody(reduce(add, ((_.assets_minor >= bound).cast("int64") for bound in bounds)) + 1),
        tier_gap_minor=_of_somebody(
            cases(*((_.assets_minor < bound, bound - _.assets_minor) for bound in sorted(bounds)))
        ),
        contribution_minor=_of_somebody(_contribution(parameters)),
    )


def _of_somebody(value: Deferred) -> Deferred:
    """Who never had business has no value."""
    return cases((_.had_business, value))


def _assets() -> Deferred:
    """30-day average deposits and what the wealth is worth now; one that is none counts as 0."""
    return cases(
        (_.deposit_unknown > 0, UNKNOWN),
        otherwise=known(_.deposit_average_minor, 0) + known(_.wealth_minor, 0),
    )


def _contribution(parameters: Parameters) -> Deferred:
    """What a year of the business as it is now earns: each amount times its margin; empty if one is unknown."""
    parts = (
        (_.deposit_average_minor, _.deposit_unknown, parameters.deposit_margin_basis_points),
        (_.loan_outstanding_minor, _.loan_unknown, parameters.loan_margin_basis_points),
        (_.card_used_minor, _.used_unknown, parameters.card_margin_basis_points),
        (_.wealth_minor, None, parameters.wealth_margin_basis_points),
    )
    earned = reduce(add, (known(value, 0) * margin for value, _unknown, margin in parts))
    unknown = reduce(add, (unknown for _value, unknown, _margin in parts if unknown is not None))
    return cases((unknown > 0, UNKNOWN), otherwise=whole(earned, _BASIS_POINTS))
