"""The benchmark of governed calls runs to its end."""

from bench import rpc_governed


def test_a_governed_and_a_bare_service_are_measured():
    (found,) = rpc_governed.measure(rounds=1, seconds=0.2)
    assert found.name == "rpc_governed"
    assert found.value > 0
    assert found.limit
    assert found.ratio
