"""Who is to be visited how often: rules as tables."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.visit_duties import (
    DutyClass,
    DutyLine,
    VisitPolicy,
    done_percent,
    due_count,
    line_of,
    next_due_date,
    next_month,
    policy_faults,
)
from services.assignment_svc.domain.visits import CheckRules, VisitKind

LOAN = DutyLine(DutyClass.LOAN, 300, 1, 0, 0)
DEPOSIT = DutyLine(DutyClass.DEPOSIT, 500, 1, 50, 0)
RICH = DutyLine(DutyClass.DEPOSIT, 3_000, 2, 50, 0)
KEY = DutyLine(DutyClass.KEY, 0, 1, 50, 10)
LINES = (RICH, LOAN, KEY, DEPOSIT)


@pytest.mark.parametrize(
    ("balances", "expected"),
    [
        ({}, None),
        ({DutyClass.LOAN: 299}, None),
        ({DutyClass.LOAN: 300}, LOAN),
        ({DutyClass.DEPOSIT: 2_999}, DEPOSIT),
        ({DutyClass.DEPOSIT: 3_000}, RICH),
        ({DutyClass.KEY: 0}, KEY),
        # Of one class the highest band, of several the most visits, then what counts a call for less.
        ({DutyClass.LOAN: 300, DutyClass.DEPOSIT: 3_000}, RICH),
        ({DutyClass.LOAN: 300, DutyClass.DEPOSIT: 500}, LOAN),
        ({DutyClass.DEPOSIT: 500, DutyClass.KEY: 500}, DEPOSIT),
    ],
)
def test_the_strictest_line_that_a_customer_reaches_applies(balances, expected) -> None:
    assert line_of(balances, LINES) == expected


def test_a_higher_band_may_ask_for_less() -> None:
    spared = DutyLine(DutyClass.LOAN, 1_000, 0, 0, 0)
    assert line_of({DutyClass.LOAN: 1_000}, (LOAN, spared)) == spared


@pytest.mark.parametrize(
    ("visits", "entry_date", "expected"),
    [
        (3, date(2020, 1, 31), 3),
        (3, date(2026, 6, 1), 3),
        (3, date(2026, 6, 15), 3),
        (3, date(2026, 6, 16), 1),
        (1, date(2026, 6, 16), 0),
        (2, date(2026, 6, 30), 1),
        (3, date(2026, 7, 1), 0),
    ],
)
def test_who_enters_after_the_fifteenth_owes_half_rounded_down(visits: int, entry_date: date, expected: int) -> None:
    line = DutyLine(DutyClass.LOAN, 0, visits, 0, 0)
    assert due_count(line, entry_date, date(2026, 6, 9), 15) == expected


def test_of_one_day_what_counts_most_counts() -> None:
    day, other = date(2026, 6, 1), date(2026, 6, 2)
    assert done_percent([], DEPOSIT) == 0
    assert done_percent([(day, VisitKind.PHONE), (day, VisitKind.VISIT), (day, VisitKind.VISIT)], DEPOSIT) == 100
    assert done_percent([(day, VisitKind.PHONE), (other, VisitKind.PHONE)], DEPOSIT) == 100
    assert done_percent([(day, VisitKind.PHONE), (other, VisitKind.LOBBY)], LOAN) == 0


@pytest.mark.parametrize(
    ("due", "done", "entry_date", "expected"),
    [
        (1, 0, date(2020, 1, 1), date(2026, 6, 30)),
        (2, 0, date(2020, 1, 1), date(2026, 6, 15)),
        (2, 50, date(2020, 1, 1), date(2026, 6, 15)),
        (2, 100, date(2020, 1, 1), date(2026, 6, 30)),
        (2, 200, date(2020, 1, 1), None),
        (3, 0, date(2026, 6, 21), date(2026, 6, 24)),
        (31, 0, date(2026, 6, 30), date(2026, 6, 30)),
    ],
)
def test_the_next_visit_is_due_by_the_end_of_its_part_of_the_month(due, done, entry_date, expected) -> None:
    assert next_due_date(due, done, entry_date, date(2026, 6, 9)) == expected


@given(st.integers(1, 31), st.integers(0, 31), st.dates(date(2026, 1, 1), date(2026, 6, 30)))
def test_every_visit_is_due_within_the_month_and_none_before_the_one_before(due: int, done: int, entry: date) -> None:
    ends = [next_due_date(due, part * 100, entry, date(2026, 6, 1)) for part in range(min(done, due - 1) + 1)]
    assert all(end is not None and max(entry, date(2026, 6, 1)) <= end <= date(2026, 6, 30) for end in ends)
    assert ends == sorted(end for end in ends if end)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_the_next_month_starts_after_this_one(day: date) -> None:
    following = next_month(day)
    assert following.day == 1
    assert (following.year * 12 + following.month) - (day.year * 12 + day.month) == 1


RULES = CheckRules(3, 3, 200, 500, 150, 5, 20, 200, 300)
POLICY = VisitPolicy(0, date(2026, 7, 1), LINES, RULES, 24, 15, "why")


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({}, []),
        ({"from_date": date(2026, 7, 2)}, ["from_date"]),
        ({"from_date": date(2026, 6, 1)}, ["from_date"]),
        ({"kept_months": 0, "whole_until_day": 32}, ["kept_months", "whole_until_day"]),
        ({"rules": CheckRules(-1, 29, 0, 0, 0, 1, 0, 0, -1)}, [*vars(RULES)]),
        ({"lines": ()}, ["lines"]),
        ({"lines": (LOAN, DutyLine(DutyClass.LOAN, 300, 32, 101, -1))}, [
            "lines[1].visits_per_month", "lines[1].phone_percent", "lines[1].lobby_percent", "lines[1]",
        ]),
    ],
)  # fmt: skip
def test_every_wrong_field_of_a_policy_is_named(changed, fields) -> None:
    policy = VisitPolicy(**{**vars(POLICY), **changed})
    assert [field for field, _ in policy_faults(policy, date(2026, 6, 30))] == fields
