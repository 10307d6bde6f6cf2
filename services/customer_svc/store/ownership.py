"""Who owns whom, as followed from assignment_svc: each customer's rows are replaced as a whole.

With them goes what `customer_search` says of them. Customers who are being added are waited for (migration 0004).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import Owner

_REMOVE = text("DELETE FROM owners WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_ADD = text(
    "INSERT INTO owners (customer_id, branch_id, side, manager_id, since_date, private_manager_id, generation)"
    " SELECT *, CAST(:generation AS integer) FROM unnest(CAST(:customer_ids AS text[]), CAST(:branch_ids AS text[]),"
    " CAST(:sides AS text[]), CAST(:manager_ids AS text[]), CAST(:since_dates AS date[]),"
    " CAST(:private_manager_ids AS text[]))"
)
_DROP = text("DELETE FROM owners WHERE generation < :generation RETURNING customer_id")
_LOCK = text("SELECT lock_owners()")
_SETTLE = text("SELECT settle_owners(CAST(:customer_ids AS text[]))")


async def lock_owners(tx: AsyncConnection) -> None:
    """Waits for who adds customers, and lets nobody add more until `tx` ends."""
    await tx.execute(_LOCK)


async def replace_owners(tx: AsyncConnection, owners_of: Mapping[str, Sequence[Owner]], generation: int) -> None:
    """Makes these the owners of these customers; no rows for who has none any more."""
    await lock_owners(tx)
    await tx.execute(_REMOVE, {"customer_ids": sorted(owners_of)})
    await _add(tx, owners_of, generation)
    await tx.execute(_SETTLE, {"customer_ids": sorted(owners_of)})


async def drop_older(tx: AsyncConnection, generation: int) -> None:
    """Deletes the rows that a new start of the feed did not repeat."""
    await lock_owners(tx)
    dropped = (await tx.execute(_DROP, {"generation": generation})).scalars()
    await tx.execute(_SETTLE, {"customer_ids": sorted(set(dropped))})


async def _add(tx: AsyncConnection, owners_of: Mapping[str, Sequence[Owner]], generation: int) -> None:
    rows = [(customer_id, owner) for customer_id, owners in sorted(owners_of.items()) for owner in owners]
    if not rows:
        return
    values = {
        "generation": generation,
        "customer_ids": [customer_id for customer_id, _ in rows],
        "branch_ids": [owner.branch_id for _, owner in rows],
        "sides": [owner.side for _, owner in rows],
        "manager_ids": [owner.manager_id for _, owner in rows],
        "since_dates": [owner.since_date for _, owner in rows],
        "private_manager_ids": [owner.private_manager_id for _, owner in rows],
    }
    await tx.execute(_ADD, values)
