"""`ImportRows` as every package serves it: a header, then one Arrow stream in pieces."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from google.protobuf.message import Message

from chassis import wire
from chassis.errors import invalid_field
from chassis.sql.bulk import BulkImport
from chassis.streams import Context


class ImportServicer:
    """Serves the ImportService of one package; `response` is the package's ImportRowsResponse.

    The messages of all packages have the same fields, and each package its own types.
    """

    def __init__(self, bulk: BulkImport, response: type[Message]) -> None:
        self._bulk = bulk
        self._response: Any = response

    async def ImportRows(self, requests: AsyncIterator[Any], _context: Context) -> Message:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("payload") != "header":
            raise invalid_field("header", "must be the first message, and comes once")
        business_date = wire.date_from_wire(first.header.business_date, "header.business_date")
        table, removals = first.header.table, first.header.allow_removals
        counts = await self._bulk.run(table, business_date, _pieces(requests), allow_removals=removals)
        return self._response(
            received_count=counts.received,
            inserted_count=counts.inserted,
            updated_count=counts.updated,
            unchanged_count=counts.unchanged,
        )


async def _pieces(requests: AsyncIterator[Any]) -> AsyncGenerator[bytes]:
    async for request in requests:
        if request.WhichOneof("payload") != "arrow":
            raise invalid_field("arrow", "must be in every message after the first")
        yield request.arrow
