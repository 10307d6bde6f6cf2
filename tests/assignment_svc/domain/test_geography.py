"""Distances on the ellipsoid."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.assignment_svc.domain.geography import Place, is_on_globe, is_within, metres_between

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)
PLACES = st.builds(Place, LATITUDES, LONGITUDES)


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        # Vincenty's test line, Flinders Peak to Buninyong, on GRS 80, which differs by less than 1 mm.
        (Place(-(37 + 57 / 60 + 3.72030 / 3600), 144 + 25 / 60 + 29.52440 / 3600),
         Place(-(37 + 39 / 60 + 10.15610 / 3600), 143 + 55 / 60 + 35.38390 / 3600), 54_972.271),
        # A quarter of the meridian, and a degree of the equator.
        (Place(0, 0), Place(90, 0), 10_001_965.729),
        (Place(0, 0), Place(0, 1), 111_319.491),
        # Almost antipodal, where older formulas do not converge.
        (Place(0, 0), Place(0.5, 179.5), 19_936_288.579),
        (Place(30, 120), Place(30, 120), 0),
        # Across the date line, and at a pole, where every longitude is one place.
        (Place(0, 179.5), Place(0, -179.5), 111_319.491),
        (Place(90, 0), Place(90, 77), 0),
    ],
)  # fmt: skip
def test_known_distances(one: Place, other: Place, metres: float) -> None:
    assert metres_between(one, other) == pytest.approx(metres, abs=0.001)
    assert metres_between(other, one) == pytest.approx(metres, abs=0.001)


def _on_sphere(one: Place, other: Place) -> float:
    """A slow, obvious distance on a sphere: at most 0.6 % wrong."""
    vectors = [
        (
            math.cos(math.radians(place.latitude)) * math.cos(math.radians(place.longitude)),
            math.cos(math.radians(place.latitude)) * math.sin(math.radians(place.longitude)),
            math.sin(math.radians(place.latitude)),
        )
        for place in (one, other)
    ]
    chord = math.dist(*vectors)
    return 2 * 6_371_009 * math.asin(min(1.0, chord / 2))


@given(PLACES, PLACES)
def test_the_ellipsoid_is_nearly_a_sphere(one: Place, other: Place) -> None:
    assert metres_between(one, other) == pytest.approx(_on_sphere(one, other), rel=0.006, abs=0.1)


@given(PLACES, st.floats(0, 2_000), st.floats(0, 360), st.floats(1, 1_000))
@example(Place(74.9, 180), 1_000, 90, 1_000)
@example(Place(89.999, 0), 150, 180, 200)
def test_the_fast_answer_whether_places_are_near_is_the_right_one(
    place: Place, metres: float, bearing: float, limit: float
) -> None:
    latitude = max(-90, min(90, place.latitude + metres / 111_200 * math.cos(math.radians(bearing))))
    east = metres / 111_200 * math.sin(math.radians(bearing)) / max(0.01, math.cos(math.radians(place.latitude)))
    other = Place(latitude, (place.longitude + east + 180) % 360 - 180)
    assert is_within(place, other, limit) == (metres_between(place, other) <= limit)


@given(PLACES, PLACES, st.floats(1, 100_000))
def test_places_anywhere_are_near_only_if_they_are(one: Place, other: Place, limit: float) -> None:
    assert is_within(one, other, limit) == (metres_between(one, other) <= limit)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (90, 180, True),
        (-90, -180, True),
        (90.000001, 0, False),
        (0, -180.1, False),
        (math.nan, 0, False),
        (0, math.nan, False),
        (math.inf, 0, False),
    ],
)
def test_what_is_on_the_globe(latitude, longitude, expected) -> None:
    assert is_on_globe(latitude, longitude) is expected
