"""Sends transactions to alert_svc: a few batches ahead of their acknowledgements, again when the stream has ended."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from banyan.alert.v1 import transaction_pb2, transaction_service_pb2, transaction_service_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from acrm.progress import Progress
from acrm.rows import row_batches, row_count
from chassis import clock

TRANSACTION_SERVICE = "banyan.alert.v1.TransactionService"
BATCH_ROWS = 5_000
UNACKNOWLEDGED_MAX = 4
# Nothing was stored for so long: something is wrong that time does not cure.
STALLED_SECONDS_MAX = 60.0
_BACK_OFF_SECONDS = 0.5
_BACK_OFF_SECONDS_MAX = 5.0
_REJECTIONS_SHOWN_MAX = 10
# What gRPC says to a writer whose stream has ended, whatever the server said.
_LOST = "Internal error from Core"

_DIRECTIONS = {"IN": transaction_pb2.DIRECTION_IN, "OUT": transaction_pb2.DIRECTION_OUT}
_UNKNOWN = transaction_service_pb2.Rejection.REASON_ACCOUNT_UNKNOWN

Batch = Sequence[transaction_pb2.Transaction]


class PublishFailed(Exception):
    """A service did not take what it was sent; the text says which and why."""


@dataclass(frozen=True)
class Ingested:
    """What became of the transactions."""

    stored: int
    duplicates: int


@dataclass
class _State:
    """What is still to be done, and what was."""

    source: Iterator[list[dict[str, object]]]
    again: deque[Batch] = field(default_factory=deque[Batch])
    """Batches to send before new ones: unacknowledged when a stream ended, or rejected as too early."""
    sent: dict[int, Batch] = field(default_factory=dict[int, Batch])
    stored: int = 0
    duplicates: int = 0
    number: int = 0
    back_off: float = _BACK_OFF_SECONDS
    last_end: str = ""
    moved: float = field(default_factory=clock.monotonic_seconds)

    def next_batch(self) -> Batch | None:
        if self.again:
            return self.again.popleft()
        rows = next(self.source, None)
        return None if rows is None else [_to_wire(row) for row in rows]

    def ended(self, reason: str) -> bool:
        """Remembers why a stream ended, to be told if no other one goes better."""
        self.last_end = " ".join(reason.split())
        return True

    @property
    def done(self) -> int:
        return self.stored + self.duplicates


async def ingest(channel: grpc.aio.Channel, path: Path, progress: Progress) -> Ingested:
    """Sends every row of a transactions file; returns when all are stored."""
    stub: Any = transaction_service_pb2_grpc.TransactionServiceStub(channel)
    state = _State(row_batches(path, BATCH_ROWS))
    total = row_count(path)
    while await _one_stream(stub, state, lambda: progress("transactions", state.done, total)):
        if clock.monotonic_seconds() - state.moved > STALLED_SECONDS_MAX:
            raise PublishFailed(
                f"transactions: {state.done} of {total} rows are stored, none for {STALLED_SECONDS_MAX:.0f} s; "
                f"the last stream ended: {state.last_end}"
            )
        await asyncio.sleep(state.back_off)
        state.back_off = min(state.back_off * 2, _BACK_OFF_SECONDS_MAX)
    progress("transactions", state.done, total)
    return Ingested(state.stored, state.duplicates)


async def _one_stream(stub: Any, state: _State, tell: Callable[[], None]) -> bool:  # noqa: ANN401 - generated code's stub
    """Sends and reads until all is stored (False), or the stream ends or must pause (True)."""
    call = stub.IngestTransactions(wait_for_ready=True)
    # The first batch goes alone: a refusal is told to who reads, and lost to who is writing.
    ahead = 1
    try:
        while True:
            while len(state.sent) < ahead and (batch := state.next_batch()) is not None:
                state.number += 1
                state.sent[state.number] = batch
                request = transaction_service_pb2.IngestTransactionsRequest(batch=state.number, transactions=batch)
                await call.write(request)
            if not state.sent:
                await call.done_writing()
                return False
            answer = await call.read()
            if answer is grpc.aio.EOF or answer.HasField("end"):
                return state.ended(str(getattr(answer, "end", "by the server")))
            early_count = _take(state, answer)
            tell()
            ahead = UNACKNOWLEDGED_MAX
            if early_count:
                return state.ended(f"{early_count} transactions were of accounts not known yet")
    except asyncio.InvalidStateError:
        return state.ended("while a batch was written")
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE and error.details() != _LOST:
            raise PublishFailed(f"transactions: {error.code().name} {error.details()}") from error
        return state.ended(f"{error.code().name} {error.details()}")
    finally:
        call.cancel()
        state.again.extendleft(batch for _, batch in sorted(state.sent.items(), reverse=True))
        state.sent.clear()


def _take(state: _State, answer: transaction_service_pb2.IngestTransactionsResponse) -> int:
    """Counts an acknowledged batch; answers how much of it was too early, to be sent again. Other rejections raise."""
    batch = state.sent.pop(answer.batch)
    early = {rejection.transaction for rejection in answer.rejections if rejection.reason == _UNKNOWN}
    wrong = [rejection for rejection in answer.rejections if rejection.reason != _UNKNOWN]
    if wrong:
        reason = transaction_service_pb2.Rejection.Reason.Name
        shown = ", ".join(
            f"{one.transaction} ({reason(one.reason)} {one.field})" for one in wrong[:_REJECTIONS_SHOWN_MAX]
        )
        raise PublishFailed(f"{len(wrong)} transactions were rejected: {shown}")
    if early:
        state.again.append([one for one in batch if one.transaction in early])
    state.stored += answer.stored_count
    state.duplicates += answer.duplicate_count
    if answer.stored_count or answer.duplicate_count:
        state.moved = clock.monotonic_seconds()
        state.back_off = _BACK_OFF_SECONDS
    return len(early)


def _to_wire(row: dict[str, Any]) -> transaction_pb2.Transaction:
    seconds, micros = divmod(row["event_time"], 1_000_000)
    return transaction_pb2.Transaction(
        transaction=row["transaction_id"],
        account=row["account_id"],
        event_time=Timestamp(seconds=seconds, nanos=micros * 1_000),
        direction=_DIRECTIONS[row["direction"]],
        amount_minor=row["amount_minor"],
        operation=row["operation"],
        counterparty_bank=row["counterparty_bank"],
        counterparty_account=row["counterparty_account"],
        standing_order=row["standing_order"],
        own_transfer=row["own_transfer"],
        reversed_transaction=row["reversed_transaction_id"],
    )
