"""What a customer has at a branch as totals that add up: the sum over branches is what he has at the bank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.business_tables import GRADES
from acrm.parameters import Parameters
from acrm.stages.account_periods import REACHING, STARTS, reaches
from acrm.stages.bookings import FLOW_TOTALS
from acrm.stages.calendar import days_before
from acrm.stages.expressions import cases, day, greatest, known, not_no, one_if, where
from acrm.stages.live import LOAN_LIVE, not_closed

PAIR = ("customer_id", "branch_id")
CLOSED_DAYS = 90

ACCOUNT_TOTALS = {
    "account_ever_count": "sum",
    "account_count": "sum",
    "closed_90d_count": "sum",
    "deposit_unknown": "sum",
    "deposit_minor": "sum",
    "demand_unknown": "sum",
    "demand_minor": "sum",
    "time_unknown": "sum",
    "time_minor": "sum",
    **{f"{name}_balance_days": "sum" for name in ("days_30", *REACHING)},
    **{f"{name}_missing": "sum" for name in REACHING},
    **{f"{name}_start": "sum" for name in STARTS},
    "idle_missing": "sum",
    "time_maturity_date": "min",
    "account_first_date": "min",
    "account_last_date": "max",
}
LOAN_TOTALS = {
    "loan_ever_count": "sum",
    "loan_count": "sum",
    "loan_unknown": "sum",
    "loan_outstanding": "sum",
    "line_count": "sum",
    "line_unknown": "sum",
    "line_minor": "sum",
    "unused_minor": "sum",
    "arrears_unknown": "sum",
    "arrears_minor": "sum",
    "overdue_days_unknown": "sum",
    "in_arrears_count": "sum",
    "loan_overdue_count": "sum",
    "written_off_count": "sum",
    "loan_overdue_days": "max",
    "loan_grade": "max",
    "loan_grade_date": "max",
    "loan_settled_date": "max",
    "loan_settled_clean_date": "max",
    "last_overdue_date": "max",
    "loan_next_due_date": "min",
    "loan_due_date": "min",
    "loan_first_date": "min",
    "loan_last_date": "max",
}
CARD_TOTALS = {
    "card_ever_count": "sum",
    "card_count": "sum",
    "limit_unknown": "sum",
    "limit_minor": "sum",
    "used_unknown": "sum",
    "used_minor": "sum",
    "card_days_unknown": "sum",
    "card_instalment_minor": "sum",
    "card_overdue_days": "max",
    "card_last_use_date": "max",
    "card_due_date": "min",
    "card_first_date": "min",
    "card_last_date": "max",
}
HOLDING_TOTALS = {"wealth_minor": "sum", "payroll_count": "sum", "mobile_bank_count": "sum", "holding_last_date": "max"}
TOTALS: Mapping[str, str] = {**ACCOUNT_TOTALS, **LOAN_TOTALS, **CARD_TOTALS, **HOLDING_TOTALS, **FLOW_TOTALS}


@dataclass(frozen=True)
class Business:
    """The tables that the totals are made from; `periods` and `flows` are results of stages before."""

    periods: ir.Table
    loans: ir.Table
    cards: ir.Table
    holdings: ir.Table
    flows: ir.Table


def branch_totals(business: Business, business_date: date, parameters: Parameters) -> ir.Table:
    """A row for each customer and branch with an account, loan, card or holding, live or not: every one of TOTALS."""
    parts = [
        _accounts(business.periods, business_date, parameters),
        _loans(business.loans, parameters),
        _cards(business.cards, business_date),
        _holdings(business.holdings, business_date, parameters),
    ]
    joined = ibis.union(*(part.select(*PAIR) for part in parts), distinct=True)
    for part in (*parts, business.flows):
        joined = joined.left_join(part, list(PAIR)).drop("customer_id_right", "branch_id_right")
    return joined.select(*PAIR, *TOTALS)


def customer_totals(by_branch: ir.Table) -> ir.Table:
    """The same over the whole bank, a row for each customer of `by_branch`."""
    return by_branch.group_by("customer_id").agg(**summed(TOTALS))


def summed(kinds: Mapping[str, str]) -> dict[str, Deferred]:
    """Totals added up, each in its way."""
    return {name: getattr(_[name], kind)() for name, kind in kinds.items()}


def _grouped(each: ir.Table, kinds: Mapping[str, str], columns: Mapping[str, Deferred | ir.Value]) -> ir.Table:
    """Rows of single accounts, loans, cards or holdings, added up by customer and branch."""
    return each.select(*PAIR, **columns).group_by(*PAIR).agg(**summed(kinds))


def _accounts(periods: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    balance = known(_.balance_minor, 0) * _.live.cast("int64")
    on_demand = (_.kind == "DEMAND").cast("int64")
    closed_from = days_before(business_date, CLOSED_DAYS - 1)
    idle_from = days_before(business_date, parameters.idle_days - 1)
    carried: Sequence[str] = [name for name in ACCOUNT_TOTALS if name in periods.columns]
    return _grouped(
        periods,
        ACCOUNT_TOTALS,
        {name: _[name] for name in carried}
        | {
            "account_ever_count": ibis.literal(1),
            "account_count": _.live.cast("int64"),
            "closed_90d_count": one_if(_.close_date.between(day(closed_from), day(business_date))),
            "deposit_unknown": _.unknown,
            "deposit_minor": balance,
            "demand_unknown": _.unknown * on_demand,
            "demand_minor": balance * on_demand,
            "time_unknown": _.unknown * (1 - on_demand),
            "time_minor": balance * (1 - on_demand),
            "idle_missing": one_if(~reaches(idle_from) | (_.unknown > 0)) * on_demand,
            "time_maturity_date": where(
                _.live & (_.kind == "TIME") & (_.maturity_date >= day(business_date)), _.maturity_date
            ),
            "account_first_date": _.open_date,
            "account_last_date": _.open_date,
        },
    )


def _loans(loans: ir.Table, parameters: Parameters) -> ir.Table:
    each = loans.mutate(live=LOAN_LIVE)
    days = known(_.overdue_days, where(~_.in_arrears, 0))
    arrears = known(where(~_.in_arrears, 0), _.overdue_minor + _.interest_arrears_minor)
    beyond = not_no(_.days > parameters.overdue_tolerance_days)
    line = _.live & _.revolving
    settled = _.state == "SETTLED"
    rank = cases(*((_.grade == grade, place) for place, grade in enumerate(GRADES.split(), 1)))
    each = each.mutate(days=days.cast("int64"), arrears=arrears.cast("int64"))
    return _grouped(
        each,
        LOAN_TOTALS,
        {
            "loan_ever_count": ibis.literal(1),
            "loan_count": one_if(_.live),
            "loan_unknown": one_if(_.live & _.outstanding_minor.isnull()),
            "loan_outstanding": where(_.live, _.outstanding_minor),
            "line_count": one_if(line),
            "line_unknown": one_if(line & _.outstanding_minor.isnull()),
            "line_minor": where(line, _.principal_minor),
            "unused_minor": where(line, greatest(_.principal_minor - _.outstanding_minor, 0)),
            "arrears_unknown": one_if(_.live & _.arrears.isnull()),
            "arrears_minor": where(_.live, _.arrears),
            "overdue_days_unknown": one_if(_.live & _.days.isnull()),
            "in_arrears_count": one_if(_.live & (_.in_arrears | (_.days > 0))),
            # In arrears for nobody knows how long is beyond the tolerance.
            "loan_overdue_count": one_if(_.live & beyond),
            "written_off_count": one_if(_.state == "WRITTEN_OFF"),
            "loan_overdue_days": where(_.live, _.days),
            "loan_grade": where(_.live, rank.cast("int64")),
            "loan_grade_date": where(_.live, _.grade_date),
            "loan_settled_date": where(settled, _.close_date),
            "loan_settled_clean_date": where(settled & ~_.in_arrears & _.last_overdue_date.isnull(), _.close_date),
            "last_overdue_date": _.last_overdue_date,
            "loan_next_due_date": where(_.live, _.next_due_date),
            "loan_due_date": where(_.live, _.due_date),
            "loan_first_date": _.disburse_date,
            "loan_last_date": _.disburse_date,
        },
    )


def _cards(cards: ir.Table, business_date: date) -> ir.Table:
    return _grouped(
        cards.mutate(live=not_closed(business_date)),
        CARD_TOTALS,
        {
            "card_ever_count": ibis.literal(1),
            "card_count": one_if(_.live),
            "limit_unknown": one_if(_.live & _.limit_minor.isnull()),
            "limit_minor": where(_.live, _.limit_minor),
            "used_unknown": one_if(_.live & _.used_minor.isnull()),
            "used_minor": where(_.live, _.used_minor),
            "card_days_unknown": one_if(_.live & _.overdue_days.isnull()),
            "card_instalment_minor": where(_.live, _.instalment_minor),
            "card_overdue_days": where(_.live, _.overdue_days),
            "card_last_use_date": where(_.live, _.last_use_date),
            "card_due_date": where(_.live, _.due_date),
            "card_first_date": _.open_date,
            "card_last_date": _.open_date,
        },
    )


def _holdings(holdings: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    return _grouped(
        holdings.mutate(live=not_closed(business_date)),
        HOLDING_TOTALS,
        {
            "wealth_minor": where(_.live, _.amount_minor),
            "payroll_count": one_if(_.live & _.product_code.isin(parameters.payroll_products)),
            "mobile_bank_count": one_if(_.live & _.product_code.isin(parameters.mobile_bank_products)),
            "holding_last_date": _.open_date,
        },
    )
