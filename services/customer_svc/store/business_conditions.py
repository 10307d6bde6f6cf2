"""What a customer has, as SQL: figures (Q3, Q4, Q5, Q7), single loans, holdings (Q6), tier and value (Q8)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, any_, func, or_, true

from services.customer_svc.domain.conditions import (
    Bound,
    FigureCondition,
    HoldingCondition,
    LoanMatch,
    ProductSet,
    ValueCondition,
)
from services.customer_svc.domain.figures import COUNTED
from services.customer_svc.store.columns import KEY, figure_within, stored_figure
from services.customer_svc.store.scope import looked_up, texts
from services.customer_svc.store.seen import Seen
from services.customer_svc.store.tables import holdings, loans
from services.customer_svc.store.tables_search import customer_search

LIVE = "LIVE"


def figures_hold(condition: FigureCondition, seen: Seen) -> ColumnElement[bool]:
    """Says of a customer whether his figures lie so, over the whole bank or at the viewer's own branch."""
    whole_bank = condition.whole_bank
    parts = list(_bounds((*condition.bounds, *(span.on(seen.day) for span in condition.spans)), whole_bank=whole_bank))
    if condition.holds is not None:
        some = stored_figure(COUNTED[condition.kind], whole_bank=whole_bank) > 0
        parts.append(some if condition.holds else some.is_not(true()))
    if condition.loan is not None:
        parts.append(_some_loan(condition.loan, seen, whole_bank=whole_bank))
    return and_(true(), *parts)


def values_hold(condition: ValueCondition, seen: Seen) -> ColumnElement[bool]:
    """Says of a customer whether he is worth so much, and a key customer."""
    c = customer_search.c
    parts = list(_bounds((*condition.bounds, *(span.on(seen.day) for span in condition.spans)), whole_bank=True))
    if condition.key is not None:
        parts.append(c.key_reason.is_not(None) if condition.key else c.key_reason.is_(None))
    if condition.key_reasons:
        parts.append(c.key_reason == any_(texts(condition.key_reasons)))
    if condition.lifecycles:
        parts.append(c.lifecycle == any_(texts(condition.lifecycles)))
    return and_(true(), *parts)


def holdings_hold(condition: HoldingCondition, seen: Seen) -> ColumnElement[bool]:
    """Says of a customer whether he holds these and not those; of whom nothing is known holds nothing."""
    return and_(true(), *_holdings(condition, seen))


def _bounds(bounds: tuple[Bound, ...], *, whole_bank: bool) -> Iterator[ColumnElement[bool]]:
    for bound in bounds:
        yield from figure_within(bound, whole_bank=whole_bank)


def _some_loan(match: LoanMatch, seen: Seen, *, whole_bank: bool) -> ColumnElement[bool]:
    """One and the same live loan is so."""
    c = loans.c
    parts = [c.customer_id == KEY, c.state == LIVE]
    for column, values in ((c.product, match.products), (c.collateral, match.collaterals), (c.grade, match.grades)):
        if values:
            parts.append(column == any_(texts(values)))
    if match.in_arrears is not None:
        parts.append(c.in_arrears if match.in_arrears else ~c.in_arrears)
    for column, days in ((c.due_date, match.due_within_days), (c.next_due_date, match.next_due_within_days)):
        if days is not None:
            parts.append(column.between(seen.day, seen.day + timedelta(days=days)))
    if match.grade_changed_within_days is not None:
        parts.append(c.grade_date.between(seen.day - timedelta(days=match.grade_changed_within_days), seen.day))
    if not whole_bank:
        parts.append(c.branch_id == seen.own_branch_id)
    return looked_up(loans, *parts)


def _holdings(condition: HoldingCondition, seen: Seen) -> Iterator[ColumnElement[bool]]:
    # NULL for who holds nothing.
    categories = stored_figure("holding_categories", whole_bank=condition.whole_bank)
    if condition.all_of.categories:
        yield categories.bool_op("@>")(texts(condition.all_of.categories))
    for product in condition.all_of.products:
        yield _held((product,), condition, seen)
    if condition.any_of:
        yield or_(*_each_of(condition.any_of, categories, condition, seen))
    for some in _each_of(condition.none_of, categories, condition, seen):
        yield some.is_not(true())
    number = func.cardinality(categories)
    if condition.count_min:
        yield number >= condition.count_min
    if condition.count_max is not None:
        yield (number > condition.count_max).is_not(true())


def _each_of(
    wanted: ProductSet, categories: ColumnElement[Any], condition: HoldingCondition, seen: Seen
) -> Iterator[ColumnElement[bool]]:
    if wanted.categories:
        yield categories.bool_op("&&")(texts(wanted.categories))
    if wanted.products:
        yield _held(wanted.products, condition, seen)


def _held(products: tuple[str, ...], condition: HoldingCondition, seen: Seen) -> ColumnElement[bool]:
    """One of the products is held on the business date; what is closed is held until the day before."""
    c = holdings.c
    parts = [
        c.customer_id == KEY,
        c.product_code == any_(texts(products)),
        or_(c.close_date.is_(None), c.close_date > seen.day),
    ]
    if not condition.whole_bank:
        parts.append(c.branch_id == seen.own_branch_id)
    return looked_up(holdings, *parts)
