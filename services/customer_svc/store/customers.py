"""Customers as they are shown: who they are, who owns them, and what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import JSON, ColumnElement, Row, Select, SelectBase, and_, any_, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.sql.audit import AuditEntry, audit, audit_read_cte
from services.customer_svc.domain.contact_data import ContactData
from services.customer_svc.domain.customer import Identity, Owner, Root, Totals, Value
from services.customer_svc.domain.indicators import indicators
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store import contact_data
from services.customer_svc.store.figure_columns import FIGURES
from services.customer_svc.store.scope import opened_somewhere, texts
from services.customer_svc.store.tables import CHASSIS, customers, owners

_IDENTITY = (
    "customer_type",
    "display_name",
    "sex",
    "birth_date",
    "id_type",
    "id_expiry_date",
    "occupation",
    "residence_district",
    "customer_since_date",
    "state",
    "update_time",
    "risk_rating",
    "risk_rating_expiry_date",
    "industry",
)
# All in one column: SQLAlchemy takes its time for each of sixty.
_WHOLE = literal_column("to_json(customers)", JSON).label("whole")
_VALUE = ("tier", "tier_gap_minor", "contribution_minor", "lifecycle")
_OWNER = ("branch_id", "side", "manager_id", "since_date", "private_manager_id")

# What is closed counts no more from the day after its last one. `kind` tells accounts, loans, cards and figures apart.
_TOTALS = text("""
SELECT customer_id, branch_id,
  max(balance) AS balance, max(average) AS average,
  count(*) FILTER (WHERE kind = 'account') AS accounts,
  count(*) FILTER (WHERE kind = 'loan') AS loans,
  count(*) FILTER (WHERE kind = 'card') AS cards,
  CASE WHEN NOT bool_or(amount IS NULL) FILTER (WHERE kind = 'loan')
    THEN (sum(amount) FILTER (WHERE kind = 'loan'))::bigint END AS outstanding,
  CASE WHEN NOT bool_or(amount IS NULL) FILTER (WHERE kind = 'card')
    THEN (sum(amount) FILTER (WHERE kind = 'card'))::bigint END AS card_limit
FROM (
  SELECT customer_id, branch_id, 'account' AS kind, NULL::bigint AS amount, NULL::bigint AS balance,
    NULL::bigint AS average
  FROM accounts WHERE customer_id = ANY(CAST(:ids AS text[])) AND (close_date IS NULL OR close_date > :day)
  UNION ALL
  SELECT customer_id, branch_id, 'loan', outstanding_minor, NULL, NULL
  FROM loans WHERE customer_id = ANY(CAST(:ids AS text[])) AND state <> 'SETTLED'
    AND (close_date IS NULL OR close_date > :day)
  UNION ALL
  SELECT customer_id, branch_id, 'card', limit_minor, NULL, NULL
  FROM cards WHERE customer_id = ANY(CAST(:ids AS text[])) AND (close_date IS NULL OR close_date > :day)
  UNION ALL
  SELECT customer_id, branch_id, 'figures', NULL, deposit_balance_minor, deposit_average_minor
  FROM customer_branch_figures WHERE customer_id = ANY(CAST(:ids AS text[]))
) parts
GROUP BY customer_id, branch_id ORDER BY customer_id, branch_id
""")


async def business_day(conn: AsyncConnection) -> date:
    """The business date of the figures; before the first import, today by bank time."""
    today = text(
        "SELECT coalesce((SELECT business_date FROM business_day), (bank_now() AT TIME ZONE 'Asia/Shanghai')::date)"
    )
    return (await conn.execute(today)).scalar_one()


async def read_roots(
    conn: AsyncConnection, customer_ids: Sequence[str], scope: Scope, reading: Reading
) -> dict[str, Root]:
    """Those of the customers whom the viewer sees at all, without their business; each is noted as read."""
    keys = keys_of(reading)
    rows = await conn.execute(noted(_roots(customers.c.customer_id == any_(texts(customer_ids)), scope), reading))
    return {row.customer_id: _root(row, contact_data.opened(keys, row)) for row in rows}


async def read_page(conn: AsyncConnection, customer_id: str, scope: Scope, reading: Reading) -> Root | None:
    """A customer as his page shows him, without his business, if the viewer sees him at all; he is noted as read."""
    query = _roots(customers.c.customer_id == customer_id, scope).add_columns(_WHOLE)
    row = (await conn.execute(noted(query, reading))).one_or_none()
    if row is None:
        return None
    root, whole = _root(row, contact_data.opened(keys_of(reading), row)), dated(row.whole)
    figures = {name: whole[f"total_{name}"] for name in FIGURES}
    return replace(root, indicators=indicators(figures, root.business_date) if root.business_date else ())


async def read_totals(
    conn: AsyncConnection, customer_ids: Sequence[str], day: date
) -> dict[str, list[tuple[str, Totals]]]:
    """The sums of each customer's business by branch, as of a business date."""
    found: dict[str, list[tuple[str, Totals]]] = {customer_id: [] for customer_id in customer_ids}
    for row in await conn.execute(_TOTALS, {"ids": list(customer_ids), "day": day}):
        totals = Totals(
            deposit_balance_minor=row.balance,
            deposit_average_minor=row.average,
            loan_outstanding_minor=row.outstanding,
            card_limit_minor=row.card_limit,
            account_count=row.accounts,
            loan_count=row.loans,
            card_count=row.cards,
        )
        found[row.customer_id].append((row.branch_id, totals))
    return found


async def note_lookup(tx: AsyncConnection, reading: Reading, fields: Sequence[str]) -> None:
    """Notes that somebody was looked up by these fields without being shown."""
    await audit(tx, [replace(_entry(reading), detail={"fields": ", ".join(fields)})])


def _roots(which: ColumnElement[bool], scope: Scope) -> Select[Any]:
    owner = owners.alias("owner")
    told = func.json_build_object(*(part for name in _OWNER for part in (name, owner.c[name])))
    rows = select(func.json_agg(told, type_=JSON)).where(owner.c.customer_id == customers.c.customer_id)
    c = customers.c
    return select(
        c.customer_id,
        *(c[name] for name in (*_IDENTITY, *_VALUE)),
        *contact_data.sealed_of(c.customer_id),
        c.total_deposit_balance_minor,
        c.total_deposit_average_minor,
        rows.scalar_subquery().label("owner_rows"),
        select(CHASSIS.business_day.c.business_date).scalar_subquery().label("business_date"),
    ).where(and_(which, ~c.gone, opened_somewhere(scope, Level.EXISTENCE)))


def noted(rows: SelectBase, reading: Reading) -> Select[Any]:
    """The same rows, and one row of audit for each."""
    seen = rows.cte("seen")
    return select(seen).add_cte(audit_read_cte(CHASSIS.audit, _entry(reading), seen))


def _entry(reading: Reading) -> AuditEntry:
    return AuditEntry(reading.viewer.staff_id, reading.viewer.branch_id, reading.request_id, reading.method)


def keys_of(reading: Reading) -> DataKeys:
    """What opens contact data for this read."""
    assert reading.keys is not None, "who shows contact data brings the keys that open it"
    return reading.keys


def _root(row: Row[Any], contact: ContactData) -> Root:
    clear = {name: getattr(row, name) for name in _IDENTITY}
    identity = Identity(row.customer_id, **clear, id_number=contact.id_number, mobile=contact.mobile)
    return Root(
        identity,
        owners=[Owner(**dated(item)) for item in row.owner_rows or ()],
        business_date=row.business_date,
        total_deposit_balance_minor=row.total_deposit_balance_minor,
        total_deposit_average_minor=row.total_deposit_average_minor,
        value=Value(*(getattr(row, name) for name in _VALUE)),
    )


def dated(item: Mapping[str, Any]) -> dict[str, Any]:
    """JSON tells days as texts."""
    return {
        name: date.fromisoformat(value) if name.endswith("_date") and value is not None else value
        for name, value in item.items()
    }
