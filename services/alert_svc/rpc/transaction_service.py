"""The servicer of TransactionService."""

from collections.abc import AsyncIterator
from functools import partial

from banyan.alert.v1 import transaction_service_pb2 as pb
from banyan.alert.v1 import transaction_service_pb2_grpc

from chassis import clock
from chassis.errors import Kind, Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from chassis.streams import Context
from services.alert_svc.domain.transactions import BATCH_MAX
from services.alert_svc.rpc import convert
from services.alert_svc.usecases.ingest import Ingested, ingest

ALERTS = "alerts"


class TransactionServicer(transaction_service_pb2_grpc.TransactionServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def IngestTransactions(
        self, requests: AsyncIterator[pb.IngestTransactionsRequest], _context: Context
    ) -> AsyncIterator[pb.IngestTransactionsResponse]:
        last = 0
        async for request in requests:
            _check(request, last)
            last = request.batch
            ingested = await self._take(request)
            yield convert.ingested_to_wire(request.batch, ingested)

    async def _take(self, request: pb.IngestTransactionsRequest) -> Ingested:
        batch = [convert.transaction_from_wire(sent) for sent in request.transactions]
        ingested = await self._database.repeat(partial(ingest, batch=batch, now=clock.now()))
        if ingested.alert_count:
            await self._wakeups.notify(ALERTS)
        return ingested


def _check(request: pb.IngestTransactionsRequest, last: int) -> None:
    if request.batch <= last:
        message = f"batch {request.batch} came after batch {last}"
        raise Refused(Kind.INVALID, "BATCH_OUT_OF_ORDER", message, {"batch": str(request.batch)})
    if len(request.transactions) > BATCH_MAX:
        message = f"a batch holds at most {BATCH_MAX} transactions"
        raise Refused(Kind.INVALID, "BATCH_TOO_LARGE", message, {"limit": str(BATCH_MAX)})
