"""The memory of who read whose ownership (domain.md 3: every read of personal data is audited)."""

from collections.abc import Sequence

from sqlalchemy import Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.audit import AuditEntry, audit_read_cte
from services.assignment_svc.store.tables import chassis


async def note_read(conn: AsyncConnection, entry: AuditEntry, customer_ids: Sequence[str]) -> None:
    """Remembers that these customers were shown: in its own statement, since what is shown is decided after reading."""
    if not customer_ids:
        return
    shown = select(func.unnest(literal(list(customer_ids), ARRAY(Text))).label("customer_id")).cte("shown")
    await conn.execute(select(func.count()).select_from(shown).add_cte(audit_read_cte(chassis.audit, entry, shown)))
