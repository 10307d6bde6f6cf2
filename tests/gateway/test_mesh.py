"""The gateway and a service that prove themselves to each other, with what a deployment gives them."""

import http.client
import json
import socket
import ssl
from contextlib import closing
from datetime import timedelta

import pytest
from cryptography import x509

from chassis import clock
from chassis.caller import Role
from chassis.tokens import KeyRing, Signer
from deploy.identities import make_identities


@pytest.fixture
def identities(tmp_path):
    """Good for another month; if they are looked after now, there are new ones."""
    make_identities(tmp_path, clock.now() - timedelta(days=61))
    return tmp_path


@pytest.fixture
def port(new_port):
    return new_port()


@pytest.fixture
def ask(start_gateway, start_backend, zookeeper_server, identities, port):
    """Asks a gateway over TLS; behind it one backend serves every contract with assignment_svc's certificate."""
    service, own = identities / "assignment_svc", identities / "gateway" / "tls"
    start_backend(zookeeper_server.hosts, service / "keys", service / "tls")
    settings = {"ZOOKEEPER": zookeeper_server.hosts, "DRAIN_SECONDS": 0, "MESH_CA": own / "ca.pem"}
    for use in ("TLS", "MESH"):
        settings |= {f"{use}_CERTIFICATE": own / "certificate.pem", f"{use}_KEY": own / "key.pem"}
    start_gateway(f"mesh-{port}", port, **settings)
    context = ssl.create_default_context(cafile=own / "ca.pem")

    def ask(path, token=""):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        with closing(http.client.HTTPSConnection("localhost", port, timeout=10, context=context)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    return ask


class AdminConnection(http.client.HTTPConnection):
    """To Envoy's admin interface on its unix socket."""

    def __init__(self, path):
        super().__init__("envoy", timeout=10)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@pytest.fixture
def serials(session_home, port):
    """The serial number of the certificate in each of Envoy's TLS contexts: one to callers, one to each service."""

    def serials():
        with closing(AdminConnection(session_home.root / f"mesh-{port}" / "admin.sock")) as connection:
            connection.request("GET", "/certs")
            found = json.loads(connection.getresponse().read())["certificates"]
        return [int(chain["serial_number"], 16) for each in found for chain in each.get("cert_chain", ())]

    return serials


def test_the_gateway_calls_only_who_proves_to_be_the_service_meant(ask, identities, wait_until):
    wait_until(lambda: ask("/v1/jwks")[0] == 200)
    now = clock.now()
    signer = Signer(KeyRing(identities / "assignment_svc" / "keys"), "assignment_svc")
    token = signer.staff_token("s1", "b1", [Role.MANAGER], "session", now, now + timedelta(minutes=5))
    status, body = ask("/v1/assignment/operations/1", token)
    assert (status, body["name"]) == (200, "operations/1")
    status, body = ask("/v1/customers/1", token)  # customer_svc has another certificate
    assert (status, body["code"]) == (503, 14)


def test_the_gateway_takes_renewed_certificates_while_it_runs(ask, identities, serials, protos, wait_until):
    wait_until(lambda: ask("/v1/jwks")[0] == 200)
    file = identities / "gateway" / "tls" / "certificate.pem"

    def serial():
        return x509.load_pem_x509_certificate(file.read_bytes()).serial_number

    before = serial()
    contexts = 1 + len(protos.services())
    assert serials().count(before) == contexts
    make_identities(identities, clock.now())
    assert serial() != before
    wait_until(lambda: serials().count(serial()) == contexts)
    assert ask("/v1/jwks")[0] == 200
