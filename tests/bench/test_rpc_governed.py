"""The benchmark of governed calls runs to its end."""

from bench import rpc_governed


def test_a_governed_and_a_bare_service_are_measured():
    found = {each.name: each for each in rpc_governed.measure(rounds=1, seconds=0.3)}
    assert set(found) == {"rpc_governed", "rpc_governed.cpu"}
    assert all(each.value > 0 and each.limit and each.ratio for each in found.values())
