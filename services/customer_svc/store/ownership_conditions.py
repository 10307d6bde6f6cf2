"""Who owns a customer, as SQL (Q2): only rows that the viewer sees are looked at."""

from datetime import timedelta

from sqlalchemy import ColumnElement, FromClause, and_, or_, true

from services.customer_svc.domain.conditions import OwnershipCondition
from services.customer_svc.domain.viewing import Level, Scope
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.scope import PRIMARY, looked_up, one_of, opened, seen_at
from services.customer_svc.store.seen import between
from services.customer_svc.store.tables import owners
from services.customer_svc.store.tables_search import customer_search

_OWNING = owners.alias("owning")


def ownership_holds(condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    """Says of a customer whether one of his rows is so, and whether nobody contacted him for so long."""
    parts = [_row_holds(condition, scope)] if condition.names_row or not condition.days_without_contact_min else []
    if condition.days_without_contact_min is not None:
        assert condition.now is not None, "who asks for days until now says when that is"
        since = condition.now - timedelta(days=condition.days_without_contact_min)
        parts.append((customer_search.c.last_contact_time > since).is_not(true()))
    return and_(true(), *parts)


def _row_holds(condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    dated = condition.since_date_min or condition.since_date_max
    return _some_row(condition, scope) if dated or condition.side != PRIMARY else _primary_row(condition, scope)


def _primary_row(condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    """The primary row stands beside the figures; who sees the customer sees its branch, and from its side all of it."""
    c = customer_search.c
    parts: list[ColumnElement[bool]] = [c.primary_branch_id.is_not(None)]
    if condition.branch_ids is not None:
        parts = [one_of(c.primary_branch_id, condition.branch_ids)]
    if condition.manager_id is not None:
        parts.append(c.primary_manager_id == condition.manager_id)
    if condition.unassigned:
        parts.append(c.primary_manager_id.is_(None))
    if not condition.sides_only:
        parts.append(seen_at(scope, Level.PRIMARY))
    return and_(*parts)


def _some_row(condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    row = _OWNING
    parts = [row.c.customer_id == KEY, _seen(row, condition, scope)]
    if condition.branch_ids is not None:
        parts.append(one_of(row.c.branch_id, condition.branch_ids))
    if condition.side is not None:
        parts.append(row.c.side == condition.side)
    if condition.manager_id is not None:
        parts.append(row.c.manager_id == condition.manager_id)
    if condition.unassigned:
        parts.append(row.c.manager_id.is_(None))
    parts += between(row.c.since_date, condition.since_date_min, condition.since_date_max)
    return looked_up(row, *parts)


def _seen(row: FromClause, condition: OwnershipCondition, scope: Scope) -> ColumnElement[bool]:
    """Rows that a viewer sees: all on the primary side, else his own, and which branch is the primary one."""
    if scope.everyone:
        return true()
    parts = [opened(row, scope, Level.SECONDARY), seen_at(scope, Level.PRIMARY)]
    return or_(*parts, row.c.side == PRIMARY) if condition.sides_only else or_(*parts)
