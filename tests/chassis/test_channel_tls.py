import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import grpc
import pytest

from chassis.channel import Channels, tls_of
from chassis.discovery import Discovery, Snapshot
from chassis.provider import Provider
from chassis.settings import ServiceSettings
from chassis.xds import XdsServer
from chassis.xds_resources import Tls
from devstack.home import Home

_numbers = count(1)


class Knowing:
    """Stands for discovery that knows one provider."""

    def __init__(self, provider: Provider) -> None:
        self.snapshot = Snapshot(MappingProxyType({provider.interface: (provider,)}))

    def subscribe(self, _callback: object) -> Callable[[], None]:
        return lambda: None


class Handlers(grpc.GenericRpcHandler):
    """Answers every call with the names in the caller's certificate."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        assert handler_call_details.method

        async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return b"|".join(context.auth_context().get("x509_subject_alternative_name", ()))

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def served(tls: Tls | None) -> AsyncGenerator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        credentials = grpc.ssl_server_credentials([pair], tls.authority.read_bytes(), require_client_auth=True)
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield port
    await server.stop(None)


async def call(port: int, tls: Tls | None, home: Home) -> bytes:
    """Calls assignment_svc; each time another service of it, since gRPC keeps its xDS client per target for a while.

    It may keep where xDS is, too, as long as a client of an earlier test lives: hence the socket of those tests.
    """
    service = f"banyan.assignment.v1.Tls{next(_numbers)}Service"
    socket = home.root / "net" / "xds.sock"
    socket.parent.mkdir(exist_ok=True)
    xds = XdsServer(cast("Discovery", Knowing(Provider(service, "127.0.0.1", port))), socket, tls=tls)
    await xds.start()
    channels = Channels(socket, lambda: "token", tls)
    channels.open([service])
    try:
        return await _answer(channels.channel(service), service)
    finally:
        await channels.close()
        await xds.stop()


async def _answer(channel: grpc.aio.Channel, service: str) -> bytes:
    """Calls again while gRPC is still on its way to xDS; what is wrong with a certificate is told at once."""
    for _ in range(40):
        try:
            return await channel.unary_unary(f"/{service}/Get")(b"")
        except grpc.aio.AioRpcError as error:
            if "xDS channel for server" not in str(error.details()):
                raise
            await asyncio.sleep(0.25)
    raise TimeoutError("gRPC did not reach the xDS server")


async def test_both_sides_show_who_they_are(authority: Callable[[str], Any], session_home: Home):
    bank = authority("bank")
    async with served(bank.issue("banyan/assignment_svc")) as port:
        assert await call(port, bank.issue("banyan/customer_svc"), session_home) == b"banyan/customer_svc"


async def test_another_service_of_the_bank_gets_no_call_meant_for_this_one(
    authority: Callable[[str], Any], session_home: Home
):
    bank = authority("bank")
    async with served(bank.issue("banyan/campaign_svc")) as port:
        with pytest.raises(grpc.aio.AioRpcError, match="SANs from certificate did not match"):
            await call(port, bank.issue("banyan/customer_svc"), session_home)


async def test_a_server_of_another_authority_gets_no_call(authority: Callable[[str], Any], session_home: Home):
    async with served(authority("other").issue("banyan/assignment_svc")) as port:
        with pytest.raises(grpc.aio.AioRpcError, match="CERTIFICATE_VERIFY_FAILED"):
            await call(port, authority("bank").issue("banyan/customer_svc"), session_home)


async def test_a_server_without_tls_gets_no_call(authority: Callable[[str], Any], session_home: Home):
    async with served(None) as port:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(port, authority("bank").issue("banyan/customer_svc"), session_home)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_caller_without_a_certificate_is_refused(authority: Callable[[str], Any], session_home: Home):
    async with served(authority("bank").issue("banyan/assignment_svc")) as port:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(port, None, session_home)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


def test_the_three_files_go_together(tmp_path: Path):
    files = {name: tmp_path / name for name in ("tls_certificate", "tls_key", "tls_ca")}

    def settings(**given: Path) -> ServiceSettings:
        return ServiceSettings(home=tmp_path, keys=tmp_path, database_url="unused", **cast("Any", given))

    assert tls_of(settings()) is None
    assert tls_of(settings(**files)) == Tls(*files.values())
    with pytest.raises(ValueError, match="go together"):
        tls_of(settings(tls_key=files["tls_key"]))
