"""Amounts between the wire and the inside: integers of minor units (fen) here, google.type.Money there."""

from google.type.money_pb2 import Money

from chassis.errors import invalid_field

MINOR_PER_UNIT = 100
_NANOS_PER_MINOR = 10_000_000
MINOR_MAX = 2**63 - 1


def money_to_wire(minor: int, currency: str) -> Money:
    """Minor units as Money; units and nanos have the same sign."""
    units, rest = divmod(abs(minor), MINOR_PER_UNIT)
    sign = -1 if minor < 0 else 1
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest * _NANOS_PER_MINOR)


def money_from_wire(money: Money, currency: str, field: str) -> int:
    """Money as minor units. Refuses another currency, parts of a minor unit, and units and nanos of unlike sign."""
    if money.currency_code not in {"", currency}:
        raise invalid_field(f"{field}.currency_code", f"must be {currency}")
    if abs(money.nanos) >= MINOR_PER_UNIT * _NANOS_PER_MINOR or money.nanos % _NANOS_PER_MINOR:
        raise invalid_field(f"{field}.nanos", "must be whole minor units below one unit")
    if money.units * money.nanos < 0:
        raise invalid_field(f"{field}.nanos", "must have the sign of units")
    minor = money.units * MINOR_PER_UNIT + money.nanos // _NANOS_PER_MINOR
    if abs(minor) > MINOR_MAX:
        raise invalid_field(f"{field}.units", "is too large")
    return minor
