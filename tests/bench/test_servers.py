"""What benchmarks measure against is gone when they are done."""

import subprocess

import pytest

from bench import servers


def test_a_home_and_its_servers_are_gone_afterwards():
    with servers.home() as home:
        port = home.port("http")
        spec = servers.serving(home, "http", port, "http.server", port, "--bind", "127.0.0.1")
        with servers.running([spec], home) as (child,):
            assert servers.cpu_seconds(child) > 0
        assert child.exit_code is not None
        assert home.root.exists()
    assert not home.root.exists()


def test_a_program_that_fails_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        servers.output_of("bench", "nothing")
