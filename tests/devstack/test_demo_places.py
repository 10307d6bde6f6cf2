"""Where the demo bank's customers live."""

from datetime import date

import numpy as np

from devstack.demo_people import make_people
from devstack.demo_places import KNOWN_SHARE, places_table

PEOPLE = make_people(2_000, 1, date(2026, 6, 30))


def test_most_customers_have_a_place_and_all_places_are_in_one_region() -> None:
    table = places_table(PEOPLE, 1)
    assert abs(table.num_rows / PEOPLE.count - KNOWN_SHARE) < 0.03
    assert len(set(table["customer_id"].to_pylist())) == table.num_rows
    for name, centre in (("latitude", 26), ("longitude", 119)):
        assert np.abs(table[name].to_numpy() - centre).max() < 3


def test_who_is_there_twice_lives_at_one_place() -> None:
    rows = {row["customer_id"]: (row["latitude"], row["longitude"]) for row in places_table(PEOPLE, 1).to_pylist()}
    own = PEOPLE.ids(np.arange(PEOPLE.count)).to_pylist()
    first = PEOPLE.ids(PEOPLE.original).to_pylist()
    twice = [(rows.get(one), rows.get(other)) for one, other in zip(own, first, strict=True) if one != other]
    assert twice
    assert all(one == other for one, other in twice)


def test_the_same_seed_gives_the_same_places() -> None:
    assert places_table(PEOPLE, 3) == places_table(PEOPLE, 3)
    assert places_table(PEOPLE, 3) != places_table(PEOPLE, 4)
