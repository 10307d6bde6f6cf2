"""The benchmark of the gateway runs to its end."""

from bench import gateway_cpu


def test_the_gateway_is_measured_against_direct_calls():
    found = {each.name: each for each in gateway_cpu.measure(rounds=1, calls=100, single_calls=50)}
    assert set(found) == {"gateway_cpu", "gateway_cpu.added_grpc", "gateway_cpu.added_rest"}
    assert all(each.limit and each.limit > 0 for each in found.values())
    assert found["gateway_cpu"].value >= 0
