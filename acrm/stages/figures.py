"""The figures of a customer's business, from totals: at one branch, or over the whole bank."""

from collections.abc import Sequence
from datetime import date

from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.derived import FIGURES
from acrm.stages.account_periods import STARTS, period_days
from acrm.stages.bookings import CHANNELS
from acrm.stages.expressions import UNKNOWN, cases, known, whole
from acrm.stages.live import not_closed

FIGURE_NAMES = tuple(column.name for column in FIGURES)


def figures(totals: ir.Table, categories: ir.Table, key: Sequence[str], business_date: date) -> ir.Table:
    """FIGURES of each row of the totals; `categories` has holding_categories by the same key."""
    named = totals.left_join(categories, list(key)).drop(*(f"{name}_right" for name in key))
    counted = named.mutate(**{name: known(_[name], 0) for name in _counts(totals)})
    told = counted.mutate(**_deposits(business_date), **_loans(), **_cards(), **_flows())
    deposits, wealth = _.deposit_balance_minor, _.wealth_minor
    return told.mutate(
        aum_minor=cases(
            (_.deposit_unknown > 0, UNKNOWN),
            (deposits.isnull() & wealth.isnull(), UNKNOWN),
            otherwise=known(deposits, 0) + known(wealth, 0),
        )
    )


def holding_categories(holdings: ir.Table, products: ir.Table, key: Sequence[str], business_date: date) -> ir.Table:
    """By the key the categories of what is held, each once, sorted, joined by `;`."""
    held = holdings.filter(not_closed(business_date)).select(*key, product_id="product_code")
    named = held.inner_join(products.select("product_id", "category"), "product_id")
    once = named.select(*key, "category").distinct()
    return once.group_by(*key).agg(holding_categories=_.category.group_concat(";", order_by="category"))


def _counts(totals: ir.Table) -> list[str]:
    """Totals of which none is 0 and not unknown: a left join makes them empty."""
    return [name for name in totals.columns if name.endswith(("_count", "_unknown", "_missing"))]


def _if(exists: Deferred, unknown: Deferred, value: Deferred) -> Deferred:
    """The value of what there is; empty without any, and where it is unknown of one."""
    return cases(((unknown > 0) | (exists == 0), UNKNOWN), otherwise=value)


def _deposits(business_date: date) -> dict[str, Deferred]:
    days = period_days(business_date)
    ever, unknown = _.account_ever_count, _.deposit_unknown
    averages = {
        f"deposit_{name}_average_minor": _if(
            ever, unknown + _[f"{name}_missing"], whole(_[f"{name}_balance_days"], days[name])
        )
        for name in STARTS
    }
    starts = {f"deposit_{name}_start_minor": _if(ever, _[f"{name}_missing"], _[f"{name}_start"]) for name in STARTS}
    return {
        "deposit_balance_minor": _if(ever, unknown, _.deposit_minor),
        "deposit_average_minor": _if(ever, unknown, whole(_.days_30_balance_days, days["days_30"])),
        **averages,
        **starts,
        "demand_balance_minor": _if(ever, _.demand_unknown, _.demand_minor),
        "time_balance_minor": _if(ever, _.time_unknown, _.time_minor),
    }


def _loans() -> dict[str, Deferred]:
    return {
        "loan_outstanding_minor": _if(_.loan_count, _.loan_unknown, _.loan_outstanding),
        "loan_line_minor": _.line_minor,
        "loan_unused_minor": _if(_.line_count, _.line_unknown, _.unused_minor),
        "loan_arrears_minor": _if(_.loan_count, _.arrears_unknown, _.arrears_minor),
        "loan_overdue_days": _worst(_.loan_overdue_days, _.overdue_days_unknown),
    }


def _cards() -> dict[str, Deferred]:
    return {
        "card_limit_minor": _if(_.card_count, _.limit_unknown, _.limit_minor),
        "card_used_minor": _if(_.card_count, _.used_unknown, _.used_minor),
        "card_overdue_days": _worst(_.card_overdue_days, _.card_days_unknown),
    }


def _worst(days: Deferred, unknown: Deferred) -> Deferred:
    """The most days that are known: 0 is not said where one is unknown."""
    return cases(((unknown > 0) & (days == 0), UNKNOWN), otherwise=days)


def _flows() -> dict[str, Deferred]:
    """Without a booking nothing came and went, if there is an account at all."""
    names = [f"{way}_{days}d_minor" for way in ("inflow", "outflow", "other_bank") for days in (30, 90)]
    return {name: cases((_.account_ever_count > 0, known(_[name], 0))) for name in names}


assert {f"{channel.lower()}_90d_count" for channel in CHANNELS} <= set(FIGURE_NAMES), "every channel is counted"
