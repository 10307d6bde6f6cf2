from datetime import date

import pytest

from services.customer_svc.domain.conditions import Bound, OwnershipCondition, Span

DAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("span", "low", "high"),
    [
        (Span("f", 0, 30, ahead=True), DAY, date(2026, 4, 30)),
        (Span("f", least=30), None, date(2026, 3, 1)),
        (Span("f", most=30), date(2026, 3, 1), None),
        (Span("f", 1, 31), date(2026, 2, 28), date(2026, 3, 30)),
        (Span("f", most=1, unit="MONTHS"), date(2026, 2, 28), None),
        (Span("f", most=13, unit="MONTHS"), date(2025, 2, 28), None),
    ],
)
def test_a_span_is_days_of_the_calendar_on_a_business_date(span: Span, low: date, high: date) -> None:
    assert span.on(DAY) == Bound("f", low, high)


@pytest.mark.parametrize(
    ("condition", "names_row", "sides_only"),
    [
        (OwnershipCondition(), False, True),
        (OwnershipCondition(days_without_contact_min=3), False, True),
        (OwnershipCondition(branch_id="b", side="PRIMARY"), True, True),
        (OwnershipCondition(unassigned=True), True, False),
        (OwnershipCondition(since_date_min=DAY), True, False),
    ],
)
def test_an_ownership_says_what_it_asks_of_a_row(condition: OwnershipCondition, names_row, sides_only) -> None:
    assert (condition.names_row, condition.sides_only) == (names_row, sides_only)
