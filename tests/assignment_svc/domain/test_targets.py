"""Which part of a target a month takes, and on which days periods begin."""

from datetime import date

import pytest

from services.assignment_svc.domain.score_cards import Indicator
from services.assignment_svc.domain.targets import Line, Period, month_target

MAY = date(2026, 5, 1)


def line(period, value, indicator=Indicator.WEALTH, first=None):
    return Line("b", None, indicator, period, first or period.first(MAY), value)


@pytest.mark.parametrize(
    ("day", "firsts"),
    [
        (date(2026, 1, 1), (date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 1))),
        (date(2026, 3, 31), (date(2026, 3, 1), date(2026, 1, 1), date(2026, 1, 1))),
        (date(2026, 12, 31), (date(2026, 12, 1), date(2026, 10, 1), date(2026, 1, 1))),
    ],
)
def test_periods_begin_with_their_first_month(day, firsts):
    assert tuple(period.first(day) for period in Period) == firsts


@pytest.mark.parametrize(
    ("lines", "indicator", "expected"),
    [
        ([], Indicator.WEALTH, None),
        ([line(Period.MONTH, 7)], Indicator.WEALTH, 7),
        ([line(Period.YEAR, 7), line(Period.QUARTER, 8), line(Period.MONTH, 9)], Indicator.WEALTH, 9),
        ([line(Period.YEAR, 7), line(Period.QUARTER, 8)], Indicator.WEALTH, 8),
        # What was taken back lets the longer period count again.
        ([line(Period.YEAR, 7), line(Period.MONTH, None)], Indicator.WEALTH, 7),
        ([line(Period.MONTH, 7, first=date(2026, 4, 1))], Indicator.WEALTH, None),
        ([line(Period.MONTH, 7, Indicator.LOAN)], Indicator.WEALTH, None),
        # What adds up over months is cut into even parts, rounded up.
        ([line(Period.QUARTER, 10, Indicator.NEW_CUSTOMERS)], Indicator.NEW_CUSTOMERS, 4),
        ([line(Period.YEAR, 24, Indicator.DEPOSIT_GROWTH)], Indicator.DEPOSIT_GROWTH, 2),
    ],
)
def test_a_month_takes_the_shortest_period_that_has_a_target(lines, indicator, expected):
    assert month_target(lines, indicator, MAY) == expected
