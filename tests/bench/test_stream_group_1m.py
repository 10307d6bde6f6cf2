"""The benchmark of streamed groups runs to its end, and every member arrives."""

from bench import stream_group_1m


def test_a_group_of_several_messages_is_streamed():
    found = {each.name: each for each in stream_group_1m.measure(rounds=1, members=25_000)}
    assert set(found) == {"stream_group_1m", "stream_group_1m.peak"}
    assert all(each.value > 0 and each.limit and each.ratio for each in found.values())
