import pytest
from google.type.money_pb2 import Money
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Refused
from chassis.money import MINOR_MAX, money_from_wire, money_to_wire


@given(st.integers(-MINOR_MAX, MINOR_MAX))
def test_an_amount_comes_back(minor: int):
    wire = money_to_wire(minor, "CNY")
    assert wire.units * wire.nanos >= 0
    assert money_from_wire(wire, "CNY", "amount") == minor


@pytest.mark.parametrize(
    ("minor", "units", "nanos"),
    [(0, 0, 0), (1, 0, 10_000_000), (-1, 0, -10_000_000), (-250, -2, -500_000_000), (100, 1, 0)],
)
def test_units_and_nanos_have_one_sign(minor: int, units: int, nanos: int):
    assert money_to_wire(minor, "CNY") == Money(currency_code="CNY", units=units, nanos=nanos)


@pytest.mark.parametrize(
    ("wire", "field"),
    [
        pytest.param(Money(currency_code="USD", units=1), "sum.currency_code", id="another currency"),
        pytest.param(Money(currency_code="CNY", nanos=1), "sum.nanos", id="a part of a minor unit"),
        pytest.param(Money(currency_code="CNY", nanos=1_000_000_000), "sum.nanos", id="a whole unit in nanos"),
        pytest.param(Money(currency_code="CNY", units=1, nanos=-10_000_000), "sum.nanos", id="signs that differ"),
        pytest.param(Money(currency_code="CNY", units=2**62), "sum.units", id="more than there is"),
    ],
)
def test_what_is_no_amount_of_ours_is_refused(wire: Money, field: str):
    with pytest.raises(Refused) as raised:
        money_from_wire(wire, "CNY", "sum")
    assert [violation.field for violation in raised.value.violations] == [field]


def test_a_missing_currency_means_the_banks():
    assert money_from_wire(Money(units=3), "CNY", "sum") == 300
