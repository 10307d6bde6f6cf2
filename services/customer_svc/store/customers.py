"""Customers as they are shown: who they are, who owns them, and what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import JSON, ColumnElement, Row, Select, SelectBase, and_, any_, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.sql.audit import AuditEntry, audit, audit_read_cte
from services.customer_svc.domain.contact_data import ContactData
from services.customer_svc.domain.customer import (
    Account,
    BranchBusiness,
    Card,
    Identity,
    Loan,
    Owner,
    RelatedPerson,
    Root,
    Totals,
)
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store import contact_data
from services.customer_svc.store.scope import opened_somewhere, texts
from services.customer_svc.store.tables import CHASSIS, customers, owners, relations

PEOPLE_MAX = 100
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
)
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

_DETAIL = text("""
SELECT
  (SELECT json_agg(x) FROM (
    SELECT account_id, kind, open_date, close_date, balance_minor FROM accounts
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY open_date, account_id LIMIT 100) x
  ) AS accounts,
  (SELECT json_agg(x) FROM (
    SELECT loan_id, product, principal_minor, outstanding_minor, outstanding_estimated, disburse_date, due_date, state,
      in_arrears, officer_id FROM loans
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY disburse_date DESC, loan_id LIMIT 100) x
  ) AS loans,
  (SELECT json_agg(x) FROM (
    SELECT card_id, product, limit_minor, open_date, close_date FROM cards
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY open_date DESC, card_id LIMIT 100) x
  ) AS cards
""").columns(accounts=JSON, loans=JSON, cards=JSON)


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
    keys = _keys_of(reading)
    rows = await conn.execute(_noted(_roots(customers.c.customer_id == any_(texts(customer_ids)), scope), reading))
    return {row.customer_id: _root(row, contact_data.opened(keys, row)) for row in rows}


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


async def read_detail(conn: AsyncConnection, customer_id: str, branch_id: str) -> BranchBusiness:
    """A customer's business at one branch in detail, without its sums."""
    row = (await conn.execute(_DETAIL, {"customer_id": customer_id, "branch_id": branch_id})).one()
    return BranchBusiness(
        branch_id,
        accounts=tuple(Account(**_dated(item)) for item in row.accounts or ()),
        loans=tuple(Loan(**_dated(item)) for item in row.loans or ()),
        cards=tuple(Card(**_dated(item)) for item in row.cards or ()),
    )


async def read_people(conn: AsyncConnection, customer_id: str, reading: Reading) -> Sequence[RelatedPerson]:
    """The people related to a customer, each noted as read."""
    person, c = customers.alias("person"), relations.c
    people = (
        select(c.kind, person.c.customer_id, person.c.display_name, *contact_data.sealed_of(person.c.customer_id))
        .join(person, and_(person.c.customer_id == c.related_customer_id, ~person.c.gone))
        .where(c.customer_id == customer_id)
        .order_by(c.kind, person.c.customer_id)
        .limit(PEOPLE_MAX)
    )
    keys = _keys_of(reading)
    found = [
        RelatedPerson(row.kind, row.customer_id, row.display_name, contact_data.opened(keys, row).mobile)
        for row in await conn.execute(_noted(people, reading))
    ]
    return sorted(found, key=lambda related: (related.kind, related.customer_id))


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
        *(c[name] for name in _IDENTITY),
        *contact_data.sealed_of(c.customer_id),
        c.total_deposit_balance_minor,
        c.total_deposit_average_minor,
        rows.scalar_subquery().label("owner_rows"),
        select(CHASSIS.business_day.c.business_date).scalar_subquery().label("business_date"),
    ).where(and_(which, ~c.gone, opened_somewhere(scope, Level.EXISTENCE)))


def _noted(rows: SelectBase, reading: Reading) -> Select[Any]:
    """The same rows, and one row of audit for each."""
    seen = rows.cte("seen")
    return select(seen).add_cte(audit_read_cte(CHASSIS.audit, _entry(reading), seen))


def _entry(reading: Reading) -> AuditEntry:
    return AuditEntry(reading.viewer.staff_id, reading.viewer.branch_id, reading.request_id, reading.method)


def _keys_of(reading: Reading) -> DataKeys:
    assert reading.keys is not None, "who shows contact data brings the keys that open it"
    return reading.keys


def _root(row: Row[Any], contact: ContactData) -> Root:
    clear = {name: getattr(row, name) for name in _IDENTITY}
    identity = Identity(row.customer_id, **clear, id_number=contact.id_number, mobile=contact.mobile)
    return Root(
        identity,
        owners=[Owner(**_dated(item)) for item in row.owner_rows or ()],
        business_date=row.business_date,
        total_deposit_balance_minor=row.total_deposit_balance_minor,
        total_deposit_average_minor=row.total_deposit_average_minor,
    )


def _dated(item: Mapping[str, Any]) -> dict[str, Any]:
    """JSON tells days as texts."""
    return {
        name: date.fromisoformat(value) if name.endswith("_date") and value is not None else value
        for name, value in item.items()
    }
