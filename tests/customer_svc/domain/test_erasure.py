"""What law lets the bank erase."""

from datetime import date

import pytest

from services.customer_svc.domain.erasure import (
    STEPS,
    ErasurePolicy,
    Obstacle,
    Part,
    Standing,
    State,
    Step,
    erased_parts,
    verdicts,
)

DAY = date(2026, 11, 25)
POLICY = ErasurePolicy(wait_days=7, retention_years=5)
EVERYTHING = frozenset(Part)
WITHOUT_RECORDS = EVERYTHING - {Part.RECORDS}
MARKETING = frozenset({Part.MARKETING})


@pytest.mark.parametrize(
    ("standing", "erased"),
    [
        (Standing(), EVERYTHING),
        (Standing(live_business=True), MARKETING),
        (Standing(live_guarantee=True), MARKETING),
        (Standing(open_complaint=True), MARKETING),
        (Standing(loan_written_off=True), MARKETING),
        (Standing(legal_freeze=True), MARKETING),
        (Standing(last_close_date=date(2021, 11, 25)), EVERYTHING),
        (Standing(last_close_date=date(2021, 11, 26)), WITHOUT_RECORDS),
        (Standing(last_close_date=DAY), WITHOUT_RECORDS),
        (Standing(merge_open=True), WITHOUT_RECORDS),
        (Standing(last_merge_date=date(2026, 10, 26)), EVERYTHING),
        (Standing(last_merge_date=date(2026, 10, 27)), WITHOUT_RECORDS),
        (Standing(live_business=True, last_close_date=DAY), MARKETING),
    ],
)
def test_what_goes_depends_on_what_stands_against_it(standing: Standing, erased: frozenset[Part]) -> None:
    assert erased_parts(verdicts(standing, POLICY, DAY)) == erased


def records_of(standing: Standing):
    return next(verdict for verdict in verdicts(standing, POLICY, DAY) if verdict.part is Part.RECORDS)


def test_what_stays_is_named_with_the_day_from_which_it_may_go() -> None:
    kept = records_of(Standing(last_close_date=date(2024, 2, 29), last_merge_date=DAY))
    assert kept.obstacles == (Obstacle.MERGE_OPEN, Obstacle.RETENTION)
    assert kept.possible_date == date(2029, 3, 1)


def test_no_day_is_told_while_something_has_no_end() -> None:
    kept = records_of(Standing(live_business=True, last_close_date=DAY))
    assert kept.obstacles == (Obstacle.LIVE_BUSINESS, Obstacle.RETENTION)
    assert kept.possible_date is None
    assert records_of(Standing(merge_open=True, last_merge_date=DAY)).possible_date is None


def test_what_was_carried_out_is_never_changed_again() -> None:
    assert {state for state, _ in STEPS} == {State.REQUESTED, State.APPROVED}
    assert STEPS[State.APPROVED, Step.CANCEL] is State.CANCELLED
    assert (State.APPROVED, Step.REFUSE) not in STEPS
