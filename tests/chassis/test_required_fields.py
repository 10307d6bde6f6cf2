from datetime import UTC, datetime

import pytest
from banyan.alert.v1.transaction_pb2 import DIRECTION_IN, Transaction
from banyan.alert.v1.transaction_service_pb2 import IngestTransactionsRequest
from banyan.assignment.v1.acting_manager_pb2 import ActingManager
from banyan.assignment.v1.staff_pb2 import ROLE_MANAGER
from banyan.customer.v1.customer_condition_pb2 import CustomerCondition, DepositCondition, IdentityCondition
from banyan.customer.v1.customer_service_pb2 import SearchCustomersRequest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.type.date_pb2 import Date

from chassis.errors import VIOLATIONS_MAX, Refused
from chassis.required_fields import TEXT_LENGTH_MAX, checker
from chassis.wire import time_to_wire

NOW = time_to_wire(datetime(2026, 3, 2, tzinfo=UTC))
GOOD = Transaction(transaction="t1", account="a1", event_time=NOW, direction=DIRECTION_IN, amount_minor=1)
LONG = "x" * (TEXT_LENGTH_MAX + 1)


def wrong(message: Message, *, with_elements: bool = True) -> list[tuple[str, str]]:
    try:
        checker(type(message), with_elements=with_elements)(message, message.SerializeToString())
    except Refused as refused:
        return [(violation.field, violation.description) for violation in refused.violations]
    return []


def changed(**changes: object) -> Transaction:
    transaction = Transaction()
    transaction.CopyFrom(GOOD)
    for name, value in changes.items():
        transaction.ClearField(name)
        if value is not None:
            setattr(transaction, name, value)
    return transaction


@pytest.mark.parametrize(
    ("message", "violations"),
    [
        pytest.param(GOOD, [], id="nothing is wrong"),
        pytest.param(changed(transaction=None), [("transaction", "is required")], id="no text"),
        pytest.param(changed(event_time=None), [("event_time", "is required")], id="no message"),
        pytest.param(changed(direction=None), [("direction", "is required")], id="an unspecified enum"),
        pytest.param(changed(direction=99), [("direction", "is not a value of its enum")], id="an unknown enum"),
        pytest.param(changed(amount_minor=0), [], id="0 is a value: a number without presence is always given"),
        pytest.param(
            Transaction(direction=DIRECTION_IN),
            [("transaction", "is required"), ("account", "is required"), ("event_time", "is required")],
            id="all that is missing is told",
        ),
        pytest.param(
            changed(operation=LONG),
            [("operation", "must have at most 10000 characters, none of them NUL")],
            id="an oversized text",
        ),
        pytest.param(
            changed(operation="a\0b"),
            [("operation", "must have at most 10000 characters, none of them NUL")],
            id="a text that no database can store",
        ),
    ],
)
def test_a_message_is_checked_by_its_annotations(message: Transaction, violations: list[tuple[str, str]]):
    assert wrong(message) == violations


def test_what_is_inside_is_named_by_its_path():
    batch = IngestTransactionsRequest(batch=1, transactions=[GOOD, changed(account=None), changed(direction=7)])
    assert [field for field, _ in wrong(batch)] == ["transactions[1].account", "transactions[2].direction"]


def test_an_empty_list_is_not_given():
    assert wrong(IngestTransactionsRequest(batch=1)) == [("transactions", "is required")]


def test_elements_are_left_alone_if_asked():
    batch = IngestTransactionsRequest(batch=1, transactions=[changed(direction=7, operation=LONG)])
    assert not wrong(batch, with_elements=False)
    assert wrong(IngestTransactionsRequest(batch=1), with_elements=False) == [("transactions", "is required")]


def test_texts_in_lists_inside_messages_are_measured():
    identity = IdentityCondition(residence_districts=["1", LONG])
    request = SearchCustomersRequest(conditions=[CustomerCondition(identity=identity)])
    assert [field for field, _ in wrong(request)] == ["conditions[0].identity.residence_districts[1]"]


def test_an_optional_enum_may_be_unspecified_but_not_unknown():
    fine = SearchCustomersRequest(conditions=[CustomerCondition(deposit=DepositCondition())])
    assert not wrong(fine)
    odd = CustomerCondition.FromString(b"\x1a\x02\x08\x63")
    assert [field for field, _ in wrong(SearchCustomersRequest(conditions=[odd]))] == ["conditions[0].deposit.scope"]


def test_what_a_caller_writes_into_output_only_fields_is_ignored():
    day = Date(year=2026, month=7, day=1)
    fine = ActingManager(acting="staff/1", covered="staff/2", role=ROLE_MANAGER, from_date=day, until_date=day)
    fine.MergeFrom(ActingManager(reason="休假", end_reason=LONG))
    assert not wrong(fine)
    fine.ClearField("reason")
    assert wrong(fine) == [("reason", "is required")]


def test_nobody_is_told_of_more_violations_than_he_reads():
    batch = IngestTransactionsRequest(batch=1, transactions=[Transaction()] * 5_000)
    assert len(wrong(batch)) == VIOLATIONS_MAX


def test_a_page_size_below_0_is_refused():
    assert wrong(SearchCustomersRequest(page_size=-1)) == [("page_size", "must not be negative")]


def test_a_message_with_a_map_stops_the_start():
    with pytest.raises(AssertionError, match="maps have no check"):
        checker(Struct)
