"""The benchmark of memory looks at every process of a running system."""

from bench import memory


def test_each_process_of_the_system_is_looked_at():
    found = {each.name: each.value for each in memory.measure(idle_seconds=0)}
    for name in ("assignment-1", "customer-1", "campaign-1", "alert-1", "gateway", "postgres", "valkey", "zookeeper"):
        assert found[f"memory.{name}"] >= found[f"memory.{name}.own"] > 0
    assert found["memory.customer-1.peak"] >= found["memory.customer-1"]
