"""Alerts and transactions follow their customers when two are made one, and when they are taken apart."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.merging import MergedTable, Merging, add_merged, divide, remove_merged, unite
from services.alert_svc.domain.followed import CustomerFact
from services.alert_svc.store.tables import customers, transactions
from services.alert_svc.store.tables_merges import merged_customers

# Two alerts about one day become one, which is read only if both were.
_ONE_ALERT = {
    "state": "CASE WHEN 'UNREAD' IN (o.state, t.state) THEN 'UNREAD' WHEN o.state = 'WITHDRAWN' THEN t.state"
    " ELSE o.state END",
    "transaction_count": "o.transaction_count + t.transaction_count",
    "sum_minor": "o.sum_minor + t.sum_minor",
    "largest_minor": "greatest(o.largest_minor, t.largest_minor)",
    "event_time": "greatest(o.event_time, t.event_time)",
}
_TABLES = (
    MergedTable("transactions", ("event_time", "transaction_id")),
    MergedTable(
        "alerts", ("business_date", "kind", "branch_id"), combine=_ONE_ALERT, touch="rev = pg_current_xact_id()"
    ),
)


async def follow(tx: AsyncConnection, facts: Sequence[CustomerFact]) -> None:
    """Moves what these customers have to whom they are merged into now, or back to those who are not any more.

    A feed tells states, not events: what is known is compared with what is told. Of those who are back also goes back
    what came on their accounts in between.
    """
    told = {fact.customer_id: fact.merged_into for fact in facts}
    m = merged_customers.c
    rows = await tx.execute(
        select(m.customer_id, m.into_id)
        .where(m.customer_id.in_(told))
        .order_by(m.create_time.desc(), m.customer_id.desc())
    )
    known: dict[str, str] = {row.customer_id: row.into_id for row in rows}
    ended = {one: into for one, into in known.items() if told[one] != into}
    begun = {one: into for one, into in sorted(told.items()) if into is not None and known.get(one) != into}
    if not (ended or begun):
        return
    await _lock(tx, {*ended, *ended.values(), *begun, *begun.values()})
    for one, into in ended.items():
        await remove_merged(tx, Merging(one, into, one), again=True)
        await divide(tx, _TABLES, Merging(one, into, one))
    await _return_of_accounts(tx, ended, facts)
    for one, into in begun.items():
        await add_merged(tx, Merging(one, into, one))
        await unite(tx, _TABLES, Merging(one, into, one))


async def _lock(tx: AsyncConnection, customer_ids: set[str]) -> None:
    """In the order of customers, as everywhere: batches of transactions wait."""
    c = customers.c.customer_id
    await tx.execute(select(c).where(c.in_(customer_ids)).order_by(c).with_for_update())


async def _return_of_accounts(tx: AsyncConnection, ended: Mapping[str, str], facts: Sequence[CustomerFact]) -> None:
    for fact in facts:
        if fact.customer_id in ended and fact.accounts:
            t = transactions.c
            account_ids = [account_id for account_id, _ in fact.accounts]
            await tx.execute(
                update(transactions)
                .where(t.customer_id == ended[fact.customer_id], t.account_id.in_(account_ids))
                .values(customer_id=fact.customer_id)
            )
