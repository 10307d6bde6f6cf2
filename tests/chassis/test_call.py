from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from banyan.alert.v1.alert_pb2 import ALERT_KIND_LARGE_INFLOW
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest, ListAlertsRequest
from banyan.alert.v1.transaction_service_pb2 import IngestTransactionsRequest
from banyan.assignment.v1.import_service_pb2 import ImportHeader, ImportRowsRequest

from chassis import clock
from chassis.caller import ANY_STAFF, PUBLIC, Role
from chassis.testing import Metadata, SignedIn, app_of, bearer
from tests.chassis.scripted import ALLOWED, GET, INGEST, KINDS, LIST, Client, Script, failure_of, running, served


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(script, signed_in, tmp_path) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        pytest.param((), "TOKEN_MISSING", id="none"),
        pytest.param((("authorization", "Basic c3RhZmY6cGFzcw=="),), "TOKEN_MISSING", id="another scheme"),
        pytest.param((("authorization", "Bearer "),), "TOKEN_INVALID", id="empty"),
        pytest.param(bearer("eyJhbGciOiJub25lIn0.e30."), "TOKEN_INVALID", id="forged"),
    ],
)
async def test_a_call_without_a_true_token_is_refused(
    metadata: Metadata, reason: str, kind: str, script: Script, client: Client
):
    failure = await failure_of(client.call(kind, metadata))
    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    assert (failure.info.reason, failure.info.domain) == (reason, "banyan")
    assert not script.requests


@pytest.mark.parametrize("kind", KINDS)
async def test_an_expired_token_is_refused(kind: str, client: Client, signed_in: SignedIn):
    expired = signed_in.staff(Role.MANAGER, expire_time=clock.now() - timedelta(seconds=1))
    failure = await failure_of(client.call(kind, expired))
    assert (failure.code, failure.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_a_staff_token_signed_by_another_service_is_refused(client: Client, signed_in: SignedIn):
    at = clock.now()
    signer = signed_in.signer("customer_svc")
    token = signer.staff_token("s1", "b1", [Role.ADMIN], "x1", at, at + timedelta(minutes=5))
    failure = await failure_of(client.call("unary", bearer(token)))
    assert (failure.code, failure.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_the_scheme_is_read_in_any_case(client: Client, signed_in: SignedIn):
    token = signed_in.staff(Role.MANAGER)[0][1].removeprefix("Bearer ")
    assert await client.call("unary", (("authorization", f"bearer {token}"),))


PERMISSIONS = {
    GET: PUBLIC,
    LIST: frozenset({Role.BRANCH_HEAD, Role.AUDITOR}),
    INGEST: frozenset({Role.SERVICE}),
}


@pytest.mark.parametrize(
    ("roles", "may"),
    [
        pytest.param(None, {"get"}, id="nobody"),
        pytest.param((Role.BRANCH_HEAD,), {"get", "list"}, id="a role that may list"),
        pytest.param((Role.TELLER, Role.AUDITOR), {"get", "list"}, id="one of two roles may list"),
        pytest.param(tuple(ANY_STAFF - {Role.BRANCH_HEAD, Role.AUDITOR}), {"get"}, id="all other roles"),
        pytest.param((), {"get"}, id="no role"),
        pytest.param((Role.SERVICE,), {"get", "ingest"}, id="a service"),
    ],
)
async def test_the_table_of_permissions_is_what_holds(
    roles: tuple[Role, ...] | None, may: set[str], signed_in: SignedIn, tmp_path: Path
):
    script = Script()
    metadata = () if roles is None else signed_in.staff(*roles)
    metadata = signed_in.service() if roles == (Role.SERVICE,) else metadata
    app = app_of(served(script), {**ALLOWED, **PERMISSIONS}, signed_in)
    refused = grpc.StatusCode.UNAUTHENTICATED if roles is None else grpc.StatusCode.PERMISSION_DENIED
    async with running(script, signed_in, tmp_path, app) as client:
        calls = {
            "get": lambda: client.call("unary", metadata),
            "list": lambda: client.alerts.ListAlerts(ListAlertsRequest(), metadata=metadata),
            "ingest": lambda: client.call("bidirectional stream", metadata),
        }
        for name, call in calls.items():
            if name in may:
                await call()
            else:
                assert (await failure_of(call())).code is refused


async def test_a_public_call_has_no_caller_even_with_a_bad_token(signed_in: SignedIn, tmp_path: Path):
    script = Script()
    app = app_of(served(script), {**ALLOWED, GET: PUBLIC}, signed_in)
    async with running(script, signed_in, tmp_path, app) as client:
        await client.call("unary", bearer("nonsense"))
    assert script.callers == [None]


@pytest.mark.parametrize(
    ("request_", "violations"),
    [
        pytest.param(ListAlertsRequest(page_size=-1), ["page_size"], id="a negative page size"),
        pytest.param(ListAlertsRequest(page_size=10**9), [], id="a huge page size is lowered later"),
        pytest.param(ListAlertsRequest(kind=ALERT_KIND_LARGE_INFLOW), [], id="a known enum value"),
        pytest.param(ListAlertsRequest.FromString(b"\x10\x63"), ["kind"], id="an unknown enum number"),
        pytest.param(ListAlertsRequest(customer="x" * 10_000), [], id="a long text"),
        pytest.param(ListAlertsRequest(customer="x" * 10_001), ["customer"], id="an oversized text"),
        pytest.param(ListAlertsRequest(customer="榕" * 10_000), [], id="as many characters of three bytes"),
    ],
)
async def test_a_request_is_checked_against_its_contract(
    request_: ListAlertsRequest, violations: list[str], client: Client
):
    call = client.alerts.ListAlerts(request_, metadata=client.metadata)
    if violations:
        failure = await failure_of(call)
        assert (failure.code, failure.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [field for field, _ in failure.violations] == violations
    else:
        assert await call is not None


async def test_a_missing_required_field_is_named(client: Client, script: Script):
    failure = await failure_of(client.alerts.GetAlert(GetAlertRequest(), metadata=client.metadata))
    assert (failure.code, failure.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert failure.violations == [("name", "is required")]
    assert not script.requests


async def test_every_message_of_a_client_stream_is_checked(client: Client, script: Script):
    async def rows() -> AsyncIterator[ImportRowsRequest]:
        yield ImportRowsRequest(arrow=b"fine")
        yield ImportRowsRequest(header=ImportHeader(table="branches"))

    failure = await failure_of(client.imports.ImportRows(rows(), metadata=client.metadata))
    assert failure.violations == [("header.business_date", "is required")]
    assert script.requests == [ImportRowsRequest(arrow=b"fine")]


async def test_elements_of_a_streamed_batch_are_left_to_the_handler(client: Client, script: Script):
    batch = IngestTransactionsRequest(batch=1)
    batch.transactions.add(transaction="t1")

    async def batches() -> AsyncIterator[IngestTransactionsRequest]:
        yield batch

    answers = [answer async for answer in client.transactions.IngestTransactions(batches(), metadata=client.metadata)]
    assert len(answers) == 1
    assert script.requests == [batch]


@pytest.mark.parametrize("path", [GET, LIST])
async def test_bytes_that_are_no_message_are_refused(path: str, client: Client):
    raw = client.channel.unary_unary(path)  # sends bytes as they are
    failure = await failure_of(raw(b"\xff\xff\xff", metadata=client.metadata))
    assert (failure.code, failure.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED")


async def test_an_unknown_method_is_unimplemented(client: Client):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.channel.unary_unary("/banyan.alert.v1.AlertService/EraseAlert")(b"", metadata=client.metadata)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
