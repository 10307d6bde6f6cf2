import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from banyan.alert.v1 import stream_end_pb2, transaction_pb2, transaction_service_pb2_grpc
from banyan.alert.v1 import transaction_service_pb2 as pb

from acrm import ingest as module
from acrm.ingest import Ingested, PublishFailed, ingest
from acrm.progress import silent
from acrm.tables import FEED

NOON = datetime(2026, 6, 30, 4, 0, 0, 5, tzinfo=UTC)
ROWS = 23_000


class Alerts(transaction_service_pb2_grpc.TransactionServiceServicer):
    """Stores transactions as alert_svc would; `misbehave` may end a stream, or reject some."""

    def __init__(self):
        self.stored = {}
        self.streams = 0
        self.misbehave: Any = None
        self.channel: grpc.aio.Channel

    async def IngestTransactions(self, requests, context):
        self.streams += 1
        last = 0
        async for request in requests:
            assert request.batch > last
            last = request.batch
            answer = pb.IngestTransactionsResponse(batch=request.batch)
            if self.misbehave is not None and await self.misbehave(request, answer, context):
                if answer.HasField("end"):
                    yield answer
                return
            rejected = {rejection.transaction for rejection in answer.rejections}
            for one in request.transactions:
                if one.transaction in self.stored:
                    answer.duplicate_count += 1
                elif one.transaction not in rejected:
                    self.stored[one.transaction] = one
                    answer.stored_count += 1
            yield answer


@pytest.fixture
async def alerts():
    servicer = Alerts()
    server = grpc.aio.server()

    class Served(transaction_service_pb2_grpc.TransactionServiceServicer):
        async def IngestTransactions(self, requests, context):
            async for answer in servicer.IngestTransactions(requests, context):
                yield answer

    transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(Served(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        servicer.channel = channel
        yield servicer
    await server.stop(None)


@pytest.fixture(scope="module")
def transactions(tmp_path_factory):
    path = tmp_path_factory.mktemp("ingest") / "transactions.parquet"
    rows = [
        {"transaction_id": f"t{n}", "account_id": "a1", "event_time": NOON + timedelta(seconds=n), "direction": "OUT"}
        | {"amount_minor": n + 1, "operation": "fee", "standing_order": True, "own_transfer": False}
        for n in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=FEED["transactions"].schema), path)
    return path


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr(module, "_BACK_OFF_SECONDS_MAX", 0.02)


async def test_every_transaction_is_stored_once_in_batches(alerts, transactions):
    told = []
    assert await ingest(alerts.channel, transactions, lambda *said: told.append(said)) == Ingested(ROWS, 0)
    assert alerts.streams == 1
    assert len(alerts.stored) == ROWS
    assert told[-1] == ("transactions", ROWS, ROWS)
    first = alerts.stored["t0"]
    assert (first.account, first.amount_minor, first.direction) == ("a1", 1, transaction_pb2.DIRECTION_OUT)
    assert first.event_time.ToDatetime(UTC) == NOON
    assert (first.operation, first.counterparty_bank, first.standing_order) == ("fee", "", True)


async def test_a_second_run_stores_nothing_again(alerts, transactions):
    await ingest(alerts.channel, transactions, silent)
    assert await ingest(alerts.channel, transactions, silent) == Ingested(0, ROWS)


async def test_four_batches_at_most_wait_for_their_acknowledgement(alerts, transactions):
    arrived = []
    counts = []

    async def hold(requests):
        """Acknowledges what has arrived whenever nothing more comes."""
        queue = asyncio.Queue()

        async def pump():
            async for request in requests:
                arrived.append(request.batch)
                await queue.put(request)
            await queue.put(None)

        pumping = asyncio.create_task(pump())
        while (request := await queue.get()) is not None:
            await asyncio.sleep(0.2)
            waiting = [request, *(queue.get_nowait() for _ in range(queue.qsize()))]
            counts.append(len([one for one in waiting if one]))
            for one in waiting:
                if one is None:
                    return
                yield pb.IngestTransactionsResponse(batch=one.batch, stored_count=len(one.transactions))
        await pumping

    alerts.IngestTransactions = lambda requests, _context: hold(requests)
    assert await ingest(alerts.channel, transactions, silent) == Ingested(ROWS, 0)
    assert arrived == [1, 2, 3, 4, 5]
    assert counts == [1, 4]


@pytest.mark.parametrize("how", ["drained", "aborted", "closed"])
async def test_batches_without_acknowledgement_are_sent_again_on_a_new_stream(how, alerts, transactions):
    async def end_early(request, answer, context):
        if alerts.streams > 2 or request.batch % 2:
            return False
        if how == "drained":
            answer.end.reason = stream_end_pb2.StreamEnd.REASON_DRAINING
        elif how == "aborted":
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        return True

    alerts.misbehave = end_early
    assert await ingest(alerts.channel, transactions, silent) == Ingested(ROWS, 0)
    assert alerts.streams == 3
    assert len(alerts.stored) == ROWS


async def test_transactions_of_accounts_not_heard_of_yet_are_sent_again(alerts, transactions):
    tries = []

    async def not_yet(request, answer, _context):
        tries.append(request.batch)
        if len(tries) <= 6:
            answer.rejections.extend(
                pb.Rejection(transaction=one.transaction, reason=pb.Rejection.REASON_ACCOUNT_UNKNOWN)
                for one in request.transactions[::2]
            )
        return False

    alerts.misbehave = not_yet
    ingested = await ingest(alerts.channel, transactions, silent)
    assert ingested.stored + ingested.duplicates >= ROWS
    assert len(alerts.stored) == ROWS


async def test_an_account_that_stays_unknown_ends_it_after_a_while(alerts, transactions, monkeypatch):
    monkeypatch.setattr(module, "STALLED_SECONDS_MAX", 0.1)

    async def never(request, answer, _context):
        answer.rejections.extend(
            pb.Rejection(transaction=one.transaction, reason=pb.Rejection.REASON_ACCOUNT_UNKNOWN)
            for one in request.transactions
        )
        return False

    alerts.misbehave = never
    with pytest.raises(PublishFailed, match=f"0 of {ROWS}"):
        await ingest(alerts.channel, transactions, silent)


async def test_a_transaction_rejected_for_good_is_named(alerts, transactions):
    async def reject(request, answer, _context):
        reason = pb.Rejection.REASON_AMOUNT_INVALID
        answer.rejections.add(transaction=request.transactions[0].transaction, reason=reason, field="amount_minor")
        return False

    alerts.misbehave = reject
    with pytest.raises(PublishFailed, match=r"1 transactions were rejected: t0 \(REASON_AMOUNT_INVALID amount_minor\)"):
        await ingest(alerts.channel, transactions, silent)


async def test_a_stream_that_is_refused_is_not_tried_again(alerts, transactions):
    async def refuse(_request, _answer, context):
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
        return True

    alerts.misbehave = refuse
    with pytest.raises(PublishFailed, match="PERMISSION_DENIED not for you"):
        await ingest(alerts.channel, transactions, silent)
    assert alerts.streams == 1
