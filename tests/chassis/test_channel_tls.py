import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from chassis.channel import tls_of
from chassis.settings import ServiceSettings
from chassis.xds_resources import Tls
from devstack.home import Home

CALLER = Path(__file__).with_name("tls_caller_process.py")
_numbers = count(1)


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


async def call(port: int, tls: Tls | None, home: Home) -> dict[str, str]:
    """Calls assignment_svc from a process of its own: what was answered, or the code and details of the failure."""
    files = [] if tls is None else [str(tls.certificate), str(tls.key), str(tls.authority)]
    command = [sys.executable, str(CALLER), str(port), str(home.root / f"tls-{next(_numbers)}.sock"), *files]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        printed, _ = await process.communicate()
    return json.loads(printed.splitlines()[-1])


async def test_both_sides_show_who_they_are(authority: Callable[[str], Any], session_home: Home):
    bank = authority("bank")
    async with served(bank.issue("banyan/assignment_svc")) as port:
        told = await call(port, bank.issue("banyan/customer_svc"), session_home)
    assert told == {"answer": "banyan/customer_svc"}


async def test_another_service_of_the_bank_gets_no_call_meant_for_this_one(
    authority: Callable[[str], Any], session_home: Home
):
    bank = authority("bank")
    async with served(bank.issue("banyan/campaign_svc")) as port:
        told = await call(port, bank.issue("banyan/customer_svc"), session_home)
    assert "SANs from certificate did not match" in told["details"]


async def test_a_server_of_another_authority_gets_no_call(authority: Callable[[str], Any], session_home: Home):
    async with served(authority("other").issue("banyan/assignment_svc")) as port:
        told = await call(port, authority("bank").issue("banyan/customer_svc"), session_home)
    assert "CERTIFICATE_VERIFY_FAILED" in told["details"]


async def test_a_server_without_tls_gets_no_call(authority: Callable[[str], Any], session_home: Home):
    async with served(None) as port:
        told = await call(port, authority("bank").issue("banyan/customer_svc"), session_home)
    assert told["code"] == "UNAVAILABLE"


async def test_a_caller_without_a_certificate_is_refused(authority: Callable[[str], Any], session_home: Home):
    async with served(authority("bank").issue("banyan/assignment_svc")) as port:
        told = await call(port, None, session_home)
    assert told["code"] == "UNAVAILABLE"


def test_the_three_files_go_together(tmp_path: Path):
    files = {name: tmp_path / name for name in ("tls_certificate", "tls_key", "tls_ca")}

    def settings(**given: Path) -> ServiceSettings:
        return ServiceSettings(home=tmp_path, keys=tmp_path, database_url="unused", **cast("Any", given))

    assert tls_of(settings()) is None
    assert tls_of(settings(**files)) == Tls(*files.values())
    with pytest.raises(ValueError, match="go together"):
        tls_of(settings(tls_key=files["tls_key"]))
