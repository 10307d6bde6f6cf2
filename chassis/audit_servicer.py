"""`AuditService` as every package serves it, and the operation that verifies the audit (domain.md 3)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import Any

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import Kind, Refused, invalid_field
from chassis.operations import Operations, Run
from chassis.sql.audit import AuditEntry, audit, verify
from chassis.sql.audit_search import Stored, Wanted, search
from chassis.sql.engine import Database
from chassis.streams import Context

VERIFY = "verify_audit"
BROKEN_TOLD_MAX = 1_000
CASE_NUMBER_LENGTH_MAX = 100
_SHOWN = 2
# What people wrote may name the customer.
_WRITTEN = frozenset({"reason", "reference"})


class Verifying:
    """The handler of VerifyAudit; `messages` is the generated module of the package that serves it."""

    def __init__(self, database: Database, messages: ModuleType) -> None:
        self._database = database
        self._messages: Any = messages

    async def __call__(self, run: Run) -> Message:
        async def tell(done: int, total: int) -> bool:
            await run.progress(self._messages.VerifyAuditMetadata(done_count=done, total_count=total))
            return not run.cancelled()

        found = await verify(self._database, tell)
        return self._messages.VerifyAuditResponse(
            seal_count=found.seal_count,
            entry_count=found.entry_count,
            broken_seals=list(found.broken)[:BROKEN_TOLD_MAX],
        )


class AuditServicer:
    """Serves the AuditService of one package.

    The messages of all packages have the same fields, and each package its own types: `messages` is the generated
    module that has them.
    """

    def __init__(self, database: Database, operations: Operations, messages: ModuleType, paging_secret: bytes) -> None:
        self._database = database
        self._operations = operations
        self._messages: Any = messages
        self._paging_secret = paging_secret

    async def ListAuditEntries(self, request: Any, _context: Context) -> Message:  # noqa: ANN401 -- the package's own message
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = None if key is None else (datetime.fromisoformat(str(key[0])), int(str(key[1])))
        case_number = request.case_number.strip() or None
        async with self._database.begin() as tx:
            found = await _searched(tx, _wanted(request), case_number, before, size + 1)
        shown = paging.cut([self._to_wire(entry) for entry in found[:size]])
        token = ""
        if len(found) > len(shown):
            last = found[len(shown) - 1]
            token = paging.encode([last.time.isoformat(), last.audit_id], request, self._paging_secret)
        return self._messages.ListAuditEntriesResponse(audit_entries=shown, next_page_token=token)

    async def VerifyAudit(self, request: Any, _context: Context) -> Any:  # noqa: ANN401 -- google.longrunning.Operation, which has no types, and the package's own message
        caller = current_caller()
        async with self._database.begin() as tx:
            return await self._operations.start(tx, VERIFY, request, caller.staff_id, request.request_id)

    def _to_wire(self, entry: Stored) -> Message:
        return self._messages.AuditEntry(
            create_time=wire.time_to_wire(entry.time),
            caller=entry.caller,
            branch=names.make("branches", entry.branch_id or None),
            request_id=entry.request_id,
            method=entry.method,
            customer_id=entry.customer_id,
            details={name: str(value) for name, value in entry.detail.items()},
        )


async def _searched(
    tx: AsyncConnection,
    wanted: Wanted,
    case_number: str | None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Stored]:
    """A page of the audit, after a place and at most so long; whose data it was is told only for a case.

    A search for a case is noted itself, with its number, before its answer leaves.
    """
    if wanted.time_min is not None and wanted.time_max is not None and wanted.time_min >= wanted.time_max:
        raise invalid_field("create_time_min", "is not before create_time_max", "RANGE_EMPTY")
    if case_number is None:
        if wanted.customer_id is not None:
            message = "customer: is told, and asked for, only with a case number"
            raise Refused(Kind.FORBIDDEN, "CASE_NUMBER_MISSING", message, {"field": "customer"})
        return [_without_case(entry) for entry in await search(tx, wanted, before, limit)]
    if len(case_number) > CASE_NUMBER_LENGTH_MAX:
        raise invalid_field("case_number", f"has more than {CASE_NUMBER_LENGTH_MAX} characters")
    found = await search(tx, wanted, before, limit)
    caller, detail = current_caller(), {"case_number": case_number}
    noted = (caller.staff_id, caller.branch_id, current_request_id(), "ListAuditEntries", wanted.customer_id or "")
    await audit(tx, [AuditEntry(*noted, detail)])
    return found


def _without_case(entry: Stored) -> Stored:
    """Keeps of a customer's id no more than its beginning, and nothing that somebody wrote of him."""
    if not entry.customer_id:
        return entry
    detail = {name: value for name, value in entry.detail.items() if name not in _WRITTEN}
    return replace(entry, customer_id=f"{entry.customer_id[:_SHOWN]}****", detail=detail)


def _wanted(request: Any) -> Wanted:  # noqa: ANN401 -- the package's own message
    earliest, latest = "create_time_min", "create_time_max"
    return Wanted(
        caller=request.caller or None,
        customer_id=names.parse_optional("customers", request.customer, "customer"),
        method=request.method or None,
        request_id=request.request_id or None,
        time_min=wire.time_from_wire(request.create_time_min, earliest) if request.HasField(earliest) else None,
        time_max=wire.time_from_wire(request.create_time_max, latest) if request.HasField(latest) else None,
    )
