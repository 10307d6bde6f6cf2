"""The benchmark of feeds runs to its end, and every item arrives."""

from bench import feed_follow


def test_a_feed_of_several_pages_is_followed():
    (found,) = feed_follow.measure(rounds=1, items=4_500)
    assert found.name == "feed_follow"
    assert found.value > 0
    assert found.limit
    assert found.ratio
