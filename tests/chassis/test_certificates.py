"""Renewal of a server's certificate while it runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from chassis.certificates import server_credentials
from chassis.server import Instance
from chassis.settings import ServiceSettings
from chassis.testing import SignedIn, app_of
from chassis.xds_resources import Tls


@pytest.fixture
def bank(authority: Callable[[str], Any]) -> Any:
    return authority("bank")


@pytest.fixture
def tls(bank: Any) -> Tls:
    return bank.issue("banyan/alert_svc")


@pytest.fixture
def caller(bank: Any) -> Tls:
    return bank.issue("banyan/customer_svc")


@pytest.fixture
async def port(tls: Tls, tmp_path: Path) -> AsyncIterator[int]:
    """An instance as services run it, with `tls`."""
    settings = ServiceSettings(
        home=tmp_path / "home",
        keys=tmp_path / "keys",
        database_url="unused",
        tls_certificate=tls.certificate,
        tls_key=tls.key,
        tls_ca=tls.authority,
    )
    instance = Instance(settings, app_of([], {}, SignedIn(settings.keys)))
    port = instance.bind()
    await instance.start()
    yield port
    await instance.stop(0)


def context_of(caller: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=caller.authority)
    context.check_hostname = False  # names are told by URI, which Python does not check
    context.load_cert_chain(caller.certificate, caller.key)
    context.set_alpn_protocols(["h2"])
    return context


async def shown(port: int, caller: Tls) -> x509.Certificate:
    """The certificate that a new connection sees."""
    async with asyncio.timeout(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context_of(caller))
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(found)


async def is_let_in(port: int, caller: Tls) -> bool:
    """Whether the server says anything: in TLS 1.3 a caller hears of its refusal only when it reads."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context_of(caller))
        try:
            return await reader.read(1) != b""
        except (ssl.SSLError, ConnectionError):
            return False
        finally:
            writer.close()


def certificate(tls: Tls) -> x509.Certificate:
    return x509.load_pem_x509_certificate(tls.certificate.read_bytes())


async def test_a_new_connection_sees_the_renewed_certificate(port: int, tls: Tls, caller: Tls, bank: Any):
    before = certificate(tls)
    assert await shown(port, caller) == before
    assert bank.issue("banyan/alert_svc") == tls
    assert certificate(tls) != before
    assert await shown(port, caller) == certificate(tls)


async def test_until_a_pair_is_whole_the_one_before_is_shown(port: int, tls: Tls, caller: Tls, bank: Any):
    before, key_before = certificate(tls), tls.key.read_bytes()
    bank.issue("banyan/alert_svc")
    whole = tls.certificate.read_bytes(), tls.key.read_bytes()
    for broken in (key_before, b"half of it", None):
        tls.key.unlink()
        if broken is not None:
            tls.key.write_bytes(broken)
        assert await shown(port, caller) == before
    tls.key.write_bytes(whole[1])
    assert await shown(port, caller) == certificate(tls) != before


async def test_callers_of_a_new_authority_are_let_in(port: int, tls: Tls, caller: Tls, authority: Callable[[str], Any]):
    other = authority("other").issue("banyan/customer_svc")
    seen_by_other = replace(other, authority=caller.authority)
    assert not await is_let_in(port, seen_by_other)
    tls.authority.write_bytes(caller.authority.read_bytes() + other.authority.read_bytes())
    assert await is_let_in(port, seen_by_other)


def test_a_server_does_not_start_with_another_s_key(tls: Tls, caller: Tls):
    with pytest.raises(ValueError, match="not the certificate's"):
        server_credentials(replace(tls, key=caller.key))
