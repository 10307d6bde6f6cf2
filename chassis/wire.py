"""Days, instants and methods between the wire and the inside."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from chassis.errors import invalid_field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A day from the ends of the calendar: there an instant has no day in some time zones.
_FIRST_SECOND = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds())
_LAST_SECOND = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds())
_NANOS_PER_MICRO = 1000
_NANOS_PER_SECOND = 1_000_000_000


def date_to_wire(day: date | None) -> Date | None:
    """A day as google.type.Date; None stays None, which leaves a field unset."""
    return Date(year=day.year, month=day.month, day=day.day) if day is not None else None


def date_from_wire(wire: Date, field: str) -> date:
    """A whole day. Refuses a day that the calendar lacks, and a date without year, month or day."""
    try:
        return date(wire.year, wire.month, wire.day)
    except ValueError:
        raise invalid_field(field, "must be a day of the calendar, with year, month and day") from None


def date_from_wire_or_none(wire: Date, field: str) -> date | None:
    """As `date_from_wire`; an unset or empty date is None."""
    return date_from_wire(wire, field) if wire.year or wire.month or wire.day else None


def time_to_wire(instant: datetime | None) -> Timestamp | None:
    """An instant as Timestamp, exact to the microsecond; None stays None, which leaves a field unset."""
    if instant is None:
        return None
    assert instant.tzinfo is not None, "an instant without a zone is not an instant"
    seconds, rest = divmod(instant - _EPOCH, timedelta(seconds=1))
    return Timestamp(seconds=seconds, nanos=rest.microseconds * _NANOS_PER_MICRO)


def time_from_wire(wire: Timestamp, field: str) -> datetime:
    """An instant in UTC, cut to the microsecond. Refuses the first and the last day of the calendar, and beyond."""
    if not 0 <= wire.nanos < _NANOS_PER_SECOND:
        raise invalid_field(f"{field}.nanos", "must be from 0 to 999,999,999")
    if not _FIRST_SECOND <= wire.seconds < _LAST_SECOND:
        raise invalid_field(field, "must lie in the years 1 to 9999, and a day from both their ends")
    return _EPOCH + timedelta(seconds=wire.seconds, microseconds=wire.nanos // _NANOS_PER_MICRO)


class Idempotency(IntEnum):
    """What a second identical call does; the numbers are those of MethodOptions.IdempotencyLevel."""

    UNKNOWN = 0
    NO_SIDE_EFFECTS = 1
    IDEMPOTENT = 2


@dataclass(frozen=True)
class MethodInfo:
    """What a contract says about one RPC."""

    path: str
    """As it stands on the wire: `/banyan.customer.v1.CustomerService/GetCustomer`."""
    service: str
    name: str
    idempotency: Idempotency
    client_streaming: bool
    server_streaming: bool
    request: type[Message]
    response: type[Message]


def methods(services: Iterable[str]) -> Iterator[MethodInfo]:
    """The RPCs of services by full name. Their generated modules must have been imported."""
    for service in services:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
        for method in descriptor.methods:
            yield MethodInfo(
                path=f"/{service}/{method.name}",
                service=service,
                name=method.name,
                idempotency=Idempotency(method.GetOptions().idempotency_level),
                client_streaming=method.client_streaming,
                server_streaming=method.server_streaming,
                request=message_factory.GetMessageClass(method.input_type),
                response=message_factory.GetMessageClass(method.output_type),
            )
