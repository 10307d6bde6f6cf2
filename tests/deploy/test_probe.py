"""The health check of containers, run as they run it, against a real instance."""

import asyncio
import socket
import ssl
import sys
from pathlib import Path

import pytest

from chassis import clock
from chassis.testing import SignedIn, app_of, instance_in_process
from deploy.identities import make_identities


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identities")
    make_identities(folder, clock.now())
    return folder


@pytest.fixture(scope="module")
def tls(identities):
    return identities / "alert_svc" / "tls"


@pytest.fixture
async def instance(tls, tmp_path):
    files = {"certificate": "tls_certificate", "key": "tls_key", "ca": "tls_ca"}
    settings = {setting: tls / f"{name}.pem" for name, setting in files.items()}
    app = app_of([], {}, SignedIn(tmp_path / "keys"))
    async with instance_in_process(app, tmp_path, **settings) as (instance, _):
        yield instance


def port_of(home: Path):
    return (home / "port").read_text().strip()


async def probe(*arguments):
    """Its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.probe", *map(str, arguments)), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_an_instance_is_healthy_while_it_says_so(instance, tls, tmp_path):
    assert (await probe(port_of(tmp_path), tls))[0] == 0
    instance.health.tell(serving=False)
    assert await probe(port_of(tmp_path), tls) == (1, "NOT_SERVING\n")
    instance.health.tell(serving=True)
    assert (await probe(port_of(tmp_path), tls))[0] == 0


async def test_an_instance_that_is_being_stopped_is_not_healthy(instance, tls, tmp_path):
    instance.health.leave()
    assert (await probe(port_of(tmp_path), tls))[0] == 1


async def test_somebody_else_at_the_port_is_not_the_instance(instance, tmp_path):
    assert instance
    make_identities(tmp_path / "others", clock.now())
    code, said = await probe(port_of(tmp_path), tmp_path / "others" / "alert_svc" / "tls")
    assert (code, "UNAVAILABLE" in said) == (1, True)


async def test_a_hung_instance_is_not_healthy(tls):
    # It still takes connections, as the kernel does for a process that is stopped.
    with socket.create_server(("127.0.0.1", 0)) as hung:
        code, said = await probe(hung.getsockname()[1], tls)
    assert (code, "DEADLINE_EXCEEDED" in said) == (1, True)


async def test_nobody_is_not_healthy(tls):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await probe(port, tls))[0] == 1


@pytest.fixture
async def gateway(tls):
    """Stands for a gateway with a certificate of the bank's: the status that it answers is set by the test."""
    statuses = ["200 OK"]

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {statuses[0]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls / "certificate.pem", tls / "key.pem")
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz", statuses


async def test_a_gateway_is_healthy_while_it_answers_200_whatever_its_certificate(gateway):
    url, statuses = gateway
    assert (await probe(url))[0] == 0
    statuses[0] = "503 Service Unavailable"
    assert (await probe(url))[0] == 1


async def test_nobody_but_the_container_itself_is_asked_without_looking_at_certificates():
    assert (await probe("https://gateway:8080/healthz"))[0] == 1
