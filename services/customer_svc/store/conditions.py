"""Conditions of a query as SQL over `customers` and what the viewer sees of them."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TypeVar, assert_never

from sqlalchemy import ColumnElement, FromClause, and_, any_, false, or_, true

from services.customer_svc.domain.calendar import birthdays_within, years_before
from services.customer_svc.domain.query import Condition, DepositCondition, IdentityCondition, OwnershipCondition
from services.customer_svc.domain.viewing import Level, Scope
from services.customer_svc.store.scope import PRIMARY, found, opened, opened_somewhere, texts
from services.customer_svc.store.tables import accounts, customer_branch_figures, customers, owners

T = TypeVar("T")

TIME = "TIME"
OWN_FIGURES = customer_branch_figures.alias("own_figures")


def holds(
    condition: Condition, scope: Scope, own_branch_id: ColumnElement[str] | None, day: date
) -> ColumnElement[bool]:
    """Says of a customer whether a condition holds on the business date `day`. What is unknown fulfils nothing."""
    match condition:
        case IdentityCondition():
            return and_(true(), *_identity(condition, day))
        case OwnershipCondition():
            return _ownership(condition, scope)
        case DepositCondition():
            return and_(true(), *_deposit(condition, own_branch_id, day))
    assert_never(condition)


def needs_own_figures(condition: Condition) -> bool:
    """Says whether a condition looks at sums of the viewer's own branch."""
    return isinstance(condition, DepositCondition) and not condition.whole_bank


def _identity(condition: IdentityCondition, day: date) -> Iterator[ColumnElement[bool]]:
    c = customers.c
    if condition.display_name_prefix:
        yield c.display_name.startswith(condition.display_name_prefix, autoescape=True)
    for column, value in (
        (c.id_number, condition.id_number),
        (c.mobile, condition.mobile),
        (c.sex, condition.sex),
        (c.occupation, condition.occupation),
        (c.customer_type, condition.customer_type),
    ):
        if value is not None:
            yield column == value
    if condition.age_min is not None:
        yield c.birth_date <= years_before(day, condition.age_min)
    if condition.age_max is not None:
        yield c.birth_date > years_before(day, condition.age_max + 1)
    if condition.birthday_within_days is not None:
        yield c.birth_month_day.in_(birthdays_within(day, condition.birthday_within_days))
    if condition.residence_districts:
        yield c.residence_district == any_(texts(condition.residence_districts))
    if condition.id_expiry_date_max is not None:
        yield c.id_expiry_date <= condition.id_expiry_date_max
    yield from _between(c.customer_since_date, condition.customer_since_date_min, condition.customer_since_date_max)


def _ownership(condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    row = owners.alias("owning")
    parts = [row.c.customer_id == customers.c.customer_id, _seen(row, condition, scope)]
    if condition.branch_ids is not None:
        parts.append(row.c.branch_id == any_(texts(condition.branch_ids)))
    if condition.side is not None:
        parts.append(row.c.side == condition.side)
    if condition.manager_id is not None:
        parts.append(row.c.manager_id == condition.manager_id)
    if condition.unassigned:
        parts.append(row.c.manager_id.is_(None))
    parts += _between(row.c.since_date, condition.since_date_min, condition.since_date_max)
    return found(row, *parts)


def _seen(row: FromClause, condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    """Rows that a viewer sees: all on the primary side, else his own, and which branch is the primary one."""
    if scope.everyone:
        return true()
    told = row.c.side == PRIMARY if condition.sides_only else false()
    return or_(opened(row, scope, Level.SECONDARY), opened_somewhere(scope, Level.PRIMARY), told)


def _deposit(
    condition: DepositCondition, own_branch_id: ColumnElement[str] | None, day: date
) -> Iterator[ColumnElement[bool]]:
    if condition.whole_bank:
        balance, average = customers.c.total_deposit_balance_minor, customers.c.total_deposit_average_minor
    else:
        balance, average = OWN_FIGURES.c.deposit_balance_minor, OWN_FIGURES.c.deposit_average_minor
    yield from _between(balance, condition.balance_min_minor, condition.balance_max_minor)
    yield from _between(average, condition.average_min_minor, condition.average_max_minor)
    if condition.time_deposit_due_within_days is not None:
        last = day + timedelta(days=condition.time_deposit_due_within_days)
        due = [
            accounts.c.customer_id == customers.c.customer_id,
            accounts.c.kind == TIME,
            accounts.c.maturity_date.between(day, last),
            or_(accounts.c.close_date.is_(None), accounts.c.close_date > day),
        ]
        if not condition.whole_bank:
            due.append(accounts.c.branch_id == own_branch_id)
        yield found(accounts, *due)


def _between(column: ColumnElement[T], low: T | None, high: T | None) -> Iterator[ColumnElement[bool]]:
    if low is not None:
        yield column >= low
    if high is not None:
        yield column <= high
