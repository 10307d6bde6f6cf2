"""What can happen to a request: every state with every event."""

from datetime import date, datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from services.assignment_svc.domain.requests import OPEN, TRANSITIONS, Event, Patience, State, after, timing_of

ZONE = ZoneInfo("Asia/Shanghai")
# One line for each state, one column for each event; a dash is what cannot happen.
TABLE = """
          CREATE APPROVE CARRY_OUT REFUSE  HUSH   WITHDRAW  ESCALATE TIME_OUT LAPSE
PENDING   -      PENDING APPROVED  REFUSED SILENT WITHDRAWN PENDING  EXPIRED  REFUSED
SILENT    -      SILENT  -         REFUSED -      WITHDRAWN SILENT   EXPIRED  -
APPROVED  -      -       -         -       -      -         -        -        -
REFUSED   -      -       -         -       -      -         -        -        -
WITHDRAWN -      -       -         -       -      -         -        -        -
EXPIRED   -      -       -         -       -      -         -        -        -
"""
EVENTS, *LINES = [line.split() for line in TABLE.strip().splitlines()]
EXPECTED = {
    (State(line[0]), Event(event)): None if cell == "-" else State(cell)
    for line in LINES
    for event, cell in zip(EVENTS, line[1:], strict=True)
}


def test_the_table_has_every_state_and_every_event() -> None:
    assert set(EXPECTED) == set(product(State, Event))


@pytest.mark.parametrize(("state", "event"), sorted(EXPECTED))
def test_an_event_leads_where_the_table_says(state, event) -> None:
    assert after(state, event) is EXPECTED[state, event]


def test_what_is_decided_stays_and_what_is_open_can_end() -> None:
    left = {state for state, _ in TRANSITIONS}
    assert left == OPEN
    assert {state for (start, _), state in TRANSITIONS.items() if start in OPEN} == set(State)


def test_only_pending_requests_are_carried_out() -> None:
    assert [start for (start, event) in TRANSITIONS if event is Event.CARRY_OUT] == [State.PENDING]


def test_a_silent_pull_goes_on_as_a_pending_one_for_who_made_it() -> None:
    quiet = {State.SILENT: State.PENDING}
    for event in (Event.APPROVE, Event.REFUSE, Event.WITHDRAW, Event.ESCALATE, Event.TIME_OUT):
        of_pending, of_silent = after(State.PENDING, event), after(State.SILENT, event)
        assert of_silent is not None
        assert quiet.get(of_silent, of_silent) is of_pending


@pytest.mark.parametrize(
    ("created", "calendar", "escalate", "expire"),
    [
        # A Monday: asked above after the next one, over after the Monday two weeks later.
        (date(2026, 6, 1), {}, date(2026, 6, 9), date(2026, 6, 23)),
        (date(2026, 6, 6), {}, date(2026, 6, 13), date(2026, 6, 27)),
        (date(2026, 6, 1), {date(2026, 6, 2): False}, date(2026, 6, 10), date(2026, 6, 24)),
        (date(2026, 6, 1), {date(2026, 6, 6): True}, date(2026, 6, 7), date(2026, 6, 20)),
    ],
)
def test_answers_are_in_time_until_the_end_of_the_last_working_day(created, calendar, escalate, expire) -> None:
    timing = timing_of(created, Patience(5, 10), calendar, ZONE)
    assert timing.escalate_time == datetime(escalate.year, escalate.month, escalate.day, tzinfo=ZONE)
    assert timing.expire_time == datetime(expire.year, expire.month, expire.day, tzinfo=ZONE)
