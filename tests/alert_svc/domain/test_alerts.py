from datetime import UTC, date, datetime

import pytest

from services.alert_svc.domain.alerts import AlertKey, DayFigures, Kind, Rule, rule_for, threshold_reached

DAY = date(2026, 6, 30)
RULE = Rule(Kind.LARGE_OUTFLOW, "INDIVIDUAL", date(2026, 1, 1), threshold_minor=5_000_000, day_sum_percent=150)


def day(*amounts: int, kind: Kind = Kind.LARGE_OUTFLOW, customer_type: str = "INDIVIDUAL") -> DayFigures:
    return DayFigures(
        key=AlertKey("c1", kind, DAY, ""),
        customer_type=customer_type,
        count=len(amounts),
        sum_minor=sum(amounts),
        largest_minor=max(amounts, default=0),
        event_time=datetime(2026, 6, 30, 4, tzinfo=UTC) if amounts else None,
    )


@pytest.mark.parametrize(
    ("amounts", "reached"),
    [
        pytest.param([], None, id="nothing moved"),
        pytest.param([4_999_999], None, id="one fen short"),
        pytest.param([5_000_000], 5_000_000, id="thresholds are inclusive"),
        pytest.param([4_000_000, 3_499_999], None, id="the sum one fen short of 1.5 times"),
        pytest.param([4_000_000, 3_500_000], 7_500_000, id="the sum of the day reaches 1.5 times"),
        pytest.param([5_000_000, 9_000_000], 5_000_000, id="a single one goes before the sum"),
    ],
)
def test_large_outflow_is_one_transaction_or_the_sum_of_the_day(amounts: list[int], reached: int | None) -> None:
    assert threshold_reached(day(*amounts), RULE) == reached


def test_a_sum_threshold_that_is_no_whole_minor_unit_is_rounded_up() -> None:
    odd = Rule(Kind.LARGE_OUTFLOW, "INDIVIDUAL", DAY, threshold_minor=101, day_sum_percent=150)
    assert threshold_reached(day(76, 75), odd) is None
    assert threshold_reached(day(76, 76), odd) == 152


def test_the_youngest_rule_in_force_for_kind_and_class_decides() -> None:
    younger = Rule(Kind.LARGE_OUTFLOW, "INDIVIDUAL", DAY, 1, 150)
    tomorrows = Rule(Kind.LARGE_OUTFLOW, "INDIVIDUAL", date(2026, 7, 1), 2, 150)
    others = Rule(Kind.LARGE_INFLOW, "INDIVIDUAL", DAY, 3, 150)
    companies = Rule(Kind.LARGE_OUTFLOW, "CORPORATE", DAY, 4, 150)
    rules = [tomorrows, RULE, younger, others, companies]
    assert rule_for(day(1), rules) == younger
    assert rule_for(day(1, customer_type="CORPORATE"), rules) == companies
    assert rule_for(day(1), [tomorrows, others]) is None
