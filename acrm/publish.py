"""Hands the batch's results to the services of a running system, and waits for what they make of them."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import grpc
from banyan.assignment.v1 import import_service_pb2 as assignment_import
from banyan.assignment.v1 import (
    import_service_pb2_grpc,
    operation_service_pb2_grpc,
    ownership_pb2,
    ownership_service_pb2,
    ownership_service_pb2_grpc,
)
from banyan.campaign.v1 import import_service_pb2 as campaign_import
from banyan.campaign.v1 import import_service_pb2_grpc as campaign_import_grpc
from banyan.customer.v1 import import_service_pb2 as customer_import
from banyan.customer.v1 import import_service_pb2_grpc as customer_import_grpc
from banyan.customer.v1 import merge_service_pb2, merge_service_pb2_grpc
from google.longrunning import operations_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from acrm.columns import Table
from acrm.ingest import TRANSACTION_SERVICE, Ingested, PublishFailed, ingest
from acrm.progress import Progress
from acrm.publish_scores import SCORE_CARD_SERVICE, ScoreCards, new_metadata, started, told_of
from acrm.rows import arrow_pieces, row_count
from chassis import clock
from chassis.channel import mesh
from chassis.names import parse_one
from chassis.settings import ServiceSettings
from chassis.tokens import KeyRing, Signer
from chassis.wire import date_to_wire

# Two packages bring this module, one of them without what its stub names: which one is there is chance.
_operations: Any = operations_pb2
APPLICATION = "cli"
_OWNERSHIP_SERVICE = "banyan.assignment.v1.OwnershipService"
_MERGE_SERVICE = "banyan.customer.v1.MergeService"
_PAGE_SIZE = 1000
_OPERATION_SERVICE = "banyan.assignment.v1.OperationService"
_ATTEMPTS_MAX = 4
_BACK_OFF_SECONDS = 0.5
_BACK_OFF_SECONDS_MAX = 5.0
# How long services may need to hear from one another what they were told before.
FOLLOW_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.3

T = TypeVar("T")


@dataclass(frozen=True)
class System:
    """Where the running system is found, and the keys to sign with."""

    zookeeper: str
    keys: Path


@dataclass(frozen=True)
class Sent:
    """What the services made of the rows of a table; a row counts for each service that takes it."""

    received: int
    inserted: int
    updated: int
    unchanged: int

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Allocated:
    """How an allocation ended."""

    customers: int
    changed_customers: int
    changed_rows: int
    by_rule: Mapping[str, int]


@dataclass(frozen=True)
class _Importer:
    """An ImportService: its name, stub and messages; those of all packages have the same fields."""

    service: str
    stub: Callable[[grpc.aio.Channel], Any]
    messages: Any


_ASSIGNMENT = _Importer(
    "banyan.assignment.v1.ImportService", import_service_pb2_grpc.ImportServiceStub, assignment_import
)
_CUSTOMER = _Importer("banyan.customer.v1.ImportService", customer_import_grpc.ImportServiceStub, customer_import)
_CAMPAIGN = _Importer("banyan.campaign.v1.ImportService", campaign_import_grpc.ImportServiceStub, campaign_import)
# Who takes which table, in the order in which it is sent.
_IMPORTERS = {
    **dict.fromkeys(("branches", "staff", "branch_facts", "customer_locations"), (_ASSIGNMENT,)),
    **dict.fromkeys(("balance_steps", "customer_months"), (_ASSIGNMENT,)),
    **dict.fromkeys(("customers", "relations", "accounts", "loans", "cards", "holdings"), (_CUSTOMER,)),
    **dict.fromkeys(("monthly_balances", "customer_branch_figures", "customer_figures"), (_CUSTOMER,)),
    **dict.fromkeys(("customer_tags", "key_tests"), (_CUSTOMER,)),
    "products": (_CAMPAIGN, _CUSTOMER),
    **dict.fromkeys(("consents", "opt_outs", "contacts"), (_CAMPAIGN,)),
}
_NEEDS = (
    *(importer.service for importer in (_ASSIGNMENT, _CUSTOMER, _CAMPAIGN)),
    *(_OWNERSHIP_SERVICE, SCORE_CARD_SERVICE, _OPERATION_SERVICE, _MERGE_SERVICE, TRANSACTION_SERVICE),
)


class Publisher:
    """The services, as the batch sees them."""

    def __init__(
        self, channel: Callable[[str], grpc.aio.Channel], progress: Progress, *, allow_removals: bool = False
    ) -> None:
        self._channel = channel
        self._progress = progress
        self._allow_removals = allow_removals

    async def send(self, table: Table, path: Path, business_date: date) -> Sent:
        """Sends a table to each service that takes it; there all of its rows are stored, or none and it raises.

        Rows that refer to what the service has not heard of yet are sent again for up to a minute.
        """
        total = row_count(path)
        self._progress(table.name, 0, total)
        sent = Sent(0, 0, 0, 0)
        for importer in _IMPORTERS[table.name]:
            sent += await _repeated(table.name, partial(self._import, importer, table, path, business_date))
        self._progress(table.name, total, total)
        return sent

    async def _import(self, importer: _Importer, table: Table, path: Path, business_date: date) -> Sent:
        pb = importer.messages
        total = row_count(path)

        async def requests() -> AsyncGenerator[Any]:
            day = date_to_wire(business_date)
            header = pb.ImportHeader(table=table.name, business_date=day, allow_removals=self._allow_removals)
            yield pb.ImportRowsRequest(header=header)
            pieces = arrow_pieces(path, table.schema)
            # Reading and encoding is work for a thread: the loop keeps the connections alive.
            while (piece := await asyncio.to_thread(_next_or_none, pieces)) is not None:
                yield pb.ImportRowsRequest(arrow=piece[0])
                self._progress(table.name, piece[1], total)

        stub = importer.stub(self._channel(importer.service))
        answer = await stub.ImportRows(requests(), wait_for_ready=True)
        return Sent(answer.received_count, answer.inserted_count, answer.updated_count, answer.unchanged_count)

    async def merged_customers(self) -> Sequence[tuple[str, str]]:
        """Who is gone by a merge and who has all that was his, as of now."""
        stub = merge_service_pb2_grpc.MergeServiceStub(self._channel(_MERGE_SERVICE))
        found: list[tuple[str, str]] = []
        token = ""
        while True:
            request = merge_service_pb2.ListMergedCustomersRequest(page_size=_PAGE_SIZE, page_token=token)

            async def ask(request: merge_service_pb2.ListMergedCustomersRequest = request) -> Any:  # noqa: ANN401 - the same
                return await _of_stub(stub.ListMergedCustomers(request, wait_for_ready=True))

            page = await _repeated("merges", ask)
            found += [
                (parse_one("customers", one.merged_customer), parse_one("customers", one.survivor))
                for one in page.merged_customers
            ]
            token = page.next_page_token
            if not token:
                return found

    async def allocate(self, business_date: date) -> Allocated:
        """Lets every customer whose facts changed or whose due date passed be allocated, and waits for the end."""
        stub = ownership_service_pb2_grpc.OwnershipServiceStub(self._channel(_OWNERSHIP_SERVICE))
        request = ownership_service_pb2.AllocateOwnershipsRequest(
            business_date=date_to_wire(business_date), request_id=str(uuid.uuid4())
        )

        async def start() -> Any:  # noqa: ANN401 - an operation, see above
            return await _of_stub(stub.AllocateOwnerships(request, wait_for_ready=True))

        metadata = ownership_service_pb2.AllocateOwnershipsMetadata()
        operation = await self._finished("allocate", await _repeated("allocate", start), metadata)
        told = ownership_service_pb2.AllocateOwnershipsResponse()
        operation.response.Unpack(told)
        by_rule = {ownership_pb2.AllocationRule.Name(count.rule): count.customer_count for count in told.rule_counts}
        return Allocated(told.customer_count, told.changed_customer_count, told.changed_row_count, by_rule)

    async def build_score_cards(self, business_date: date) -> ScoreCards:
        """Lets the score cards be computed by the owners and balances of the night, and waits for the end."""
        start = partial(started, self._channel(SCORE_CARD_SERVICE), business_date, str(uuid.uuid4()))
        return told_of(await self._finished("score_cards", await _repeated("score_cards", start), new_metadata()))

    async def _finished(self, what: str, operation: Any, metadata: Any) -> Any:  # noqa: ANN401 - the same
        stub = operation_service_pb2_grpc.OperationServiceStub(self._channel(_OPERATION_SERVICE))
        request = _operations.GetOperationRequest(name=operation.name)

        async def ask() -> Any:  # noqa: ANN401 - an operation, see above
            return await _of_stub(stub.GetOperation(request, wait_for_ready=True))

        while not operation.done:
            await asyncio.sleep(_POLL_SECONDS)
            operation = await _repeated(what, ask)
            if operation.metadata.Unpack(metadata):
                self._progress(what, metadata.done_count, metadata.total_count)
        if operation.HasField("error"):
            raise PublishFailed(f"{what}: {operation.error.message}")
        return operation

    async def send_transactions(self, path: Path) -> Ingested:
        """Sends transactions in acknowledged batches; those of accounts not heard of yet again for up to a minute."""
        return await ingest(self._channel(TRANSACTION_SERVICE), path, self._progress)


@asynccontextmanager
async def publisher(system: System, progress: Progress, *, allow_removals: bool = False) -> AsyncGenerator[Publisher]:
    """Connects to a running system as the application `cli`.

    What else belongs to a connection (certificates, ZooKeeper's credentials) comes from the environment, as for a
    service, under the prefix BANYAN_.
    """
    # A short path: a unix socket stands in it.
    with TemporaryDirectory(prefix="bny-") as home:
        settings = ServiceSettings(
            home=Path(home),
            zookeeper=system.zookeeper,
            keys=system.keys,
            database_url="none",
            metrics_port=-1,
        )
        connected = await mesh(settings, APPLICATION, _NEEDS, Signer(KeyRing(system.keys), APPLICATION))
        try:
            yield Publisher(connected.channel, progress, allow_removals=allow_removals)
        finally:
            await connected.close()


def _next_or_none(pieces: Iterator[tuple[bytes, int]]) -> tuple[bytes, int] | None:
    return next(pieces, None)


async def _of_stub(call: Any) -> Any:  # noqa: ANN401 - the stubs of generated code know only the synchronous kind
    return await call


async def _repeated(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Calls until it goes well: a few times while nobody answers, a minute while a reference is not known yet."""
    end = clock.monotonic_seconds() + FOLLOW_SECONDS_MAX
    wait = _BACK_OFF_SECONDS
    attempt = 0
    while True:
        attempt += 1
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            unanswered = error.code() is grpc.StatusCode.UNAVAILABLE and attempt < _ATTEMPTS_MAX
            early = _reason(error) == "REFERENCE_UNKNOWN" and clock.monotonic_seconds() < end
            if not (unanswered or early):
                raise PublishFailed(f"{what}: {_told(error)}") from error
        await asyncio.sleep(wait)
        wait = min(wait * 2, _BACK_OFF_SECONDS_MAX)


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    """The error's details, unpacked: ErrorInfo and BadRequest."""
    found: list[Any] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for packed in Status.FromString(value if isinstance(value, bytes) else value.encode()).details:
                found += [detail for detail in (ErrorInfo(), BadRequest()) if packed.Unpack(detail)]
    return found


def _reason(error: grpc.aio.AioRpcError) -> str:
    return next((detail.reason for detail in _details(error) if isinstance(detail, ErrorInfo)), "")


def _told(error: grpc.aio.AioRpcError) -> str:
    """What the service said, with the fields that it named."""
    lines = [
        f"{violation.field}: {violation.description}"
        for detail in _details(error)
        if isinstance(detail, BadRequest)
        for violation in detail.field_violations
    ]
    return "\n  ".join([f"{error.code().name} {error.details()}", *lines])
