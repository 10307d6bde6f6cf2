"""The benchmark of counts runs to its end."""

from bench import search_count_1m


def test_counts_of_every_viewer_are_measured():
    found = search_count_1m.measure(queries=3, customers=2_000)
    assert [each.name for each in found] == ["search_count_1m", "search_count_1m.branch_head"]
