"""Signing in and out over the wire."""

import asyncio
import json
import uuid
from datetime import date

import grpc
import pytest
from argon2 import PasswordHasher
from banyan.assignment.v1 import org_service_pb2, org_service_pb2_grpc, session_pb2, session_service_pb2_grpc
from banyan.assignment.v1 import session_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from chassis.testing import bearer

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def stub(service) -> session_service_pb2_grpc.SessionServiceStub:
    return session_service_pb2_grpc.SessionServiceStub(service.channel)


@pytest.fixture(scope="module", autouse=True)
async def staff(service) -> None:
    async with service.parts.database.begin() as tx:
        await tx.execute(text("TRUNCATE branch, staff, session"))
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('b1', 'B')"))
        await tx.execute(
            text(
                "INSERT INTO staff (staff_id, display_name, branch_id, roles, login, password_hash, active_until_date)"
                " VALUES (:id, :id, 'b1', '{MANAGER}', :id, :hash, CAST(:until AS date))"
            ),
            [
                {"id": name, "hash": CHEAP.hash(PASSWORD), "until": until}
                for name, until in (("anna", None), ("bert", None), ("gone", date(2020, 1, 1)))
            ],
        )


def reason_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), reason_of(caught.value).reason


async def sign_in(stub, login: str = "anna", password: str = PASSWORD) -> session_pb2.Session:
    return await stub.CreateSession(pb.CreateSessionRequest(login=login, password=password))


async def test_a_member_signs_in_and_his_token_is_taken(stub) -> None:
    session = await sign_in(stub)
    assert session.staff.name == "staff/anna"
    own = await stub.GetSession(pb.GetSessionRequest(name="sessions/-"), metadata=bearer(session.access_token))
    assert (own.name, own.access_token, own.refresh_token) == (session.name, "", "")
    assert own.expire_time.seconds - own.create_time.seconds == 12 * 3600
    assert session.access_expire_time.seconds - session.create_time.seconds == 15 * 60


async def test_unknown_login_wrong_password_and_inactive_member_are_refused_alike(stub) -> None:
    answers = []
    for login, password in ((f"nobody-{uuid.uuid4()}", PASSWORD), ("anna", "wrong"), ("gone", PASSWORD)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sign_in(stub, login, password)
        answers.append((caught.value.code(), caught.value.details(), reason_of(caught.value).reason))
    assert set(answers) == {
        (grpc.StatusCode.UNAUTHENTICATED, "login or password is wrong", "SIGN_IN_REFUSED"),
    }


@pytest.mark.parametrize(("login", "password"), [("x" * 65, "p"), ("anna", "p" * 257)])
async def test_too_long_credentials_are_invalid(stub, login: str, password: str) -> None:
    code, reason = await refused(sign_in(stub, login, password))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_after_ten_failures_even_the_right_password_has_to_wait(stub) -> None:
    for _ in range(10):
        assert (await refused(sign_in(stub, "bert", "wrong")))[1] == "SIGN_IN_REFUSED"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign_in(stub, "bert")
    info = reason_of(caught.value)
    assert (caught.value.code(), info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SIGN_IN_THROTTLED")
    assert 0 < int(info.metadata["retry_after_seconds"]) <= 900
    assert (await sign_in(stub)).access_token


async def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(stub) -> None:
    first = await sign_in(stub)
    second = await stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=first.refresh_token))
    assert second.name == first.name
    assert second.refresh_token != first.refresh_token
    thief = stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=first.refresh_token))
    assert await refused(thief) == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_REFUSED")
    owner = stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=second.refresh_token))
    assert await refused(owner) == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_REFUSED")
    ask = stub.GetSession(pb.GetSessionRequest(name="sessions/-"), metadata=bearer(second.access_token))
    assert await refused(ask) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")


async def test_of_two_refreshes_at_once_one_wins(stub) -> None:
    session = await sign_in(stub)
    tries = (stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=session.refresh_token)) for _ in range(2))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(isinstance(answer, session_pb2.Session) for answer in answers) == [False, True]


@pytest.mark.parametrize("token", ["", "nonsense", "no.session", "a" * 9000])
async def test_a_forged_refresh_token_is_refused_and_harms_nobody(stub, token: str) -> None:
    session = await sign_in(stub)
    session_id = session.name.removeprefix("sessions/")
    for forged in (token, f"{session_id}.{token}"):
        code, _ = await refused(stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=forged)))
        assert code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT}
    assert await stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=session.refresh_token))


async def test_signing_out_is_told_to_everybody(service, stub) -> None:
    session = await sign_in(stub)
    org = org_service_pb2_grpc.OrgServiceStub(service.channel)
    watch = org.WatchOrgChanges(org_service_pb2.WatchOrgChangesRequest(), metadata=service.signed_in.service())
    await stub.DeleteSession(pb.DeleteSessionRequest(name="sessions/-"), metadata=bearer(session.access_token))
    ask = stub.GetSession(pb.GetSessionRequest(name="sessions/-"), metadata=bearer(session.access_token))
    assert await refused(ask) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    async with asyncio.timeout(5):
        async for message in watch:
            if session.name in [change.revoked_session.session for change in message.changes]:
                break
    watch.cancel()


async def test_a_session_of_somebody_else_does_not_exist(service, stub) -> None:
    session = await sign_in(stub)
    other = service.signed_in.staff(Role.MANAGER, session_id="another")
    for call in (
        stub.GetSession(pb.GetSessionRequest(name=session.name), metadata=other),
        stub.DeleteSession(pb.DeleteSessionRequest(name=session.name), metadata=other),
    ):
        assert await refused(call) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_the_public_keys_are_a_json_web_key_set(stub) -> None:
    body = await stub.GetJwks(pb.GetJwksRequest())
    keys = json.loads(body.data)["keys"]
    assert body.content_type == "application/json"
    assert {key["kid"].rpartition("-")[0] for key in keys} >= {"assignment_svc", "customer_svc"}
    assert all("d" not in key for key in keys)
