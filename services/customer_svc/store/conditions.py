"""Conditions of a query as SQL over what stands of a customer (store/columns.py) and what the viewer sees of him."""

from sqlalchemy import ColumnElement, and_, or_, true

from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    Not,
    OwnershipCondition,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.store.business_conditions import figures_hold, holdings_hold, values_hold
from services.customer_svc.store.contact_conditions import contacts_hold
from services.customer_svc.store.group_conditions import groups_hold, tags_hold
from services.customer_svc.store.identity_conditions import identity_holds
from services.customer_svc.store.ownership_conditions import ownership_holds
from services.customer_svc.store.seen import Seen


def holds(condition: Condition, seen: Seen) -> ColumnElement[bool]:
    """Says of a customer whether a condition holds; where it asks for something unknown, the answer may be NULL.

    NULL fulfils nothing, and `Not` is the complement within those whom the query reaches: it holds for NULL too.
    """
    match condition:
        case AllOf(parts):
            return and_(true(), *(holds(part, seen) for part in parts))
        case AnyOf(parts):
            return or_(*(holds(part, seen) for part in parts))
        case Not(part):
            return holds(part, seen).is_not(true())
        case _:
            return _single_holds(condition, seen)


def _single_holds(condition: Condition, seen: Seen) -> ColumnElement[bool]:  # noqa: PLR0911 - a class each
    match condition:
        case IdentityCondition():
            return identity_holds(condition, seen.day)
        case OwnershipCondition():
            return ownership_holds(condition, seen.scope)
        case FigureCondition():
            return figures_hold(condition, seen)
        case HoldingCondition():
            return holdings_hold(condition, seen)
        case ValueCondition():
            return values_hold(condition, seen)
        case TagCondition():
            return tags_hold(condition)
        case GroupCondition():
            return groups_hold(condition)
        case ContactCondition():
            return contacts_hold(condition)
        case AllOf() | AnyOf() | Not():
            raise AssertionError("combined conditions are taken apart above")
