from datetime import date

import pytest

from policy.visibility import CountScope, Level, Viewer, count_scope_of
from services.customer_svc.domain.query import (
    Condition,
    DepositCondition,
    IdentityCondition,
    Order,
    OrderField,
    OwnershipCondition,
    Query,
    faults,
    forbidden,
    reach_of,
)


def counting(role: str) -> CountScope:
    return count_scope_of(Viewer("s", "b", frozenset({role})), frozenset({"b"}))


@pytest.mark.parametrize(
    ("role", "condition", "refused"),
    [
        ("BRANCH_HEAD", IdentityCondition(mobile="1"), False),
        ("MANAGER", DepositCondition(whole_bank=True), False),
        ("TELLER", IdentityCondition(mobile="1"), True),
        ("TELLER", IdentityCondition(sex="MALE"), True),
        ("TELLER", OwnershipCondition(unassigned=True), True),
        ("TELLER", DepositCondition(), True),
        ("MARKETER", IdentityCondition(sex="MALE"), False),
        ("MARKETER", DepositCondition(whole_bank=True), False),
        ("MARKETER", IdentityCondition(id_number="1"), True),
        ("ANALYST", IdentityCondition(display_name_prefix="王"), True),
        ("ANALYST", DepositCondition(), False),
        ("SERVICE", IdentityCondition(mobile="1"), False),
        ("SERVICE", OwnershipCondition(unassigned=True), False),
        pytest.param("SERVICE", DepositCondition(), True, id="a service has no branch of its own"),
    ],
)
def test_a_field_that_the_role_never_sees_is_refused(role: str, condition: Condition, refused) -> None:
    fault = forbidden(Query((condition,)), counting(role))
    assert (fault is not None) == refused
    assert fault is None or (fault.reason == "FIELD_FORBIDDEN" and fault.field.startswith("conditions[0]."))


def test_an_order_is_refused_like_a_condition() -> None:
    fault = forbidden(Query(order=Order(OrderField.TOTAL_DEPOSIT_AVERAGE)), counting("TELLER"))
    assert fault is not None
    assert fault.field == "order.field"


@pytest.mark.parametrize(
    ("condition", "field", "reason"),
    [
        (IdentityCondition(age_min=40, age_max=39), "identity.age_min", "RANGE_EMPTY"),
        (DepositCondition(balance_min_minor=1, balance_max_minor=0), "deposit.balance_min", "RANGE_EMPTY"),
        (DepositCondition(average_min_minor=1, average_max_minor=0), "deposit.average_min", "RANGE_EMPTY"),
        (
            OwnershipCondition(since_date_min=date(2026, 2, 1), since_date_max=date(2026, 1, 1)),
            "ownership.since_date_min",
            "RANGE_EMPTY",
        ),
        (IdentityCondition(age_min=-1), "identity.age_min", "FIELD_INVALID"),
        (IdentityCondition(birthday_within_days=367), "identity.birthday_within_days", "FIELD_INVALID"),
        (IdentityCondition(display_name_prefix="x" * 101), "identity.display_name_prefix", "FIELD_INVALID"),
        (IdentityCondition(residence_districts=("x",) * 101), "identity.residence_districts", "FIELD_INVALID"),
        (
            DepositCondition(time_deposit_due_within_days=400),
            "deposit.time_deposit_due_within_days",
            "FIELD_INVALID",
        ),
        (OwnershipCondition(manager_id="s", unassigned=True), "ownership.unassigned", "FIELD_INVALID"),
    ],
)
def test_each_fault_names_its_field(condition: Condition, field: str, reason: str) -> None:
    [fault] = faults(Query((IdentityCondition(), condition)))
    assert (fault.field, fault.reason) == (f"conditions[1].{field}", reason)


def test_ends_of_a_range_may_meet() -> None:
    assert not faults(Query((IdentityCondition(age_min=40, age_max=40),)))


def test_only_the_whole_bank_confines() -> None:
    own, total = DepositCondition(), DepositCondition(whole_bank=True)
    assert not reach_of(Query((own,)), everyone=False).confined
    reach = reach_of(Query((own, total)), everyone=False)
    assert (reach.confined, reach.least, reach.open_conditions) == (True, Level.PRIMARY, (own,))
    assert reach.open_least == Level.SECONDARY
    assert not reach_of(Query((total,)), everyone=True).confined


def test_an_exact_number_reaches_only_those_whose_number_is_seen() -> None:
    reach = reach_of(Query((IdentityCondition(mobile="1"),)), everyone=False)
    assert (reach.confined, reach.least) == (False, Level.PRIMARY)
