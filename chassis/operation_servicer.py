"""Serves each package's own OperationService: the standard one cannot be served by four backends under one name."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from chassis import clock, names, operation_store, paging
from chassis.caller import Role, current_caller
from chassis.channel import call_deadline
from chassis.errors import not_found
from chassis.operation_store import StoredOperation

if TYPE_CHECKING:
    from chassis.operations import Operations

# Its stub lacks what the module makes when it is imported.
pb: Any = operations_pb2

WAIT_SECONDS_MAX = 30.0
_LOOK_SECONDS_MIN, _LOOK_SECONDS_MAX = 0.05, 1.0
# What is left of the call's time for the answer itself.
_ANSWER_SECONDS = 0.3
_SEES_ALL = frozenset({Role.ADMIN, Role.SERVICE})


class OperationServicer:
    """Get, List, Cancel and Wait. A caller sees the operations that he started; ADMIN and SERVICE see all."""

    def __init__(self, operations: "Operations", paging_secret: bytes = b"") -> None:
        self._database = operations.database
        # A token only says where to go on in the caller's own list: forging one gains nothing.
        self._paging_secret = paging_secret or operations.package.encode()

    async def GetOperation(self, request: Any, _context: Any) -> Any:  # noqa: ANN401 - google.longrunning has no types
        return to_wire(await self._visible(request.name))

    async def ListOperations(self, request: Any, _context: Any) -> Any:  # noqa: ANN401 - google.longrunning has no types
        size = paging.page_size(request.page_size)
        after = paging.decode(request.page_token, request, self._paging_secret)
        caller = current_caller()
        owner = None if caller.roles & _SEES_ALL else caller.staff_id
        async with self._database.read() as tx:
            found = await operation_store.page(tx, owner, str(after[0]) if after else None, size + 1)
        shown = found[:size]
        token = paging.encode([shown[-1].operation_id], request, self._paging_secret) if len(found) > size else ""
        return pb.ListOperationsResponse(operations=[to_wire(stored) for stored in shown], next_page_token=token)

    async def CancelOperation(self, request: Any, _context: Any) -> Empty:  # noqa: ANN401 - google.longrunning has no types
        stored = await self._visible(request.name)
        status = Status(code=Code.CANCELLED, message="the operation was cancelled before it began")
        async with self._database.begin() as tx:
            await operation_store.cancel(tx, stored.operation_id, status.SerializeToString())
        return Empty()

    async def WaitOperation(self, request: Any, _context: Any) -> Any:  # noqa: ANN401 - google.longrunning has no types
        asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else WAIT_SECONDS_MAX
        until = clock.monotonic_seconds() + min(asked, WAIT_SECONDS_MAX)
        deadline = call_deadline.get()
        if deadline is not None:
            until = min(until, deadline - _ANSWER_SECONDS)
        pause = _LOOK_SECONDS_MIN
        stored = await self._visible(request.name)
        while not stored.done and (left := until - clock.monotonic_seconds()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LOOK_SECONDS_MAX)
            stored = await self._visible(request.name)
        return to_wire(stored)

    async def _visible(self, name: str) -> StoredOperation:
        operation_id = names.parse_one("operations", name)
        if not _is_uuid(operation_id):
            raise not_found()
        caller = current_caller()
        async with self._database.read() as tx:
            stored = await operation_store.find(tx, operation_id)
        if stored is None or not (stored.caller_id == caller.staff_id or caller.roles & _SEES_ALL):
            raise not_found()
        return stored


def to_wire(stored: StoredOperation) -> Any:  # noqa: ANN401 - google.longrunning has no types
    """An operation as its callers see it."""
    operation = pb.Operation(name=names.make("operations", stored.operation_id), done=stored.done)
    if stored.metadata is not None:
        operation.metadata.ParseFromString(stored.metadata)
    if stored.error is not None:
        operation.error.ParseFromString(stored.error)
    elif stored.response is not None:
        operation.response.ParseFromString(stored.response)
    return operation


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
