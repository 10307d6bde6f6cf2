"""`ReadPersonalData` and `ErasePersonalData` as every package but customer_svc's own serves them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import ModuleType
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names
from chassis.caller import current_caller, current_request_id
from chassis.personal_data import Part
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.engine import Database
from chassis.sql.personal_data import PersonalTable, erase_rows, read_rows
from chassis.streams import Context

ROWS_PER_MESSAGE = 500

# (transaction, customer, whether everything goes): what else an erasure does.
Beside = Callable[[AsyncConnection, str, bool], Awaitable[None]]


async def nothing_beside(tx: AsyncConnection, customer_id: str, everything: bool) -> None:  # noqa: FBT001 -- it is what every such function is told
    """Does nothing more: for packages that only keep rows."""
    del tx, customer_id, everything


class PersonalDataServicer:
    """Serves the PersonalDataService of one package.

    The messages of all packages have the same fields, and each package its own types: `messages` is the generated
    module that has them. `told` is called after an erasure.
    """

    def __init__(
        self,
        database: Database,
        tables: Sequence[PersonalTable],
        messages: ModuleType,
        beside: Beside = nothing_beside,
        told: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._tables = tables
        self._messages: Any = messages
        self._beside = beside
        self._told = told

    async def ReadPersonalData(self, request: Any, _context: Context) -> AsyncIterator[Message]:  # noqa: ANN401 -- the package's own message
        customer_id = names.parse_one("customers", request.name)
        requester_id = names.parse_one("staff", request.requester, "requester")
        detail = {"requester": requester_id, "reference": request.reference}
        async with self._database.begin() as tx:
            await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            found = await read_rows(tx, self._tables, [customer_id])
            await audit(tx, [_entry("ReadPersonalData", customer_id, detail)])
        for table, rows in found.items():
            for start in range(0, max(len(rows), 1), ROWS_PER_MESSAGE):
                yield self._messages.ReadPersonalDataResponse(table=table, rows=rows[start : start + ROWS_PER_MESSAGE])

    async def ErasePersonalData(self, request: Any, _context: Context) -> Message:  # noqa: ANN401 -- the package's own message
        customer_id = names.parse_one("customers", request.name)
        parts = frozenset(Part) if request.everything else frozenset({Part.MARKETING})
        detail = {"erasure": request.erasure, "everything": str(request.everything)}

        async def work(tx: AsyncConnection) -> int:
            count = await erase_rows(tx, self._tables, [customer_id], parts)
            await self._beside(tx, customer_id, request.everything)
            await audit(tx, [_entry("ErasePersonalData", customer_id, detail)])
            return count

        count = await self._database.repeat(work)
        if self._told is not None:
            await self._told()
        return self._messages.ErasePersonalDataResponse(row_count=count)


def _entry(method: str, customer_id: str, detail: dict[str, str]) -> AuditEntry:
    caller = current_caller()
    return AuditEntry(caller.staff_id, caller.branch_id, current_request_id(), method, customer_id, detail)
