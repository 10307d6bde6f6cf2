"""The gateway and a service that prove themselves to each other, with what a deployment gives them."""

import http.client
import json
import ssl
from contextlib import closing
from datetime import timedelta

import pytest

from chassis import clock
from chassis.caller import Role
from chassis.tokens import KeyRing, Signer
from deploy.identities import make_identities


@pytest.fixture
def identities(session_home):
    folder = session_home.root / "identities"
    make_identities(folder, clock.now())
    return folder


@pytest.fixture
def ask(start_gateway, start_backend, zookeeper_server, identities, new_port):
    """Asks a gateway over TLS; behind it one backend serves every contract with assignment_svc's certificate."""
    service, own = identities / "assignment_svc", identities / "gateway" / "tls"
    start_backend(zookeeper_server.hosts, service / "keys", service / "tls")
    port = new_port()
    settings = {"ZOOKEEPER": zookeeper_server.hosts, "DRAIN_SECONDS": 0, "MESH_CA": own / "ca.pem"}
    for use in ("TLS", "MESH"):
        settings |= {f"{use}_CERTIFICATE": own / "certificate.pem", f"{use}_KEY": own / "key.pem"}
    start_gateway("mesh", port, **settings)
    context = ssl.create_default_context(cafile=own / "ca.pem")

    def ask(path, token=""):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        with closing(http.client.HTTPSConnection("localhost", port, timeout=10, context=context)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    return ask


def test_the_gateway_calls_only_who_proves_to_be_the_service_meant(ask, identities, wait_until):
    wait_until(lambda: ask("/v1/jwks")[0] == 200)
    now = clock.now()
    signer = Signer(KeyRing(identities / "assignment_svc" / "keys"), "assignment_svc")
    token = signer.staff_token("s1", "b1", [Role.MANAGER], "session", now, now + timedelta(minutes=5))
    status, body = ask("/v1/assignment/operations/1", token)
    assert (status, body["name"]) == (200, "operations/1")
    status, body = ask("/v1/customers/1", token)  # customer_svc has another certificate
    assert (status, body["code"]) == (503, 14)
