"""Long work (design 4.7): kept in the service's database, claimed by one worker at a time, resumed after a crash."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock, operation_store
from chassis.errors import Refused
from chassis.operation_servicer import OperationServicer, to_wire
from chassis.operation_store import Claim, StoredOperation
from chassis.refusals import answer_to, request_id_reused
from chassis.sql.engine import Database

__all__ = ["Handler", "OperationServicer", "Operations", "Run"]

log = structlog.get_logger(__name__)

WORKERS = 2
BEAT_SECONDS = 2.0
LOOK_SECONDS = 0.5
# Progress told more often than this is kept back until the next heartbeat.
_TELL_SECONDS = 0.5
_RELEASE_SECONDS = 1.0


class Run:
    """One attempt at an operation, as its handler sees it. Handlers are idempotent: an attempt may have gone before."""

    def __init__(self, database: Database, claim: Claim, stored: StoredOperation) -> None:
        self.operation_id = stored.operation_id
        self.caller_id = stored.caller_id
        self.metadata: bytes | None = None
        self.stopped = False
        self._database = database
        self._claim = claim
        self._cancelled = stored.cancelled
        self._told_at = 0.0
        self._request = stored.request

    @property
    def request(self) -> Any:  # noqa: ANN401 - the handler knows which message it is
        """What was asked."""
        return unpacked(self._request)

    async def progress(self, metadata: Message) -> None:
        """Tells how far the work is; the last word counts, and it need not be stored at once."""
        self.metadata = packed(metadata)
        if clock.monotonic_seconds() - self._told_at >= _TELL_SECONDS:
            await self.beat()

    def cancelled(self) -> bool:
        """Says whether to stop. A handler that heard it and returns has stopped: the operation ends as cancelled."""
        self.stopped = self.stopped or self._cancelled
        return self._cancelled

    async def beat(self) -> None:
        """Stores that the work goes on. Raises if another worker took it over."""
        self._told_at = clock.monotonic_seconds()
        async with self._database.begin() as tx:
            cancelled = await operation_store.beat(tx, self._claim, self.metadata)
        if cancelled is None:
            raise TakenOver(self.operation_id)
        self._cancelled = cancelled


class TakenOver(Exception):
    """Another worker took this for dead and works on the operation now."""


Handler = Callable[[Run], Coroutine[Any, Any, Message]]


class Operations:
    """A package's operations: `start` adds one in the caller's transaction, `work` is the job that does them."""

    def __init__(self, database: Database, package: str, handlers: Mapping[str, Handler]) -> None:
        self.database = database
        self.package = package
        self._handlers = dict(handlers)

    async def start(self, tx: AsyncConnection, kind: str, request: Message, caller_id: str, request_id: str) -> Any:  # noqa: ANN401 - google.longrunning.Operation, which has no types
        """Adds an operation that begins after `tx` commits; the same request of the same caller gets the same one.

        Refuses an id under which the caller started something else of this kind.
        """
        assert kind in self._handlers, f"no handler for {kind}"
        stored = await operation_store.add(tx, kind, packed(request), caller_id, request_id)
        if stored.request != packed(request):
            raise request_id_reused()
        return to_wire(stored)

    async def work(self) -> None:
        """A job for every instance: does operations, two at a time, one of them at a time by one worker anywhere."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                found = bool(self._handlers) and await self._do_next()
            except (DBAPIError, Refused, OSError) as error:
                # Not the neighbour's fault; what was claimed here is taken over when its heartbeat is stale.
                log.warning("operation_store_failed", error=repr(error))
                found = False
            if not found:
                await asyncio.sleep(LOOK_SECONDS)

    async def _do_next(self) -> bool:
        name = str(uuid.uuid4())
        async with self.database.begin() as tx:
            stored = await operation_store.claim(tx, list(self._handlers), name)
        if stored is None:
            return False
        claim = Claim(stored.operation_id, name)
        run = Run(self.database, claim, stored)
        log.info("operation_begins", operation=stored.operation_id, kind=stored.kind)
        try:
            response, error = await self._outcome(stored.kind, run)
        except TakenOver:
            log.warning("operation_taken_over", operation=stored.operation_id)
            return True
        except asyncio.CancelledError:
            await self._release(claim, run)
            raise
        async with self.database.begin() as tx:
            kept = await operation_store.finish(tx, claim, run.metadata, response=response, error=error)
        log.info("operation_ends", operation=stored.operation_id, kind=stored.kind, kept=kept, failed=error is not None)
        return True

    async def _outcome(self, kind: str, run: Run) -> tuple[bytes | None, bytes | None]:
        """The handler's response or its failure, both serialised; the handler ends when the claim is lost."""
        working = asyncio.create_task(self._handlers[kind](run))
        beating = asyncio.create_task(_keep_beating(run))
        try:
            await asyncio.wait([working, beating], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await beating  # raises
            response = await working
        except (asyncio.CancelledError, TakenOver):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its operation
            return None, self._status_of(error, run.operation_id)
        finally:
            for task in (working, beating):
                task.cancel()
            await asyncio.wait([working, beating])
            _retrieved(working, beating)
        if run.stopped:
            return None, cancelled_status()
        return packed(response), None

    def _status_of(self, error: Exception, operation_id: str) -> bytes:
        """A refusal speaks for itself; of our own fault the caller learns the id under which the log tells it."""
        if not isinstance(error, Refused):
            log.error("operation_failed", operation=operation_id, exc_info=error)
        answer = answer_to(error, f"{self.package}.banyan", operation_id)
        ((_, status),) = answer.trailing_metadata
        assert isinstance(status, bytes)
        return status

    async def _release(self, claim: Claim, run: Run) -> None:
        """Hands the work to the next worker without its waiting for the heartbeat to grow stale."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_RELEASE_SECONDS), self.database.begin() as tx:
                await operation_store.release(tx, claim, run.metadata)


async def _keep_beating(run: Run) -> None:
    """Beats until the claim is lost, or may be: the database was unreachable for as long as others wait for a beat."""
    beaten_at = clock.monotonic_seconds()
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await run.beat()
        except TakenOver:
            raise
        except Exception as error:
            log.warning("operation_beat_failed", operation=run.operation_id, error=repr(error))
            if clock.monotonic_seconds() - beaten_at > operation_store.STALE_SECONDS:
                raise TakenOver(run.operation_id) from error
        else:
            beaten_at = clock.monotonic_seconds()


def _retrieved(*tasks: "asyncio.Future[Any]") -> None:
    """Looks at what ended tasks raised: it was told already, or does not matter any more."""
    for task in tasks:
        if not task.cancelled():
            task.exception()


def packed(message: Message) -> bytes:
    """A message with the name of its type."""
    wrapped = AnyMessage()
    wrapped.Pack(message, deterministic=True)
    return wrapped.SerializeToString()


def unpacked(content: bytes) -> Message:
    """The message that was packed; its generated module is imported by whoever handles it."""
    wrapped = AnyMessage.FromString(content)
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(wrapped.TypeName()))()
    wrapped.Unpack(message)
    return message


def cancelled_status() -> bytes:
    """What a cancelled operation ends with."""
    return Status(code=Code.CANCELLED, message="the operation was cancelled").SerializeToString()
