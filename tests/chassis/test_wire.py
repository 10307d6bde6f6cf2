from datetime import UTC, date, datetime, timedelta

import pytest
from banyan.alert.v1 import alert_service_pb2, transaction_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Refused
from chassis.wire import (
    Idempotency,
    date_from_wire,
    date_from_wire_or_none,
    date_to_wire,
    methods,
    time_from_wire,
    time_to_wire,
)


@given(st.dates())
def test_a_day_comes_back(day: date):
    wire = date_to_wire(day)
    assert wire is not None
    assert date_from_wire(wire, "day") == date_from_wire_or_none(wire, "day") == day


@pytest.mark.parametrize(
    "wire",
    [
        Date(),
        Date(year=2026),
        Date(year=2026, month=2),
        Date(month=2, day=1),
        Date(year=2026, month=2, day=30),
        Date(year=2026, month=13, day=1),
        Date(year=-1, month=1, day=1),
        Date(year=10_000, month=1, day=1),
    ],
)
def test_what_is_no_day_is_refused(wire: Date):
    with pytest.raises(Refused) as raised:
        date_from_wire(wire, "open_date")
    assert [violation.field for violation in raised.value.violations] == ["open_date"]


def test_no_day_is_none_but_a_part_of_one_is_refused():
    assert date_to_wire(None) is None
    assert date_from_wire_or_none(Date(), "day") is None
    with pytest.raises(Refused):
        date_from_wire_or_none(Date(year=2026), "day")


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001 -- the zone is drawn
        max_value=datetime(9999, 12, 30, 23, 59, 59, 999_999),  # noqa: DTZ001 -- the zone is drawn
        timezones=st.just(UTC),
    )
)
def test_an_instant_comes_back_to_the_microsecond(instant: datetime):
    wire = time_to_wire(instant)
    assert wire is not None
    assert time_from_wire(wire, "at") == instant
    assert 0 <= wire.nanos < 1_000_000_000


def test_an_instant_of_another_zone_is_the_same_instant():
    china = datetime(2026, 1, 1, 8, tzinfo=UTC).astimezone()
    assert time_to_wire(china) == Timestamp(seconds=int(datetime(2026, 1, 1, 8, tzinfo=UTC).timestamp()))
    assert time_to_wire(None) is None


def test_parts_of_a_microsecond_are_cut():
    assert time_from_wire(Timestamp(seconds=1, nanos=1_999), "at") == datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "wire",
    [
        Timestamp(seconds=10**12),
        Timestamp(seconds=-(10**12)),
        Timestamp(seconds=253_402_300_799),
        Timestamp(seconds=-62_135_596_800),
        Timestamp(nanos=-1),
        Timestamp(nanos=1_000_000_000),
    ],
)
def test_what_is_no_instant_is_refused(wire: Timestamp):
    with pytest.raises(Refused) as raised:
        time_from_wire(wire, "event_time")
    assert raised.value.violations[0].field.startswith("event_time")


def test_an_instant_without_a_zone_is_a_mistake_of_ours():
    with pytest.raises(AssertionError):
        time_to_wire(datetime(2026, 1, 1) - timedelta())  # noqa: DTZ001 -- the mistake under test


def test_methods_tell_what_the_contract_says():
    told = {method.name: method for method in methods(["banyan.alert.v1.AlertService"])}
    assert list(told) == ["GetAlert", "ListAlerts", "WatchAlerts"]
    watch = told["WatchAlerts"]
    assert watch.path == "/banyan.alert.v1.AlertService/WatchAlerts"
    assert watch.idempotency is Idempotency.NO_SIDE_EFFECTS
    assert (watch.client_streaming, watch.server_streaming) == (False, True)
    assert watch.request is alert_service_pb2.WatchAlertsRequest
    assert watch.response is alert_service_pb2.WatchAlertsResponse


def test_methods_of_several_services_come_in_order():
    told = list(methods(["banyan.alert.v1.TransactionService", "banyan.alert.v1.AlertService"]))
    assert told[0].request is transaction_service_pb2.IngestTransactionsRequest
    assert (told[0].idempotency, told[0].client_streaming) == (Idempotency.IDEMPOTENT, True)
    assert len(told) == 4
