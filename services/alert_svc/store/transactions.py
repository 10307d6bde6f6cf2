"""Transactions: taken once each, and summed by customer and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import bank_date
from chassis.sql.copy import copy_into
from services.alert_svc.domain.alerts import AlertKey, DayFigures, Kind
from services.alert_svc.domain.transactions import Direction, Transaction
from services.alert_svc.store.tables import accounts, customers, reversals, transaction_id_seen, transactions

KIND_OF = {Direction.IN: Kind.LARGE_INFLOW, Direction.OUT: Kind.LARGE_OUTFLOW}
DIRECTION_OF = {kind: direction for direction, kind in KIND_OF.items()}


@dataclass(frozen=True)
class Holder:
    """Whose an account is, and where."""

    customer_id: str
    branch_id: str


@dataclass(frozen=True)
class Day:
    """One direction of one customer's money on one business day."""

    customer_id: str
    business_date: date
    direction: Direction


async def lock_holders(tx: AsyncConnection, account_ids: Sequence[str]) -> dict[str, Holder]:
    """Reads whose these accounts are, and keeps other batches off these customers' days until `tx` ends.

    Locks are taken in the order of customers everywhere; otherwise two batches could each miss what the other
    stores and both stay below a threshold that their sum passes.
    """
    rows = await tx.execute(
        select(accounts.c.account_id, accounts.c.customer_id, accounts.c.branch_id)
        .join(customers, customers.c.customer_id == accounts.c.customer_id)
        .where(accounts.c.account_id.in_(account_ids))
        .order_by(accounts.c.customer_id)
        .with_for_update(of=customers)
    )
    return {row.account_id: Holder(row.customer_id, row.branch_id) for row in rows}


async def claim_ids(tx: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Takes the ids that no transaction had before, and returns them; in the order of ids, so that no two deadlock."""
    fresh = await tx.execute(
        upsert(transaction_id_seen)
        .from_select(["transaction_id"], select(text("id FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id")))
        .on_conflict_do_nothing()
        .returning(transaction_id_seen.c.transaction_id),
        {"ids": sorted(ids)},
    )
    return set(fresh.scalars())


async def add(tx: AsyncConnection, taken: Sequence[tuple[Transaction, Holder]]) -> set[Day]:
    """Stores transactions whose ids were claimed, undoes what they reverse, and returns the days that changed."""
    undone_before = await _undone_before(tx, [transaction.transaction_id for transaction, _ in taken])
    batch = pa.RecordBatch.from_pylist([_row(*one, undone_before) for one in taken], schema=_SCHEMA)
    await copy_into(tx, transactions.name, _SCHEMA.names, [batch])
    days = {Day(row["customer_id"], row["business_date"], Direction(row["direction"])) for row in batch.to_pylist()}
    undone = {one.reversed_transaction_id for one, _ in taken if one.reversed_transaction_id}
    return days | await _undo(tx, undone) if undone else days


async def day_figures(tx: AsyncConnection, days: set[Day], least_minor: int) -> list[tuple[DayFigures, bool]]:
    """Sums up these days for each side that is to be told, where the sum is at least `least_minor` or an alert exists.

    Not counted: permanent orders and transfers between own accounts (domain.md 6), reversals and what they undid.
    The flag says whether an alert exists.
    """
    ordered = sorted(days, key=lambda day: (day.customer_id, day.business_date, day.direction))
    rows = await tx.execute(
        _DAY_FIGURES,
        {
            "customers": [day.customer_id for day in ordered],
            "dates": [day.business_date for day in ordered],
            "directions": [day.direction.value for day in ordered],
            "kinds": [KIND_OF[day.direction].value for day in ordered],
            "least": least_minor,
        },
    )
    return [
        (
            DayFigures(
                key=AlertKey(row.customer_id, Kind(row.kind), row.business_date, row.branch_id),
                customer_type=row.customer_type,
                count=row.transaction_count,
                sum_minor=int(row.sum_minor),
                largest_minor=row.largest_minor,
                event_time=row.event_time,
            ),
            row.alerted,
        )
        for row in rows
    ]


async def _undone_before(tx: AsyncConnection, ids: Sequence[str]) -> set[str]:
    found = await tx.execute(
        select(reversals.c.reversed_transaction_id).where(reversals.c.reversed_transaction_id.in_(ids))
    )
    return set(found.scalars())


async def _undo(tx: AsyncConnection, undone: set[str]) -> set[Day]:
    await tx.execute(
        upsert(reversals).on_conflict_do_nothing(), [{"reversed_transaction_id": one} for one in sorted(undone)]
    )
    changed = await tx.execute(
        update(transactions)
        .where(transactions.c.transaction_id.in_(undone), ~transactions.c.reversed)
        .values(reversed=True)
        .returning(transactions.c.customer_id, transactions.c.business_date, transactions.c.direction)
    )
    return {Day(row.customer_id, row.business_date, Direction(row.direction)) for row in changed}


def _row(transaction: Transaction, holder: Holder, undone_before: set[str]) -> dict[str, object]:
    assert transaction.event_time is not None, "checked by domain.transactions.rejection_of"
    assert transaction.direction is not None, "checked by domain.transactions.rejection_of"
    return {
        "customer_id": holder.customer_id,
        "event_time": transaction.event_time,
        "transaction_id": transaction.transaction_id,
        "account_id": transaction.account_id,
        "branch_id": holder.branch_id,
        "business_date": bank_date(transaction.event_time),
        "direction": transaction.direction.value,
        "amount_minor": transaction.amount_minor,
        "operation": transaction.operation,
        "counterparty_bank": transaction.counterparty_bank,
        "counterparty_account": transaction.counterparty_account,
        "standing_order": transaction.standing_order,
        "own_transfer": transaction.own_transfer,
        "reversed_transaction_id": transaction.reversed_transaction_id,
        "reversed": transaction.transaction_id in undone_before,
    }


_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("transaction_id", pa.string()),
        ("account_id", pa.string()),
        ("branch_id", pa.string()),
        ("business_date", pa.date32()),
        ("direction", pa.string()),
        ("amount_minor", pa.int64()),
        ("operation", pa.string()),
        ("counterparty_bank", pa.string()),
        ("counterparty_account", pa.string()),
        ("standing_order", pa.bool_()),
        ("own_transfer", pa.bool_()),
        ("reversed_transaction_id", pa.string()),
        ("reversed", pa.bool_()),
    ]
)

# The bounds on event_time repeat the business date so that PostgreSQL opens one partition instead of all.
_DAY_FIGURES = text("""
WITH days AS (
    SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:dates AS date[]), CAST(:directions AS text[]),
                         CAST(:kinds AS text[])) AS day (customer_id, business_date, direction, kind)
), sides AS (
    SELECT days.*, '' AS branch_id FROM days
    UNION ALL
    SELECT days.*, owners.branch_id FROM days JOIN owners USING (customer_id) WHERE owners.side = 'SECONDARY'
)
SELECT sides.customer_id, sides.business_date, sides.kind, sides.branch_id, customers.customer_type,
       figures.*, alerts.alert_id IS NOT NULL AS alerted
FROM sides
JOIN customers USING (customer_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS transaction_count, coalesce(sum(amount_minor), 0) AS sum_minor,
           coalesce(max(amount_minor), 0) AS largest_minor, max(event_time) AS event_time
    FROM transactions
    WHERE transactions.customer_id = sides.customer_id
      AND transactions.event_time >= sides.business_date::timestamp AT TIME ZONE 'Asia/Shanghai'
      AND transactions.event_time < (sides.business_date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
      AND transactions.direction = sides.direction
      AND (sides.branch_id = '' OR transactions.branch_id = sides.branch_id)
      AND NOT standing_order AND NOT own_transfer AND NOT reversed AND reversed_transaction_id = ''
) AS figures
LEFT JOIN alerts USING (customer_id, business_date, kind, branch_id)
WHERE figures.sum_minor >= :least OR alerts.alert_id IS NOT NULL
""")
