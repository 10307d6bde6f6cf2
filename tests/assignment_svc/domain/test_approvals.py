"""Whose yes a request needs, and who may give it."""

import pytest

from services.assignment_svc.domain.approvals import (
    Answer,
    Approval,
    Needed,
    Rung,
    Seat,
    Side,
    answering,
    desk_of,
    event_of_no,
    event_of_yes,
    needed,
)
from services.assignment_svc.domain.requests import Event, Kind, State

GIVER, TAKER = Side.GIVER, Side.TAKER


@pytest.mark.parametrize(
    ("kind", "to_branch", "sides"),
    [
        (Kind.PUSH, "south", [(GIVER, "north", 0), (TAKER, "south", 0)]),
        (Kind.PUSH, "north", [(GIVER, "north", 0)]),
        (Kind.PULL, "south", [(GIVER, "north", 0), (TAKER, "south", 0)]),
        (Kind.PULL, "north", [(TAKER, "north", 0)]),
        (Kind.LOCK, "south", [(GIVER, "north", 0), (TAKER, "south", 0)]),
        (Kind.LOCK, "north", [(GIVER, "north", 1), (TAKER, "north", 0)]),
        (Kind.UNLOCK, "north", [(GIVER, "north", 1), (TAKER, "north", 0)]),
        (Kind.OFFICER, "north", [(GIVER, "north", 0)]),
        (Kind.RECLAIM, "north", [(GIVER, "north", 0)]),
    ],
)
def test_sides_are_those_of_the_kind(kind, to_branch, sides) -> None:
    assert needed(kind, "north", to_branch) == tuple(Needed(*side) for side in sides)


# From the branch upwards, who may answer at each level.
@pytest.mark.parametrize(
    ("heads", "level", "barred", "desk"),
    [
        (["a", "b", "c"], 0, "", 0),
        (["a", "b", "c"], 1, "", 1),
        (["a", "b", "c"], 9, "", 2),
        (["", "b", "c"], 0, "", 1),
        (["a", "b", "c"], 0, "a", 1),
        (["ax", "b", "c"], 0, "a", 0),
        (["a", "", "c"], 1, "", 2),
        (["a", "b", ""], 2, "", 1),
        (["a", "", ""], 1, "", 0),
        (["a"], 1, "", 0),
        (["a", "b"], 1, "ab", None),
        (["", ""], 0, "", None),
    ],
)
def test_the_nearest_manned_branch_from_the_level_up_answers_else_the_nearest_below(heads, level, barred, desk) -> None:
    way_up = [Rung(f"b{place}", frozenset(who)) for place, who in enumerate(heads)]
    assert desk_of(way_up, level, frozenset(barred)) == (None if desk is None else f"b{desk}")


def approval(side, desk, upper=None, answer=Answer.WAITING) -> Approval:
    return Approval(side, "north", 0, desk, upper, answer)


def test_a_head_answers_at_his_desk_and_of_locks_at_the_one_above() -> None:
    both = [approval(GIVER, "north", "region"), approval(TAKER, "south", "region")]
    north, region = [Seat("north", "nh")], [Seat("region", "rh")]
    assert answering(both, "nh", north, frozenset({"nm", "c1"})) == {GIVER: north[0]}
    assert answering(both, "rh", region, frozenset({"nm", "c1"})) == {GIVER: region[0], TAKER: region[0]}
    assert answering(both, "x", [], frozenset()) == {}


def test_who_is_barred_answers_nowhere_and_neither_does_his_delegate() -> None:
    waiting, seat = [approval(GIVER, "north")], [Seat("north", "nh")]
    assert answering(waiting, "nh", seat, frozenset({"nh"})) == {}
    assert answering(waiting, "nt", seat, frozenset({"nh"})) == {}
    assert answering(waiting, "nt", seat, frozenset({"nt"})) == {}
    assert answering(waiting, "nt", seat, frozenset({"nm"})) == {GIVER: seat[0]}


def test_what_is_answered_waits_for_nobody_and_ones_own_seat_goes_first() -> None:
    seats = [Seat("north", "a"), Seat("north", "nh")]
    assert answering([approval(GIVER, "north")], "nh", seats, frozenset()) == {GIVER: seats[1]}
    assert answering([approval(GIVER, "north", answer=Answer.APPROVED)], "nh", seats, frozenset()) == {}


@pytest.mark.parametrize(
    ("state", "answers", "event"),
    [
        (State.PENDING, [Answer.APPROVED], Event.CARRY_OUT),
        (State.PENDING, [Answer.APPROVED, Answer.APPROVED], Event.CARRY_OUT),
        (State.PENDING, [Answer.APPROVED, Answer.WAITING], Event.APPROVE),
        (State.SILENT, [Answer.APPROVED], Event.APPROVE),
        (State.SILENT, [Answer.REFUSED, Answer.APPROVED], Event.APPROVE),
    ],
)
def test_the_last_yes_carries_out_what_is_pending(state, answers, event) -> None:
    sides = [approval(side, "north", answer=answer) for side, answer in zip(Side, answers, strict=False)]
    assert event_of_yes(state, sides) is event


@pytest.mark.parametrize(
    ("kind", "state", "sides", "event"),
    [
        (Kind.PULL, State.PENDING, {GIVER}, Event.HUSH),
        (Kind.PULL, State.PENDING, {TAKER}, Event.REFUSE),
        (Kind.PULL, State.PENDING, {GIVER, TAKER}, Event.REFUSE),
        (Kind.PULL, State.SILENT, {TAKER}, Event.REFUSE),
        (Kind.PUSH, State.PENDING, {GIVER}, Event.REFUSE),
        (Kind.LOCK, State.PENDING, {GIVER}, Event.REFUSE),
    ],
)
def test_only_the_no_of_a_pulls_giver_is_kept_quiet(kind, state, sides, event) -> None:
    assert event_of_no(kind, state, frozenset(sides)) is event
