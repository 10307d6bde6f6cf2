"""Transactions: taken once each, and summed by customer and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from sqlalchemy import select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import bank_date
from chassis.sql.copy import copy_into
from services.alert_svc.domain.alerts import AlertKey, DayFigures, Kind
from services.alert_svc.domain.transactions import Direction, Transaction
from services.alert_svc.store.tables import accounts, customers, reversals, transaction_id_seen, transactions

KIND_OF = {Direction.IN: Kind.LARGE_INFLOW, Direction.OUT: Kind.LARGE_OUTFLOW}


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


async def accounts_of(tx: AsyncConnection, ids: Sequence[str]) -> dict[str, str]:
    """The accounts of these transactions, as far as they are stored."""
    if not ids:
        return {}
    rows = await tx.execute(
        select(transactions.c.transaction_id, transactions.c.account_id).where(transactions.c.transaction_id.in_(ids))
    )
    return {row.transaction_id: row.account_id for row in rows}


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
    undone_before = await _undone_before(tx, [transaction for transaction, _ in taken])
    batch = pa.RecordBatch.from_pylist([_row(*one, undone_before) for one in taken], schema=_SCHEMA)
    await copy_into(tx, transactions.name, _SCHEMA.names, [batch])
    days = {Day(row["customer_id"], row["business_date"], Direction(row["direction"])) for row in batch.to_pylist()}
    undone = {(one.reversed_transaction_id, one.account_id) for one, _ in taken if one.reversed_transaction_id}
    return days | await _undo(tx, undone) if undone else days


async def day_figures(tx: AsyncConnection, days: set[Day], least_minor: int) -> list[DayFigures]:
    """Sums up these days for the whole bank and for each branch.

    Left out is where the sum is below `least_minor` and no alert exists. Permanent orders and transfers between own
    accounts do not count (domain.md 6), nor do reversals and what they undid.
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
        DayFigures(
            key=AlertKey(row.customer_id, Kind(row.kind), row.business_date, row.branch_id),
            customer_type=row.customer_type,
            count=row.transaction_count,
            sum_minor=int(row.sum_minor),
            largest_minor=row.largest_minor,
            event_time=row.event_time,
        )
        for row in rows
    ]


async def _undone_before(tx: AsyncConnection, taken: Sequence[Transaction]) -> set[str]:
    """Which of these a reversal on the same account undid before they came."""
    places = [(one.transaction_id, one.account_id) for one in taken]
    found = await tx.execute(
        select(reversals.c.reversed_transaction_id).where(
            tuple_(reversals.c.reversed_transaction_id, reversals.c.account_id).in_(places)
        )
    )
    return set(found.scalars())


async def _undo(tx: AsyncConnection, undone: set[tuple[str, str]]) -> set[Day]:
    """Marks what these reversals undo on their own accounts, whose holders are locked, and returns the days."""
    rows = [{"reversed_transaction_id": one, "account_id": account_id} for one, account_id in sorted(undone)]
    await tx.execute(upsert(reversals).on_conflict_do_nothing(), rows)
    changed = await tx.execute(
        update(transactions)
        .where(tuple_(transactions.c.transaction_id, transactions.c.account_id).in_(undone), ~transactions.c.reversed)
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

# The bounds on event_time repeat the business date so that PostgreSQL opens one partition instead of all. Every branch
# of the day gets its figures, whoever owns it: a branch may become a secondary side later.
_DAY_FIGURES = text("""
WITH days AS (
    SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:dates AS date[]), CAST(:directions AS text[]),
                         CAST(:kinds AS text[])) AS day (customer_id, business_date, direction, kind)
)
SELECT days.customer_id, days.business_date, days.kind, figures.branch_id, customers.customer_type,
       figures.transaction_count, figures.sum_minor, figures.largest_minor, figures.event_time
FROM days
JOIN customers USING (customer_id)
CROSS JOIN LATERAL (
    SELECT coalesce(branch_id, '') AS branch_id, count(*) FILTER (WHERE counts) AS transaction_count,
           coalesce(sum(amount_minor) FILTER (WHERE counts), 0) AS sum_minor,
           coalesce(max(amount_minor) FILTER (WHERE counts), 0) AS largest_minor,
           max(event_time) FILTER (WHERE counts) AS event_time
    FROM (
        SELECT branch_id, amount_minor, event_time,
               NOT (standing_order OR own_transfer OR reversed OR reversed_transaction_id <> '') AS counts
        FROM transactions
        WHERE transactions.customer_id = days.customer_id
          AND transactions.event_time >= days.business_date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND transactions.event_time < (days.business_date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND transactions.direction = days.direction
    ) AS moved
    GROUP BY GROUPING SETS ((), (branch_id))
) AS figures
LEFT JOIN alerts ON (alerts.customer_id, alerts.business_date, alerts.kind, alerts.branch_id)
                  = (days.customer_id, days.business_date, days.kind, figures.branch_id)
WHERE figures.sum_minor >= :least OR alerts.alert_id IS NOT NULL
""")
