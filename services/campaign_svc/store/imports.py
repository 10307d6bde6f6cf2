"""How the feed's products and contacts come into the tables (docs/feed.md)."""

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError, default_upsert, unknown_references
from services.campaign_svc.domain.contacts import Channel, MessageClass, State
from services.campaign_svc.store.tables import contacts, customers, products

_TIME = pa.timestamp("us", "UTC")


def _required(name: str, kind: pa.DataType, codes: type[Channel | MessageClass | State] | None = None) -> pa.Field:
    field = pa.field(name, kind, nullable=False)
    return field.with_metadata({b"codes": ",".join(codes).encode()}) if codes else field


PRODUCT_SCHEMA = pa.schema(
    [_required(name, pa.string()) for name in ("product_id", "display_name", "category")],
)
CONTACT_SCHEMA = pa.schema(
    [
        _required("contact_id", pa.string()),
        _required("customer_id", pa.string()),
        _required("channel", pa.string(), Channel),
        _required("message_class", pa.string(), MessageClass),
        _required("contact_time", _TIME),
        _required("state", pa.string(), State),
        pa.field("product_id", pa.string()),
        pa.field("campaign_id", pa.string()),
        pa.field("outcome", pa.string()),
    ]
)


async def _contacts_check(tx: AsyncConnection, staging: str) -> list[RowError]:
    strangers = await unknown_references(tx, staging, "customer_id", customers.name, "customer_id")
    return strangers + await unknown_references(tx, staging, "product_id", products.name, "product_id")


_add_contacts = default_upsert(contacts, ("contact_id", "customer_id", "contact_time"), CONTACT_SCHEMA.names)


async def _upsert_contacts(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """Takes away contacts whose customer or time the source corrected before the rest: both are parts of the key."""
    moved = await tx.execute(
        text(f"""
DELETE FROM contacts USING {staging} AS s
WHERE s.contact_id > :lower AND s.contact_id <= :upper AND contacts.contact_id = s.contact_id
  AND (contacts.customer_id, contacts.contact_time) <> (s.customer_id, s.contact_time)"""),  # noqa: S608 - our own staging table
        {"lower": lower, "upper": upper},
    )
    inserted, updated = await _add_contacts(tx, staging, lower, upper)
    return inserted - moved.rowcount, updated + moved.rowcount


# A product's update_time tells of changes that somebody may see; an equal row keeps its own.
async def _upsert_products(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    counts = await tx.execute(
        text(f"""
WITH written AS (
    INSERT INTO products AS t (product_id, display_name, category)
    SELECT product_id, display_name, category FROM {staging}
    WHERE product_id > :lower AND product_id <= :upper ORDER BY product_id
    ON CONFLICT (product_id) DO UPDATE
    SET display_name = excluded.display_name, category = excluded.category, update_time = bank_now()
    WHERE (t.display_name, t.category) IS DISTINCT FROM (excluded.display_name, excluded.category)
    RETURNING old.product_id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"""),  # noqa: S608 - our own staging table
        {"lower": lower, "upper": upper},
    )
    inserted, updated = counts.one()
    return inserted, updated


TABLES = (
    BulkTable("products", PRODUCT_SCHEMA, ("product_id",), _upsert_products),
    BulkTable("contacts", CONTACT_SCHEMA, ("contact_id",), _upsert_contacts, _contacts_check),
)
