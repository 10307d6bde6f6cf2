"""The benchmark of allocation runs to its end, and its bank changes as it says."""

from bench import allocate_1m


def test_three_nights_are_measured():
    found = [each.name for each in allocate_1m.measure(customers=2_000)]
    assert found == ["allocate_1m", "allocate_1m.unchanged", "allocate_1m.5_percent_changed"]
