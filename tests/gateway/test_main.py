"""The gateway's process: what it needs, how it ends, what operators see of it."""

import json
import os
import signal
import socket
import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2

from chassis import clock


@pytest.fixture
def gateway(start_gateway, new_port, wait_until, edge):
    """`gateway(NAME=value)` starts a gateway of the test's own and returns it with what talks to it."""

    def start(**settings):
        port = new_port()
        process = start_gateway(f"gateway-{port}", port, **{"DRAIN_SECONDS": 0, **settings})
        other = type(edge)(port, edge.token)
        wait_until(lambda: other.ask("GET", "/healthz").status in {200, 503})
        return process, other

    return start


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = clock.now()
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "chain.pem").write_bytes(built.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(secret)
    return tmp_path / "chain.pem", tmp_path / "key.pem"


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_stopping_gateway_lets_calls_finish(gateway, wait_until):
    process, other = gateway(DRAIN_SECONDS=2)
    wait_until(lambda: other.ask("GET", "/healthz").status == 200)
    connection, response = other.open("GET", "/v1/alerts:watch")
    assert response.readline().startswith(b"data: ")
    process.send_signal(signal.SIGTERM)
    assert response.read().count(b"data: ") == 2
    connection.close()
    assert process.wait(timeout=10) == 0


def test_ctrl_c_does_not_wait_for_long(gateway, wait_until):
    process, other = gateway(DRAIN_SECONDS=60)
    wait_until(lambda: other.ask("GET", "/healthz").status == 200)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0


def test_a_gateway_whose_envoy_dies_ends_with_an_error(gateway):
    process, _ = gateway()
    [envoy] = children(process.pid)
    os.kill(envoy, signal.SIGKILL)
    assert process.wait(timeout=10) == 1


def test_envoy_dies_with_its_gateway(gateway, wait_until):
    process, _ = gateway()
    [envoy] = children(process.pid)
    process.kill()
    process.wait(timeout=10)
    wait_until(lambda: not alive(envoy))


def test_a_gateway_whose_port_is_taken_ends_with_an_error(start_gateway, edge):
    assert start_gateway("taken", edge.port).wait(timeout=20) == 1


def test_a_gateway_starts_without_zookeeper_and_says_that_it_is_not_ready(gateway, new_port):
    _, other = gateway(ZOOKEEPER=f"127.0.0.1:{new_port()}")
    health = other.ask("GET", "/healthz")
    assert (health.status, health.json["message"]) == (
        503,
        "a service has no instance, or the gateway is being stopped",
    )
    answer = other.ask("GET", "/v1/customers/1")
    assert answer.status == 503
    assert answer.json["message"] == "the keys to check tokens with cannot be reached; try again"


def test_requests_beyond_the_limit_are_told_to_come_back(gateway, wait_until):
    _, other = gateway(REQUESTS_PER_SECOND=1)
    wait_until(lambda: other.ask("GET", "/v1/products").status == 429)
    answer = other.ask("GET", "/v1/products")
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.json == {"code": 8, "message": "too many requests; try again in a second", "details": []}


def test_every_error_parses_as_a_status(edge):
    parsed = ParseDict(edge.ask("GET", "/v1/customers/missing").json, status_pb2.Status())
    info = error_details_pb2.ErrorInfo()
    assert parsed.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("NOT_FOUND", "customer.banyan")


def test_the_access_log_is_json_and_never_tells_the_query(edge, session_home, wait_until):
    edge.ask("GET", "/v1/customers:search?displayName=secret")
    log = session_home.root / "gw.log"
    wait_until(lambda: b"/v1/customers:search" in log.read_bytes())
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"path":"/v1/customers' in line]
    assert any(line["rpc"] == "/banyan.customer.v1.CustomerService/GetCustomer" for line in lines)
    assert "secret" not in log.read_text()


def test_prometheus_reads_envoy_s_figures(gateway, new_port, edge):
    port = new_port()
    gateway(METRICS_PORT=port)
    metrics = type(edge)(port)
    assert b"envoy_http_downstream_rq_total" in metrics.ask("GET", "/metrics").body
    assert metrics.ask("GET", "/clusters").status == 404
    assert metrics.ask("POST", "/metrics", b"").status == 404


def test_tls_is_spoken_when_a_certificate_is_set(start_gateway, new_port, wait_until, certificate):
    port = new_port()
    chain, key = certificate
    start_gateway("tls", port, TLS_CERTIFICATE=chain, TLS_KEY=key, DRAIN_SECONDS=0)
    wait_until(lambda: speaks_tls(port, chain))


def speaks_tls(port, chain):
    context = ssl.create_default_context(cafile=str(chain))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=2) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        encrypted.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return encrypted.recv(100).startswith(b"HTTP/1.1 ")
