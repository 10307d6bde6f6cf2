"""Opens what is sealed of customers. Whoever shows contact data comes here; nobody else reads what is sealed.

Nothing here notes who reads: that is up to the caller, in the same statement or transaction (chassis/sql/audit.py).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, any_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import ContactKind, DataKeys
from services.customer_svc.domain.contact_data import ContactData
from services.customer_svc.store.scope import texts
from services.customer_svc.store.tables_contacts import customer_contacts

# Opening as many takes a few ms; more are opened in a thread.
_LOOP_ROWS_MAX = 1_000
_NOTHING = ContactData()


async def reveal(conn: AsyncConnection, keys: DataKeys, customer_ids: Sequence[str]) -> dict[str, ContactData]:
    """The contact data of each of the customers, empty where nothing is known. Raises SealedUnreadable."""
    c = customer_contacts.c
    rows = (await conn.execute(select(customer_contacts).where(c.customer_id == any_(texts(customer_ids))))).all()
    found = dict.fromkeys(customer_ids, _NOTHING)
    if len(rows) <= _LOOP_ROWS_MAX:
        return found | _opened_all(keys, rows)
    return found | await asyncio.to_thread(_opened_all, keys, rows)


def sealed_of(customer_id: ColumnElement[str]) -> tuple[ColumnElement[bytes | None], ...]:
    """What is sealed of a customer as columns of a query on customers, for `opened` to open."""
    c = customer_contacts.c
    mine = c.customer_id == customer_id
    return tuple(
        select(c[f"{kind}_cipher"]).where(mine).scalar_subquery().label(f"{kind}_cipher") for kind in ContactKind
    )


def opened(keys: DataKeys, row: Row[Any]) -> ContactData:
    """Opens the columns of `sealed_of` in a row that has the customer's id too. Raises SealedUnreadable."""
    values = {
        kind: None if sealed is None else keys.decrypt(kind, row.customer_id, sealed)
        for kind in ContactKind
        for sealed in [getattr(row, f"{kind}_cipher")]
    }
    return ContactData(values[ContactKind.ID_NUMBER], values[ContactKind.MOBILE])


def _opened_all(keys: DataKeys, rows: Sequence[Row[Any]]) -> dict[str, ContactData]:
    return {row.customer_id: opened(keys, row) for row in rows}
