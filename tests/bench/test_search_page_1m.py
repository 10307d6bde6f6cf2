"""The benchmark of pages runs to its end, and its bank is what it says."""

from bench import search_page_1m


def test_pages_of_every_viewer_are_measured():
    found = search_page_1m.measure(queries=3, customers=2_000)
    assert [each.name for each in found] == ["search_page_1m", "search_page_1m.branch_head", "search_page_1m.manager"]
