"""The rule of key customers as tables."""

from datetime import date

import pytest

from services.customer_svc.domain.key_marks import (
    STEPS,
    KeyPolicy,
    KeyReason,
    KeyTest,
    ProposalState,
    Routes,
    Standing,
    Step,
    after_night,
    is_month_end,
    reason_of,
)

POLICY = KeyPolicy(1, date(1900, 1, 1), 1000, 2000, 80, 3, 366)
ENDS = [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


def assets(amount: int | None) -> KeyTest:
    return KeyTest(asset_average_minor=amount)


def loan(amount: int | None, *, clean: bool = True, overdue: bool = False) -> KeyTest:
    return KeyTest(loan_outstanding_minor=amount, loan_clean=clean, loan_overdue=overdue)


def nights(*tests: KeyTest) -> list[KeyReason | None]:
    """Why he is a key customer after each month-end."""
    standing, reasons = Standing(), []
    for day, test in zip(ENDS, tests, strict=False):
        standing = after_night(standing, test, day, POLICY)
        reasons.append(reason_of(standing.routes, manual=False))
    return reasons


ASSET, LOAN, BOTH = KeyReason.ASSET, KeyReason.LOAN, KeyReason.BOTH


@pytest.mark.parametrize(
    ("tests", "reasons"),
    [
        # To enter takes more than the threshold.
        ([assets(1000), assets(1001)], [None, ASSET]),
        # The third month-end in a row below 80 % ends it; at 80 % the count starts anew.
        ([assets(1001), assets(799), assets(799), assets(799)], [ASSET, ASSET, ASSET, None]),
        ([assets(1001), assets(799), assets(799), assets(800), assets(799)], [ASSET] * 5),
        ([assets(1001), assets(0), KeyTest(), assets(1)], [ASSET, ASSET, ASSET, None]),
        # What is unknown leads nowhere, and neither counts nor breaks the row.
        ([assets(None), assets(1001), assets(0), assets(None), assets(0)], [None, *[ASSET] * 4]),
        ([assets(1001), assets(0), assets(0), assets(None), assets(0)], [*[ASSET] * 4, None]),
        # Who left enters again only above the threshold.
        ([assets(1001), assets(0), assets(0), assets(0), assets(900)], [ASSET, ASSET, ASSET, None, None]),
        # Loans: clean to enter; settled counts as below; an overdue ends it at once.
        ([loan(2001, clean=False), loan(2001)], [None, LOAN]),
        ([loan(2001), loan(2001, clean=False)], [LOAN, LOAN]),
        ([loan(2001), loan(0), loan(0), loan(0)], [LOAN, LOAN, LOAN, None]),
        ([loan(2001), loan(2001, overdue=True, clean=False)], [LOAN, None]),
        ([loan(2001, overdue=True)], [None]),
        # Both routes: each ends by itself.
        ([KeyTest(1001, 2001, loan_clean=True), KeyTest(1001, 2001, loan_overdue=True)], [BOTH, ASSET]),
        ([KeyTest(1001, 2001, loan_clean=True), *[loan(2001)] * 3], [BOTH, BOTH, BOTH, LOAN]),
    ],
)
def test_routes_are_entered_and_left(tests: list[KeyTest], reasons: list[KeyReason | None]) -> None:
    assert nights(*tests) == reasons


def test_between_month_ends_only_an_overdue_counts() -> None:
    key = after_night(Standing(), KeyTest(1001, 2001, loan_clean=True), ENDS[0], POLICY)
    middle = date(2026, 2, 10)
    assert after_night(key, KeyTest(), middle, POLICY) == key
    assert after_night(key, KeyTest(loan_overdue=True), middle, POLICY).routes == Routes(asset=True)
    assert after_night(Standing(), KeyTest(1001, 2001, loan_clean=True), middle, POLICY) == Standing()


def test_a_night_told_again_is_decided_again_from_before_it() -> None:
    first = after_night(Standing(), assets(1001), ENDS[0], POLICY)
    assert after_night(first, assets(1001), ENDS[0], POLICY) == first
    corrected = after_night(first, assets(10), ENDS[0], POLICY)
    assert corrected.routes == Routes()
    below = after_night(first, assets(0), ENDS[1], POLICY)
    assert below.routes.asset_below == 1
    assert after_night(below, assets(0), ENDS[1], POLICY) == below


def test_a_month_end_whose_night_never_came_neither_counts_nor_breaks_the_row() -> None:
    standing = after_night(Standing(), assets(1001), ENDS[0], POLICY)
    for day in (ENDS[1], ENDS[2], ENDS[4]):
        standing = after_night(standing, assets(0), day, POLICY)
    assert standing.routes == Routes()


@pytest.mark.parametrize(
    ("day", "last"), [(date(2024, 2, 29), True), (date(2024, 2, 28), False), (date(2026, 12, 31), True)]
)
def test_month_ends_are_those_of_the_calendar(day: date, last: bool) -> None:  # noqa: FBT001 -- a row of the table
    assert is_month_end(day) == last


@pytest.mark.parametrize(
    ("routes", "manual", "reason"),
    [
        (Routes(), False, None),
        (Routes(), True, KeyReason.MANUAL),
        (Routes(asset=True), True, ASSET),
        (Routes(loan=True), False, LOAN),
        (Routes(asset=True, loan=True), True, BOTH),
    ],
)
def test_a_route_goes_before_a_mark_by_hand(routes: Routes, manual: bool, reason: KeyReason | None) -> None:  # noqa: FBT001 -- a row of the table
    assert reason_of(routes, manual=manual) == reason


def test_only_a_waiting_or_approved_mark_moves() -> None:
    moving = {state for state, _ in STEPS}
    assert moving == {ProposalState.PROPOSED, ProposalState.APPROVED}
    assert {step for state, step in STEPS if state is ProposalState.PROPOSED} == {
        Step.APPROVE,
        Step.REFUSE,
        Step.WITHDRAW,
        Step.PASS,
    }
    assert set(STEPS.values()) == set(ProposalState) - {ProposalState.PROPOSED}
