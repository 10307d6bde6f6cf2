"""How the feed's products, contacts, consents and opt-outs come into the tables (docs/feed.md)."""

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError, default_upsert, unknown_references
from chassis.sql.erased import without_erased
from chassis.sql.merged_rows import mapped
from chassis.sql.upsert import Upsert
from services.campaign_svc.domain.contacts import Channel, MessageClass, State
from services.campaign_svc.store.merged_tables import FIRST_OPT_OUT, STRICTER_CONSENT
from services.campaign_svc.store.tables import consents, contact_rooms, contacts, customers, opt_outs, products

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
# ALL stands for every channel, or every category.
_CHANNELS = {b"codes": b"ALL,SMS,CALL,PUSH,MAIL,WECHAT"}
CONSENT_SCHEMA = pa.schema(
    [
        _required("customer_id", pa.string()),
        _required("channel", pa.string()).with_metadata(_CHANNELS),
        _required("category", pa.string()),
        _required("state", pa.string()).with_metadata({b"codes": b"GRANTED,WITHDRAWN"}),
        _required("state_time", _TIME),
        pa.field("version", pa.string()),
        pa.field("proof", pa.string()),
    ]
)
OPT_OUT_SCHEMA = pa.schema(
    [
        _required("customer_id", pa.string()),
        _required("channel", pa.string()).with_metadata(_CHANNELS),
        _required("category", pa.string()),
        _required("opt_out_time", _TIME),
    ]
)
_BLOCK_KEY = ("customer_id", "channel", "category")


async def _known_customers(tx: AsyncConnection, staging: str) -> list[RowError]:
    return await unknown_references(tx, staging, "customer_id", customers.name, "customer_id")


async def _contacts_check(tx: AsyncConnection, staging: str) -> list[RowError]:
    strangers = await _known_customers(tx, staging)
    return strangers + await unknown_references(tx, staging, "product_id", products.name, "product_id")


def _with_rooms(write: Upsert, key: str = "customer_id") -> Upsert:
    """Sees to it first that every customer of the batch has a root whose rev the writing can move."""

    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        await tx.execute(
            text(f"""
INSERT INTO contact_rooms (customer_id) SELECT DISTINCT customer_id FROM {staging} AS s
WHERE s.{key} > :lower AND s.{key} <= :upper
  AND NOT EXISTS (SELECT FROM contact_rooms AS r WHERE r.customer_id = s.customer_id)
ORDER BY customer_id ON CONFLICT DO NOTHING"""),  # noqa: S608 - our own staging table
            {"lower": lower, "upper": upper},
        )
        return await write(tx, staging, lower, upper)

    return upsert


_add_contacts = default_upsert(
    contacts, ("contact_id", "customer_id", "contact_time"), CONTACT_SCHEMA.names, root=contact_rooms
)


async def _upsert_contacts(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """Takes away contacts whose customer or time the source corrected before the rest: both are parts of the key."""
    moved = await tx.execute(
        text(f"""
WITH moved AS (
  DELETE FROM contacts USING {staging} AS s
  WHERE s.contact_id > :lower AND s.contact_id <= :upper AND contacts.contact_id = s.contact_id
    AND (contacts.customer_id, contacts.contact_time) <> (s.customer_id, s.contact_time)
  RETURNING contacts.customer_id
), locked AS (
  SELECT customer_id FROM contact_rooms WHERE customer_id IN (SELECT customer_id FROM moved)
  ORDER BY customer_id FOR UPDATE
), touched AS (
  UPDATE contact_rooms AS r SET rev = pg_current_xact_id() FROM locked WHERE r.customer_id = locked.customer_id
)
SELECT count(*) FROM moved"""),  # noqa: S608 - our own staging table
        {"lower": lower, "upper": upper},
    )
    moved_count = moved.scalar_one()
    inserted, updated = await _add_contacts(tx, staging, lower, upper)
    return inserted - moved_count, updated + moved_count


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


_TAKEN = (
    BulkTable("products", PRODUCT_SCHEMA, ("product_id",), _upsert_products),
    mapped(
        BulkTable(
            "contacts", CONTACT_SCHEMA, ("contact_id",), _with_rooms(_upsert_contacts, "contact_id"), _contacts_check
        )
    ),
    mapped(
        BulkTable(
            "consents",
            CONSENT_SCHEMA,
            _BLOCK_KEY,
            _with_rooms(default_upsert(consents, _BLOCK_KEY, CONSENT_SCHEMA.names, root=contact_rooms)),
            _known_customers,
        ),
        combine=STRICTER_CONSENT,
    ),
    mapped(
        BulkTable(
            "opt_outs",
            OPT_OUT_SCHEMA,
            _BLOCK_KEY,
            _with_rooms(default_upsert(opt_outs, _BLOCK_KEY, OPT_OUT_SCHEMA.names, root=contact_rooms)),
            _known_customers,
        ),
        combine=FIRST_OPT_OUT,
    ),
)
# Of erased customers nothing is kept but that they must not be contacted.
TABLES = tuple(table if table.name == "opt_outs" else without_erased(table) for table in _TAKEN)
