"""The six tags of potential customers as rules over tag_inputs (domain.md 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_

import ibis
from ibis import Deferred, _

from acrm.parameters import Parameters
from acrm.stages.account_periods import WINDOW_DAYS, period_days
from acrm.stages.branch_totals import CLOSED_DAYS
from acrm.stages.calendar import days_before, months_before, years_before
from acrm.stages.expressions import Operand, cases, day, known, least, where, whole, yes
from acrm.stages.tag_inputs import month_lengths, series_numbers


@dataclass(frozen=True)
class Tag:
    """A tag is set where `fits` holds and at least one of `reasons`; unknown is no. The rest is told as evidence."""

    code: str
    fits: Operand
    reasons: Mapping[str, Deferred]
    figures: Mapping[str, Deferred]
    thresholds: Mapping[str, int | str]


def tags(business_date: date, parameters: Parameters) -> tuple[Tag, ...]:
    """The rules as of a date. Nobody who is dead or frozen by law has a tag."""
    made = (
        _deposit_potential(business_date, parameters),
        _loan_potential(business_date, parameters),
        _card_potential(business_date, parameters),
        _e_channel_potential(parameters),
        _wealth_potential(business_date, parameters),
        _churn_risk(business_date, parameters),
    )
    return tuple(
        Tag(tag.code, tag.fits & (_.state == "ACTIVE"), tag.reasons, tag.figures, tag.thresholds) for tag in made
    )


def _adult(business_date: date, parameters: Parameters) -> Deferred:
    """A company, or a person known to be of age."""
    return (_.customer_type == "CORPORATE") | (_.birth_date <= day(years_before(business_date, parameters.adult_years)))


def _deposit_potential(business_date: date, parameters: Parameters) -> Tag:
    """P1. Money that came from outside and did not stay, or a time deposit due soon.

    Who did nothing himself within the months of dormancy, or of whom that is unknown, has none.
    """
    last = days_before(business_date, -parameters.maturity_days)
    ever = (_.account_ever_count > 0) & (_.deposit_unknown + _.days_90_missing == 0)
    average = cases((ever, whole(_.days_90_balance_days, period_days(business_date)["days_90"])))
    kept = average * 100 <= _.inflow_90d_minor * parameters.kept_percent_max
    return Tag(
        "DEPOSIT_POTENTIAL",
        _adult(business_date, parameters) & _.active,
        {
            "inflow_did_not_stay": (_.inflow_90d_minor >= parameters.inflow_minor) & kept,
            "time_deposit_due": _.time_maturity_date <= day(last),
        },
        {
            "inflow_90d_minor": _.inflow_90d_minor,
            "deposit_90d_average_minor": average,
            "time_maturity_date": _.time_maturity_date,
            "last_doing_date": _.last_doing_date,
        },
        {
            "inflow_minor_min": parameters.inflow_minor,
            "kept_percent_max": parameters.kept_percent_max,
            "maturity_date_max": last.isoformat(),
        },
    )


def _loan_potential(business_date: date, parameters: Parameters) -> Tag:
    """P2. Steady income without a loan, a loan paid back cleanly, or a line that is hardly used.

    Steady is: in each of the last full months what came in and the average end-of-day balance are at least so much.
    Whoever is overdue, with a card too, or was in the years of the rule, has none, and minors have none.
    """
    months = series_numbers(business_date, parameters.steady_months)
    lengths = month_lengths(business_date, parameters.steady_months)
    steady = _.loan_count == 0
    for n, days in zip(months, lengths, strict=True):
        steady &= (_[f"series_{n}_credits"] >= parameters.credits_month_minor) & (_[f"series_{n}_days_missing"] == 0)
        steady &= _[f"series_{n}_days"] >= parameters.average_month_minor * days
    settled_from = months_before(business_date, parameters.settled_months)
    unused = (_.loan_line_minor > 0) & (_.loan_unused_minor * 100 >= _.loan_line_minor * parameters.unused_percent)
    card_overdue = yes(_.card_overdue_days > parameters.overdue_tolerance_days)
    return Tag(
        "LOAN_POTENTIAL",
        _adult(business_date, parameters) & ~_.overdue_lately & ~card_overdue,
        {
            "steady_income": steady,
            "loan_settled_cleanly": _.loan_settled_clean_date > day(settled_from),
            "line_unused": unused,
        },
        {
            "loan_count": _.loan_count,
            "credits_month_least_minor": least(*(known(_[f"series_{n}_credits"], 0) for n in months)),
            "average_month_least_minor": where(
                reduce(and_, (_[f"series_{n}_days_missing"] == 0 for n in months)),
                least(*(whole(_[f"series_{n}_days"], days) for n, days in zip(months, lengths, strict=True))),
            ),
            "loan_settled_date": _.loan_settled_clean_date,
            "loan_line_minor": _.loan_line_minor,
            "loan_unused_minor": _.loan_unused_minor,
        },
        {
            "months": parameters.steady_months,
            "credits_month_minor_min": parameters.credits_month_minor,
            "average_month_minor_min": parameters.average_month_minor,
            "settled_after_date": settled_from.isoformat(),
            "unused_percent_min": parameters.unused_percent,
        },
    )


def _card_potential(business_date: date, parameters: Parameters) -> Tag:
    """P3. Paid through us, or active in mobile banking, without a card. Nobody who owes anything due on a loan.

    Paid through us: a payroll product, or a salary booked in 90 days. Active: a mobile bank product, used in 90 days.
    """
    # Who is n years old was born after the day n + 1 years ago.
    youngest = years_before(business_date, parameters.card_age_years_min)
    oldest = years_before(business_date, parameters.card_age_years_max + 1)
    of_age = (_.birth_date <= day(youngest)) & (_.birth_date > day(oldest))
    owing = (_.in_arrears_count > 0) | (_.written_off_count > 0)
    return Tag(
        "CARD_POTENTIAL",
        (_.customer_type == "INDIVIDUAL") & (_.card_count == 0) & of_age & ~owing,
        {
            "payroll": (_.payroll_count > 0) | (_.salary_90d_count > 0),
            "mobile_bank_active": (_.mobile_bank_count > 0) & (_.mobile_90d_count > 0),
        },
        {
            "card_count": _.card_count,
            "payroll_products": _.payroll_count,
            "salary_90d_count": _.salary_90d_count,
            "mobile_bank_products": _.mobile_bank_count,
            "mobile_90d_count": _.mobile_90d_count,
        },
        {"age_years_min": parameters.card_age_years_min, "age_years_max": parameters.card_age_years_max},
    )


def _e_channel_potential(parameters: Parameters) -> Tag:
    """P4. Comes to the counter or to machines, could use mobile banking. Not who opted out of that or of everything."""
    visits = _.counter_90d_count + _.atm_90d_count
    return Tag(
        "E_CHANNEL_POTENTIAL",
        (_.mobile_bank_count == 0) & _.mobile.notnull() & (_.opt_out_count == 0),
        {"visits": visits >= parameters.visits_count},
        {
            "counter_90d_count": _.counter_90d_count,
            "atm_90d_count": _.atm_90d_count,
            "mobile_bank_products": _.mobile_bank_count,
        },
        {"visits_min": parameters.visits_count},
    )


def _wealth_potential(business_date: date, parameters: Parameters) -> Tag:
    """P5. So much stood on demand accounts at the end of every one of the days, and the risk rating is valid.

    From an age on, and of a person of unknown age, the evidence says that a confirmation is needed.
    """
    confirmed_after = years_before(business_date, parameters.confirmation_years)
    young = yes(_.birth_date > day(confirmed_after))
    idle = cases((_.idle_missing == 0, _.idle_minor))
    return Tag(
        "WEALTH_POTENTIAL",
        _.risk_rating.notnull() & (_.risk_rating_expiry_date >= day(business_date)),
        {"idle_balance": idle >= parameters.idle_minor},
        {
            "idle_minor": idle,
            "risk_rating": _.risk_rating,
            "risk_rating_expiry_date": _.risk_rating_expiry_date,
            "needs_confirmation": (_.customer_type == "INDIVIDUAL") & ~young,
        },
        {
            "idle_minor_min": parameters.idle_minor,
            "days": parameters.idle_days,
            "confirmation_age_years": parameters.confirmation_years,
        },
    )


def _churn_risk(business_date: date, parameters: Parameters) -> Tag:
    """P6. Transfers to other banks, a fall of the average, an account closed, or an open complaint.

    The average of 30 days is compared with that of the last full calendar months.
    """
    months = series_numbers(business_date, parameters.mean_months)
    days = sum(month_lengths(business_date, parameters.mean_months))
    known = _.deposit_unknown == 0
    for n in months:
        known &= _[f"series_{n}_days_missing"] == 0
    total = _[f"series_{months[0]}_days"]
    for n in months[1:]:
        total += _[f"series_{n}_days"]
    mean = cases((known, whole(total, days)))
    fallen = _.deposit_average_minor * 100 <= mean * (100 - parameters.average_drop_percent)
    return Tag(
        "CHURN_RISK",
        ibis.literal(value=True),
        {
            "transfers_out": _.other_bank_30d_count >= parameters.transfers_out_count,
            "average_down": (mean > 0) & fallen,
            "account_closed": _.closed_90d_count > 0,
            "open_complaint": _.complaint_count > 0,
        },
        {
            "other_bank_30d_count": _.other_bank_30d_count,
            "deposit_average_minor": _.deposit_average_minor,
            "deposit_mean_minor": mean,
            "closed_90d_count": _.closed_90d_count,
            "open_complaints": _.complaint_count,
        },
        {
            "transfers_out_min": parameters.transfers_out_count,
            "average_days": WINDOW_DAYS,
            "mean_months": parameters.mean_months,
            "average_drop_percent_min": parameters.average_drop_percent,
            "closed_days": CLOSED_DAYS,
        },
    )
