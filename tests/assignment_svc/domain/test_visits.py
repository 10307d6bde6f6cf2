"""What the checks say of a visit: rules as tables, and the two that look at a whole day against brute force."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.geography import Place, metres_between
from services.assignment_svc.domain.visits import (
    CheckRules,
    DistanceBand,
    Fix,
    Judged,
    Located,
    VisitKind,
    VisitState,
    band_of,
    is_late,
    last_open_date,
    state_of,
    suspicious_visits,
)

RULES = CheckRules(
    late_days=3,
    close_day=3,
    weak_accuracy_m=200,
    radius_m=500,
    speed_max_kmh=150,
    crowd_customers_min=5,
    crowd_radius_m=20,
    crowd_spread_m=200,
    clock_skew_seconds=300,
)
MORNING = datetime(2026, 6, 30, 1, tzinfo=UTC)
HOME = Place(30, 120)


@pytest.mark.parametrize(
    ("judged", "suspicious", "expected"),
    [
        (Judged(VisitKind.VISIT, 10, 510, late=False), False, VisitState.VALID),
        (Judged(VisitKind.VISIT, 10, 510.1, late=False), False, VisitState.OUT_OF_RADIUS),
        (Judged(VisitKind.VISIT, 200, 0, late=False), False, VisitState.VALID),
        (Judged(VisitKind.VISIT, 200.1, 0, late=False), False, VisitState.WEAK),
        (Judged(VisitKind.VISIT, 300, 800, late=False), False, VisitState.WEAK),
        (Judged(VisitKind.VISIT, 300, 801, late=False), False, VisitState.OUT_OF_RADIUS),
        (Judged(VisitKind.VISIT, 10, None, late=False), False, VisitState.WEAK),
        (Judged(VisitKind.VISIT, 10, 9_999, late=True), False, VisitState.LATE),
        (Judged(VisitKind.VISIT, 10, 9_999, late=True), True, VisitState.SUSPICIOUS),
        (Judged(VisitKind.PHONE, None, None, late=False), False, VisitState.VALID),
        (Judged(VisitKind.LOBBY, None, None, late=True), False, VisitState.LATE),
        # It was a visit with a place before it was corrected.
        (Judged(VisitKind.PHONE, 300, 9_999, late=False), False, VisitState.VALID),
    ],
)
def test_the_worst_that_is_found_is_the_state(judged, suspicious, expected) -> None:
    assert state_of(judged, RULES, suspicious=suspicious) is expected


@pytest.mark.parametrize(
    ("visit_date", "sent_date", "expected"),
    [
        (date(2026, 6, 10), date(2026, 6, 10), False),
        (date(2026, 6, 10), date(2026, 6, 13), False),
        (date(2026, 6, 10), date(2026, 6, 14), True),
        (date(2026, 6, 30), date(2026, 7, 3), False),
        (date(2026, 12, 31), date(2027, 1, 3), False),
        (date(2026, 12, 31), date(2027, 1, 4), True),
    ],
)
def test_a_visit_is_late_after_some_days(visit_date, sent_date, expected) -> None:
    assert is_late(visit_date, sent_date, RULES) is expected


def test_a_visit_of_a_closed_month_is_late_however_few_days_have_gone_by() -> None:
    patient = CheckRules(**{**vars(RULES), "late_days": 31})
    assert not is_late(date(2026, 6, 30), date(2026, 7, 3), patient)
    assert is_late(date(2026, 6, 30), date(2026, 7, 4), patient)
    assert last_open_date(date(2026, 12, 1), 5) == date(2027, 1, 5)


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        (None, None),
        (100, DistanceBand.NEAR),
        (100.1, DistanceBand.AROUND),
        (500, DistanceBand.AROUND),
        (2_000, DistanceBand.OFF),
        (2_000.1, DistanceBand.FAR),
    ],
)
def test_a_distance_has_a_band(metres: float | None, expected: DistanceBand | None) -> None:
    assert band_of(metres) is expected


def located(number: int, minutes: float, place: Place = HOME, address: Place | None = HOME) -> Located:
    when = MORNING + timedelta(minutes=minutes)
    return Located(f"v{number}", f"c{number}", when, Fix(place, 10), address)


def test_nobody_travels_faster_than_the_limit_from_one_visit_to_the_next() -> None:
    town = Place(31, 120)  # 110.85 km away: 44.3 minutes at 150 km/h
    assert suspicious_visits([located(1, 0), located(2, 44, town)], RULES) == {"v1", "v2"}
    assert suspicious_visits([located(1, 0), located(2, 45, town)], RULES) == frozenset()
    # Only neighbours in time are looked at: what lies between may be possible.
    assert suspicious_visits([located(1, 0), located(2, 44, town), located(3, 200)], RULES) == {"v1", "v2"}


def test_at_the_same_moment_one_is_at_one_place_but_for_the_devices_inaccuracy() -> None:
    near = Place(30.00018, 120)  # 19.95 m
    assert suspicious_visits([located(1, 0), located(2, 0, near)], RULES) == frozenset()
    assert suspicious_visits([located(1, 0), located(2, 0, Place(30.00019, 120))], RULES) == {"v1", "v2"}


def test_five_customers_at_one_point_are_suspicious_only_if_two_are_known_to_live_apart() -> None:
    together = [located(number, number) for number in range(5)]
    assert suspicious_visits(together, RULES) == frozenset()
    one_unknown = [*together[:4], located(4, 4, address=None)]
    assert suspicious_visits(one_unknown, RULES) == frozenset()
    apart = [*together[:4], located(4, 4, address=Place(30.0019, 120))]  # 210 m
    assert suspicious_visits(apart, RULES) == {f"v{number}" for number in range(5)}
    assert suspicious_visits(apart[1:], RULES) == frozenset(), "four are no crowd"
    again = [*apart[1:], Located("v9", "c4", MORNING, Fix(HOME, 10), HOME)]
    assert suspicious_visits(again, RULES) == frozenset(), "one customer is counted once"


def _slowly(visits: list[Located], rules: CheckRules) -> set[str]:
    """Every pair with nothing between, and every crowd, in words as the rule says it."""
    found: set[str] = set()
    for one, other in permutations(visits, 2):
        order = [(v.visit_time, v.visit_id) for v in (one, other)]
        between = [v for v in visits if order[0] < (v.visit_time, v.visit_id) < order[1]]
        if order[0] > order[1] or between:
            continue
        metres = metres_between(one.fix.place, other.fix.place) - one.fix.accuracy_m - other.fix.accuracy_m
        seconds = (other.visit_time - one.visit_time).total_seconds()
        if metres > max(0, rules.speed_max_kmh / 3.6 * seconds):
            found |= {one.visit_id, other.visit_id}
    for one in visits:
        crowd = [v for v in visits if metres_between(one.fix.place, v.fix.place) <= rules.crowd_radius_m]
        homes = [v.address for v in crowd if v.address is not None]
        apart = any(metres_between(a, b) > rules.crowd_spread_m for a in homes for b in homes)
        if len({v.customer_id for v in crowd}) >= rules.crowd_customers_min and apart:
            found.add(one.visit_id)
    return found


# A street of points 10 m apart: on both sides of the radius, and some far away.
POINTS = [Place(30 + step * 0.00009, 120) for step in range(5)] + [Place(30.5, 120), Place(31, 120)]
DAYS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 600), st.sampled_from(POINTS), st.sampled_from([None, *POINTS])),
    max_size=12,
)


@given(DAYS)
def test_a_day_is_judged_as_slowly_pair_by_pair(day: list[tuple[int, int, Place, Place | None]]) -> None:
    rules = CheckRules(**{**vars(RULES), "crowd_customers_min": 3, "crowd_spread_m": 15})
    homes: dict[int, Place | None] = {}
    visits = [
        Located(f"v{n:02}", f"c{c}", MORNING + timedelta(minutes=t), Fix(place, 2), homes.setdefault(c, home))
        for n, (c, t, place, home) in enumerate(day)
    ]
    assert suspicious_visits(visits, rules) == _slowly(visits, rules)
