"""What allocation decides by, by customer and branch (domain.md 3), for assignment_svc."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import ibis
from ibis import _
from ibis.expr import types as ir

from acrm.stages.deposits import deposits
from acrm.stages.expressions import day, earliest_known, latest_known, yes
from acrm.stages.live import LOAN_LIVE, last_live_day, not_closed

_PAIR = ("customer_id", "branch_id")


@dataclass(frozen=True)
class Sources:
    """The checked tables that the facts are made from."""

    customers: ir.Table
    accounts: ir.Table
    loans: ir.Table
    cards: ir.Table
    balances: ir.Table


def branch_facts(sources: Sources, business_date: date) -> ir.Table:
    """A row for each customer and branch where he has, or ever had, an account, loan or card of his own."""
    loans = _loans(sources.loans)
    cards = _cards(sources.cards, business_date)
    held = deposits(sources.accounts, sources.balances, business_date)
    pairs = ibis.union(held.select(*_PAIR), loans.select(*_PAIR), cards.select(*_PAIR), distinct=True)
    facts = _joined(pairs, (loans, cards, held)).inner_join(
        sources.customers.select("customer_id", customer_state="state"), "customer_id"
    )
    facts = facts.mutate(
        # Without an account here nothing is unknown: the sum is 0.
        deposit_sum_minor=ibis.cases((_.deposit_live.isnull(), ibis.literal(0, "int64")), else_=_.deposit_sum_minor),
        loan_live=yes(_.loan_live),
        card_live=yes(_.card_live),
        deposit_live=yes(_.deposit_live),
    )
    return facts.mutate(
        relation_since_date=earliest_known((_.loan_open_date, _.card_open_date, _.first_open_date)),
        last_live_date=ibis.cases(
            (_.loan_live | _.card_live | _.deposit_live, day(business_date)),
            else_=latest_known((_.last_loan_date, _.last_card_date, _.last_account_date)),
        ),
    )


def _joined(pairs: ir.Table, parts: Sequence[ir.Table]) -> ir.Table:
    """The pairs with what each part tells of them."""
    joined = pairs
    for part in parts:
        joined = joined.left_join(part, list(_PAIR)).drop("customer_id_right", "branch_id_right")
    return joined


def _loans(loans: ir.Table) -> ir.Table:
    """The live loan with most outstanding (unknown last, then the earliest, then by id), and the dates around it."""
    flagged = loans.mutate(live=LOAN_LIVE, last_day=last_live_day("disburse_date"))
    largest = _first_of_pair(flagged, ("outstanding_minor", "disburse_date", "loan_id")).select(
        *_PAIR, "loan_id", loan_outstanding_minor="outstanding_minor", loan_officer_id="officer_id"
    )
    dates = flagged.group_by(*_PAIR).agg(
        loan_live=_.live.any(),
        loan_first_disburse_date=_.disburse_date.min(where=_.live),
        loan_open_date=_.disburse_date.min(),
        loan_end_date=_.close_date.max(where=~_.live),
        last_loan_date=_.last_day.max(),
    )
    return _joined(dates, [largest])


def _cards(cards: ir.Table, business_date: date) -> ir.Table:
    """The live card with the highest limit (unknown last, then the earliest, then by id), and the dates around it."""
    flagged = cards.mutate(live=not_closed(business_date), last_day=last_live_day("open_date"))
    largest = _first_of_pair(flagged, ("limit_minor", "open_date", "card_id")).select(
        *_PAIR, "card_id", card_limit_minor="limit_minor", card_manager_id="manager_id"
    )
    dates = flagged.group_by(*_PAIR).agg(
        card_live=_.live.any(),
        card_first_open_date=_.open_date.min(where=_.live),
        card_open_date=_.open_date.min(),
        last_card_date=_.last_day.max(),
    )
    return _joined(dates, [largest])


def _first_of_pair(flagged: ir.Table, order: tuple[str, str, str]) -> ir.Table:
    """Of each customer's live rows at a branch the one with the largest amount, then the earliest, then by id."""
    amount, since, key = order
    places = ibis.window(group_by=_PAIR, order_by=[ibis.desc(amount, nulls_first=False), since, key])
    ranked = flagged.filter(_.live).mutate(place=ibis.row_number().over(places))
    return ranked.filter(_.place < 1)
