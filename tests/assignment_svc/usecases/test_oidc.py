"""Signing in by the bank's OIDC issuer, over the wire, with keys from a real HTTP server."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import session_pb2, session_service_pb2_grpc
from banyan.assignment.v1 import session_service_pb2 as pb
from banyan.assignment.v1.staff_pb2 import ROLE_LOBBY, ROLE_MANAGER
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.testing import SignedIn, in_process
from services.assignment_svc.__main__ import Parts, app_of
from services.assignment_svc.settings import Settings

ISSUER, AUDIENCE = "https://id.bank", "banyan-web"
STAFF = """
INSERT INTO staff (staff_id, display_name, branch_id, roles, login, active_until_date) VALUES
  ('m1', 'Mei', 'b1', '{MANAGER,LOBBY}', 'mei', NULL), ('m2', 'Min', 'b1', '{MANAGER}', 'min', NULL),
  ('old', 'Old', 'b1', '{MANAGER}', 'old', '2020-01-01')
"""


class Bank:
    """The service with an issuer, and whom that one speaks for."""

    def __init__(self, channel: grpc.aio.Channel, parts: Parts, served: Any) -> None:
        self.stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        self.parts = parts
        self.served = served
        self.key = served.add_ec("k1")

    def token(self, **changed: object) -> str:
        at = int(clock.now().timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "iat": at, "exp": at + 300, "nonce": "n"}
        # No two tokens are the same.
        whole = claims | {"jti": secrets.token_hex(8), "login": "mei", "roles": ["MANAGER", "LOBBY", "ADMIN"]} | changed
        return self.served.token(whole, self.key, "ES256", "k1")

    async def sign_in(self, token: str | None = None, nonce: str = "n", **changed: object) -> session_pb2.Session:
        sent = token or self.token(**changed)
        return await self.stub.CreateOidcSession(pb.CreateOidcSessionRequest(id_token=sent, nonce=nonce))

    async def code(self, token: str | None = None, nonce: str = "n", **changed: object) -> tuple[object, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.sign_in(token, nonce, **changed)
        return caught.value.code(), str(caught.value.details())

    async def run(self, statement: str) -> list[Any]:
        async def work(tx: AsyncConnection) -> list[Any]:
            found = await tx.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

        return await self.parts.database.repeat(work)


REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "login or password is wrong")


@pytest.fixture
async def bank(service, assignment_url: str, key_server) -> AsyncIterator[Bank]:
    with tempfile.TemporaryDirectory(prefix="bny-") as folder:
        home = Path(folder)
        SignedIn(home)
        told: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": key_server.url}
        told |= {"oidc_login_claim": "login", "oidc_roles_claim": "roles"}
        parts = Parts(Settings(home=home, keys=home, database_url=assignment_url, **told))
        async with in_process(app_of(parts, service.peers), home) as channel:
            made = Bank(channel, parts, key_server)
            for statement in ("TRUNCATE staff, session, oidc_mapping, oidc_token", STAFF):
                await made.run(statement)
            yield made
        await parts.close()


async def test_a_first_token_maps_by_its_login_and_later_ones_by_their_subject(bank: Bank) -> None:
    first = await bank.sign_in()
    assert first.staff.name == "staff/m1"
    later = await bank.sign_in(login="min")
    assert later.staff.name == "staff/m1"
    assert await bank.run("SELECT issuer, subject, staff_id, actor FROM oidc_mapping") == [(ISSUER, "u1", "m1", "oidc")]


async def test_a_claim_of_roles_narrows_them_and_goes_on_doing_so(bank: Bank) -> None:
    signed_in = await bank.sign_in(roles=["LOBBY", "ADMIN"])
    assert list(signed_in.staff.roles) == [ROLE_LOBBY]
    await bank.run("UPDATE staff SET roles = '{MANAGER,LOBBY,TELLER}' WHERE staff_id = 'm1'")
    refreshed = await bank.stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=signed_in.refresh_token))
    assert list(refreshed.staff.roles) == [ROLE_LOBBY]
    assert await bank.code(roles=["ADMIN"]) == REFUSED
    assert await bank.code(roles=[]) == REFUSED
    assert list((await bank.sign_in(roles="MANAGER")).staff.roles) == [ROLE_MANAGER]


async def test_whatever_is_wrong_with_a_token_is_refused_alike(bank: Bank) -> None:
    at = int(clock.now().timestamp())
    stranger = bank.served.add_rsa("k2")
    bank.served.keys.pop()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "iat": at, "exp": at + 300, "nonce": "n", "login": "mei"}
    for token in (
        bank.token(iss="https://other.bank"),
        bank.token(aud="other"),
        bank.token(aud=[AUDIENCE, "other"]),
        bank.token(azp="other"),
        bank.token(exp=at - 120),
        bank.token(iat=at - 3600),
        bank.token(nonce="other"),
        bank.token(sub="u9", login="nobody"),
        bank.token(sub="u9", login="old"),
        bank.served.token(claims, None, "none", None),
        bank.served.token(claims, None, "none", "k1"),
        bank.served.token(claims, stranger, "RS256", "k2"),
        bank.served.token(claims, stranger, "RS256", "k1"),
        "nonsense",
    ):
        assert await bank.code(token) == REFUSED
    assert await bank.run("SELECT count(*) FROM oidc_mapping") == [(0,)]
    assert (await bank.code("x" * 8193))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_token_serves_once_even_for_two_at_once_and_with_another_signature(bank: Bank) -> None:
    token = bank.token()
    answers = await asyncio.gather(*(bank.sign_in(token) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, session_pb2.Session) for answer in answers) == 1
    assert await bank.code(token) == REFUSED
    body, _, _ = token.rpartition(".")
    signed_again = bank.served.token({}, bank.key, "ES256", "k1").rpartition(".")[2]
    assert await bank.code(f"{body}.{signed_again}") == REFUSED


async def test_a_member_who_has_a_mapping_is_not_taken_over_by_another_identity(bank: Bank) -> None:
    await bank.sign_in()
    assert await bank.code(sub="u2") == REFUSED
    assert (await bank.sign_in(sub="u2", login="min")).staff.name == "staff/m2"


async def test_keys_that_cannot_be_read_are_told_apart_from_a_refusal(bank: Bank) -> None:
    bank.served.status = 500
    assert (await bank.code())[0] is grpc.StatusCode.UNAVAILABLE


async def test_without_an_issuer_there_is_no_such_sign_in(service) -> None:
    stub = session_service_pb2_grpc.SessionServiceStub(service.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CreateOidcSession(pb.CreateOidcSessionRequest(id_token="x", nonce="n"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
