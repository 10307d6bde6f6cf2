"""Tiny servicers of all four kinds of calls that do what a test tells them, and the calls to them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from banyan.alert.v1 import alert_service_pb2_grpc, transaction_service_pb2_grpc
from banyan.alert.v1.alert_pb2 import Alert
from banyan.alert.v1.alert_service_pb2 import (
    GetAlertRequest,
    ListAlertsRequest,
    ListAlertsResponse,
    WatchAlertsRequest,
    WatchAlertsResponse,
)
from banyan.alert.v1.transaction_service_pb2 import IngestTransactionsRequest, IngestTransactionsResponse
from banyan.assignment.v1 import import_service_pb2_grpc
from banyan.assignment.v1.import_service_pb2 import ImportHeader, ImportRowsRequest, ImportRowsResponse
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from google.type.date_pb2 import Date

from chassis.caller import ANY_ROLE, Caller, Role, caller_or_none
from chassis.server import App, Instance, Served
from chassis.testing import Metadata, SignedIn, app_of, instance_in_process

M = TypeVar("M", bound=Message)

GET: str = "/banyan.alert.v1.AlertService/GetAlert"
LIST: str = "/banyan.alert.v1.AlertService/ListAlerts"
WATCH: str = "/banyan.alert.v1.AlertService/WatchAlerts"
IMPORT: str = "/banyan.assignment.v1.ImportService/ImportRows"
INGEST: str = "/banyan.alert.v1.TransactionService/IngestTransactions"
ALLOWED: Mapping[str, frozenset[Role]] = dict.fromkeys([GET, LIST, WATCH, IMPORT, INGEST], ANY_ROLE)


async def nothing() -> None:
    """What a script does unless told otherwise."""


@dataclass
class Script(
    alert_service_pb2_grpc.AlertServiceServicer,
    transaction_service_pb2_grpc.TransactionServiceServicer,
    import_service_pb2_grpc.ImportServiceServicer,
):
    """Serves everything: does `first` before its first message and `then` after it."""

    first: Callable[[], Awaitable[None]] = nothing
    then: Callable[[], Awaitable[None]] = nothing
    callers: list[Caller | None] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)

    async def GetAlert(self, request: GetAlertRequest, _context: Any) -> Alert:
        return await self._answer(request, Alert(name=request.name))

    async def ListAlerts(self, request: ListAlertsRequest, _context: Any) -> ListAlertsResponse:
        return await self._answer(request, ListAlertsResponse())

    async def WatchAlerts(self, request: WatchAlertsRequest, _context: Any) -> AsyncIterator[WatchAlertsResponse]:
        yield await self._answer(request, WatchAlertsResponse(resume_token="1"))
        await self.then()

    async def ImportRows(self, requests: AsyncIterator[ImportRowsRequest], _context: Any) -> ImportRowsResponse:
        count = 0
        async for request in requests:
            self.requests.append(request)
            count += 1
        return await self._answer(ImportRowsRequest(), ImportRowsResponse(received_count=count))

    async def IngestTransactions(
        self, requests: AsyncIterator[IngestTransactionsRequest], _context: Any
    ) -> AsyncIterator[IngestTransactionsResponse]:
        async for request in requests:
            yield await self._answer(request, IngestTransactionsResponse(batch=request.batch))
            await self.then()

    async def _answer(self, request: Message, answer: M) -> M:
        self.callers.append(caller_or_none())
        self.requests.append(request)
        await self.first()
        return answer


def served(script: Script) -> list[Served]:
    return [
        Served("banyan.alert.v1.AlertService", alert_service_pb2_grpc.add_AlertServiceServicer_to_server, script),
        Served(
            "banyan.alert.v1.TransactionService",
            transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server,
            script,
        ),
        Served(
            "banyan.assignment.v1.ImportService", import_service_pb2_grpc.add_ImportServiceServicer_to_server, script
        ),
    ]


class Client:
    """Calls a script in each of the four ways, as a manager unless told otherwise."""

    def __init__(self, instance: Instance, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.instance = instance
        self.channel = channel
        self.metadata = metadata
        self.alerts: Any = alert_service_pb2_grpc.AlertServiceStub(channel)
        self.transactions: Any = transaction_service_pb2_grpc.TransactionServiceStub(channel)
        self.imports: Any = import_service_pb2_grpc.ImportServiceStub(channel)

    async def call(self, kind: str, metadata: Metadata | None = None, seconds: float | None = None) -> list[Any]:
        """Makes one call of the kind and returns all its responses."""
        options = {"metadata": self.metadata if metadata is None else metadata, "timeout": seconds}
        match kind:
            case "unary":
                return [await self.alerts.GetAlert(GetAlertRequest(name="alerts/1"), **options)]
            case "server stream":
                return [message async for message in self.alerts.WatchAlerts(WatchAlertsRequest(), **options)]
            case "client stream":
                return [await self.imports.ImportRows(rows(), **options)]
            case _:
                return [message async for message in self.transactions.IngestTransactions(batches(1), **options)]


KINDS = ("unary", "server stream", "client stream", "bidirectional stream")
STREAMING_KINDS = ("server stream", "bidirectional stream")


async def rows() -> AsyncIterator[ImportRowsRequest]:
    yield ImportRowsRequest(header=ImportHeader(table="branches", business_date=Date(year=2026, month=1, day=5)))
    yield ImportRowsRequest(arrow=b"rows")


async def batches(count: int) -> AsyncIterator[IngestTransactionsRequest]:
    for batch in range(1, count + 1):
        request = IngestTransactionsRequest(batch=batch)
        request.transactions.add(transaction=f"t{batch}")
        yield request


@asynccontextmanager
async def running(
    script: Script, signed_in: SignedIn, home: Path, app: App | None = None, **settings: object
) -> AsyncGenerator[Client]:
    """A client of a script that is served behind the whole chain."""
    told = app or app_of(served(script), ALLOWED, signed_in)
    async with instance_in_process(told, home, **settings) as (instance, channel):
        yield Client(instance, channel, signed_in.staff(Role.MANAGER))


@dataclass(frozen=True)
class Failure:
    """What a client learns of a call that failed."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo
    violations: list[tuple[str, str]]
    raw: bytes


async def failure_of(call: Awaitable[object]) -> Failure:
    """How a call fails; it must fail, with details of the one shape that all failures have."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return failure(raised.value)


def failure(error: grpc.aio.AioRpcError) -> Failure:
    raw = next(value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin")
    assert isinstance(raw, bytes)
    status = Status.FromString(raw)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    info, bad = ErrorInfo(), BadRequest()
    status.details[0].Unpack(info)
    for detail in status.details[1:]:
        assert detail.Unpack(bad)
    violations = [(violation.field, violation.description) for violation in bad.field_violations]
    return Failure(error.code(), status.message, info, violations, raw)
