"""Who a customer is, as SQL (Q1)."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import ColumnElement, and_, any_, true

from services.customer_svc.domain.calendar import birthdays_within, years_before
from services.customer_svc.domain.conditions import IdentityCondition
from services.customer_svc.store.columns import customer_column
from services.customer_svc.store.scope import texts
from services.customer_svc.store.seen import between
from services.customer_svc.store.tables import customers
from services.customer_svc.store.tables_search import customer_search

_SAME = ("id_type", "sex", "occupation", "customer_type")


def identity_holds(condition: IdentityCondition, day: date) -> ColumnElement[bool]:
    """Says of a customer whether he is so on the business date `day`."""
    return and_(true(), *_parts(condition, day))


def _parts(condition: IdentityCondition, day: date) -> Iterator[ColumnElement[bool]]:
    c = customer_search.c
    if condition.display_name_prefix:
        yield c.display_name.startswith(condition.display_name_prefix, autoescape=True)
    for column, number, hashes in (
        (customers.c.id_number_hash, condition.id_number, condition.id_number_hashes),
        (customers.c.mobile_hash, condition.mobile, condition.mobile_hashes),
    ):
        if number is not None:
            yield column.in_(hashes)
    for name in _SAME:
        value: str | None = getattr(condition, name)
        if value is not None:
            yield customer_column(name) == value
    if condition.age_min is not None:
        yield c.birth_date <= years_before(day, condition.age_min)
    if condition.age_max is not None:
        yield c.birth_date > years_before(day, condition.age_max + 1)
    if condition.birthday_within_days is not None:
        yield c.birth_month_day.in_(birthdays_within(day, condition.birthday_within_days))
    if condition.residence_districts:
        yield c.residence_district == any_(texts(condition.residence_districts))
    yield from between(customers.c.id_expiry_date, condition.id_expiry_date_min, condition.id_expiry_date_max)
    yield from between(c.customer_since_date, condition.customer_since_date_min, condition.customer_since_date_max)
