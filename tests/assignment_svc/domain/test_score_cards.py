"""Scores, places and months of score cards, as tables."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.credit import SharePolicy
from services.assignment_svc.domain.score_cards import (
    Figure,
    Indicator,
    ScorePolicy,
    achieved_of,
    month_before,
    months_to_build,
    next_month,
    places,
    policy_faults,
    score,
    value_of,
)

JUNE = date(2026, 6, 1)


def figure(achieved, weight):
    return Figure(Indicator.WEALTH, 1, None, 1, achieved=achieved, weight=weight)


@pytest.mark.parametrize(
    ("whole", "base", "ratio", "value"),
    [
        (7, None, False, 7),
        (-7, None, False, -7),
        (1, 3, True, 3_333),
        (0, 3, True, 0),
        (1, 0, True, None),
        (1, None, True, None),
    ],
)
def test_a_ratio_over_nothing_is_no_value(whole, base, ratio, value):
    assert value_of(whole, base, ratio=ratio) == value


@pytest.mark.parametrize(
    ("value", "target", "achieved"),
    [(50, 100, 5_000), (100, 100, 10_000), (151, 100, 15_000), (-5, 100, 0), (None, 100, None), (5, None, None)],
)
def test_what_is_achieved_is_from_nothing_to_the_ceiling(value, target, achieved):
    assert achieved_of(value, target, 150) == achieved


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([], None),
        ([figure(None, 50)], None),
        ([figure(9_000, 0)], None),
        ([figure(9_000, 50), figure(None, 50)], 9_000),
        ([figure(9_000, 60), figure(0, 40)], 5_400),
        ([figure(1, 1), figure(2, 1)], 1),
    ],
)
def test_a_score_is_the_weighted_mean_of_what_has_a_target(figures, expected):
    assert score(figures) == expected


def test_equal_scores_share_a_place_and_the_next_one_is_left_out():
    assert places({"a": 5, "b": 9, "c": 9, "d": None, "e": 1}) == {"b": 1, "c": 1, "a": 3, "e": 4}
    assert places({}) == {}


@given(st.dictionaries(st.integers(), st.none() | st.integers(0, 5)))
def test_a_place_is_one_more_than_how_many_are_before(scores):
    told = [one for one in scores.values() if one is not None]
    assert places(scores) == {
        key: 1 + sum(other > one for other in told) for key, one in scores.items() if one is not None
    }


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)))
def test_months_follow_one_another(day):
    first = day.replace(day=1)
    assert next_month(first).day == month_before(first).day == 1
    assert month_before(next_month(first)) == next_month(month_before(first)) == first


def test_a_night_computes_its_month_so_far_and_the_whole_month_before():
    own, before = (JUNE, date(2026, 6, 17)), (date(2026, 5, 1), date(2026, 5, 31))
    assert months_to_build(date(2026, 6, 17), []) == [before, own]
    assert months_to_build(date(2026, 6, 17), [date(2026, 5, 1)]) == [own]
    assert all(one[1] < other[0] for one, other in pairwise(months_to_build(date(2026, 1, 1), [])))


@pytest.mark.parametrize(
    ("given_", "fields"),
    [
        ({}, []),
        ({"shares": SharePolicy(69, 30, 20)}, ["secondary_percent"]),
        ({"from_date": date(2026, 6, 2)}, ["from_date"]),
        ({"achieved_percent_max": 1_001}, ["achieved_percent_max"]),
        ({"weights": {Indicator.WEALTH: 99}}, ["weights"]),
        ({"weights": {Indicator.WEALTH: 101}}, ["weights[0].weight", "weights"]),
        ({"weights": {}}, ["weights"]),
    ],
)
def test_a_policy_is_checked_field_by_field(given_, fields):
    whole = {"version": 1, "from_date": JUNE, "shares": SharePolicy(), "achieved_percent_max": 150}
    policy = ScorePolicy(**whole | {"weights": {Indicator.WEALTH: 40, Indicator.LOAN: 60}} | given_)
    assert [fault.field for fault in policy_faults(policy)] == fields
