"""The measurement by hand runs to its end on a small bank."""

from bench import search_10m


def test_each_indexed_order_is_measured():
    found = search_10m.measure(queries=2, customers=2_000)
    assert len(found) == 5
