import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from kazoo.client import KazooClient
from kazoo.security import CREATOR_ALL_ACL

from chassis.provider import Provider, node_name, providers_path
from cli import status
from devstack.home import Home
from devstack.supervisor import ProcessState, Supervisor

METRICS = """\
# TYPE feed_lag_seconds gauge
feed_lag_seconds{feed="ownership"} 1.25
feed_lag_seconds{feed="org"} 0.0
# TYPE other gauge
other 7
"""


@pytest.fixture
def metrics_port() -> Iterator[int]:
    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def process(metrics_port: int) -> ProcessState:
    return ProcessState("customer-1", os.getpid(), 0, metrics_port, 0, "2026-01-01T00:00:00+00:00", running=True)


def test_followers_tell_how_far_they_are_behind(metrics_port: int):
    found = [(one.process, one.feed, one.lag_seconds) for one in status.lags(process(metrics_port))]
    assert found == [("customer-1", "ownership", 1.2), ("customer-1", "org", 0.0)]


def test_an_instance_that_does_not_answer_tells_nothing(home: Home):
    assert list(status.lags(process(home.port("nobody")))) == []


def test_providers_are_read_from_zookeeper(zookeeper_server):
    provider = Provider("banyan.customer.v1.CustomerService", "127.0.0.1", 50051, "customer_svc", weight=7)
    client = KazooClient(hosts=zookeeper_server.hosts)
    client.start()
    assert status.providers(zookeeper_server.hosts) == []
    client.create(f"{providers_path(provider.interface)}/{node_name(provider)}", makepath=True)
    client.create("/dubbo/without.Providers")
    client.stop()
    client.close()
    [row] = status.rows(status.providers(zookeeper_server.hosts))
    assert row["interface"] == provider.interface
    assert (row["host"], row["port"], row["application"], row["weight"]) == ("127.0.0.1", 50051, "customer_svc", 7)
    assert status.table([provider])[0]["address"] == "127.0.0.1:50051"
    assert status.table([replace(provider, disabled=True)])[0]["weight"] == "off"


def test_providers_that_belong_to_their_creator_are_read_with_its_credentials(zookeeper_server):
    hosts, auth = zookeeper_server.hosts, "banyan:secret"
    provider = Provider("banyan.customer.v1.CustomerService", "127.0.0.1", 50051, "customer_svc")
    client = KazooClient(hosts=hosts, auth_data=[("digest", auth)], default_acl=CREATOR_ALL_ACL)
    client.start()
    client.create(f"{providers_path(provider.interface)}/{node_name(provider)}", makepath=True)
    client.stop()
    client.close()
    [found] = status.providers(hosts, auth)
    assert found.interface == provider.interface
    for wrong in ("", "banyan:wrong"):
        with pytest.raises(status.NoZooKeeper, match="BANYAN_ZOOKEEPER_AUTH"):
            status.providers(hosts, wrong)


def test_the_command_takes_zookeeper_and_its_credentials_from_the_environment(command, zookeeper_server, tmp_path):
    environment = {**os.environ, "BANYAN_ZOOKEEPER": zookeeper_server.hosts, "BANYAN_ZOOKEEPER_AUTH": "banyan:secret"}
    told = subprocess.run(
        [*command, "providers", "--json", "--home", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout.strip()) == (0, "[]"), told.stderr


def test_a_zookeeper_that_does_not_answer_is_named(home: Home):
    hosts = f"127.0.0.1:{home.port('nobody')}"
    with pytest.raises(status.NoZooKeeper, match=hosts):
        status.providers(hosts)


def test_a_home_whose_run_has_ended_is_stopped(home: Home):
    Supervisor(home, os.getpid()).tell("ready", ready=True)
    found = status.read(home)
    assert (found.running, found.phase) == (False, "stopped")
    assert status.zookeeper_of(home) == ""


def test_the_memory_of_a_process_is_measured_and_a_gone_one_has_none():
    assert status.memory_bytes(os.getpid()) > 10 << 20
    assert status.memory_bytes(2**22 + 1) == 0
