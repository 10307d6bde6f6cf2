"""What is said of customers who are gone by a merge."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, not_found
from chassis.sql.merging import survivor_of
from services.customer_svc.domain.viewing import Level, Scope
from services.customer_svc.store.owner_rows import owner_rows


async def gone_or_hidden(conn: AsyncConnection, customer_id: str, scope: Scope) -> Refused:
    """The refusal for a customer who is not shown: whom he was merged into, if the viewer sees that one.

    Otherwise it is the answer for who is absent or hidden, after the same questions.
    """
    survivor_id = await survivor_of(conn, customer_id)
    rows = await owner_rows(conn, survivor_id or "")
    if survivor_id is None or rows is None or scope.level(rows) is Level.NONE:
        return not_found()
    given = {"merged_into": f"customers/{survivor_id}"}
    return Refused(Kind.NOT_FOUND, "CUSTOMER_MERGED", "the customer was merged into another one", given)
