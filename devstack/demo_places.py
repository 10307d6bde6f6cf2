"""Where the demo bank's customers live: around a dozen towns, some of them unknown."""

import numpy as np
import pyarrow as pa

from devstack.demo_columns import Numbers, rows
from devstack.demo_people import People

KNOWN_SHARE = 0.9
_TOWNS = 12
_CENTRE = (26.08, 119.3)
# Degrees: a town lies within about 50 km of the centre, nearly everybody within 5 km of his town.
_TOWN_SPREAD = 0.25
_HOME_SPREAD = 0.02
# About 10 cm.
_DECIMALS = 6


def places_table(people: People, seed: int) -> pa.Table:
    """A place for nine of ten customers; who is there twice lives at one place."""
    chance = np.random.default_rng([seed, 17])
    towns = chance.normal(_CENTRE, _TOWN_SPREAD, (_TOWNS, 2))
    town = chance.integers(0, _TOWNS, people.count)
    homes = towns[town] + chance.normal(0.0, _HOME_SPREAD, (people.count, 2))
    homes = np.round(homes[people.original], _DECIMALS)
    known: Numbers = np.flatnonzero((chance.random(people.count) < KNOWN_SHARE)[people.original])
    columns = {
        "customer_id": people.ids(known),
        "latitude": pa.array(homes[known, 0]),
        "longitude": pa.array(homes[known, 1]),
    }
    return rows("customer_locations", columns)
