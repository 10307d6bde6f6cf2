"""What customers' room for contacts is made of: read one by one, and as a feed in the order of change (design 4.6)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.campaign_svc.domain.contact_room import Cap, ContactPolicy, ContactRoom, Instant
from services.campaign_svc.store.tables import contact_policies

FEED = "contact_room"
# What is planned always, and what could still share a window of a year with it.
_WINDOW_DAYS = 366
# No id begins with it: policies come among customers by their keys.
_POLICY_KEY = "!"

_TOUCH = text(
    "INSERT INTO contact_rooms AS r (customer_id) SELECT unnest(CAST(:customer_ids AS text[])) ORDER BY 1"
    " ON CONFLICT (customer_id) DO UPDATE SET rev = pg_current_xact_id(), gone = false"
)
_PARTS = f"""
  (SELECT json_agg(json_build_array(c.channel, c.contact_time, c.message_class, p.category, c.campaign_id)
      ORDER BY c.contact_time, c.contact_id)
    FROM contacts AS c LEFT JOIN products AS p USING (product_id)
    WHERE c.customer_id = r.customer_id AND c.contact_time > bank_now() - interval '{_WINDOW_DAYS} days') AS instants,
  (SELECT max(c.contact_time) FROM contacts AS c WHERE c.customer_id = r.customer_id) AS last_contact_time,
  (SELECT json_build_array(c.campaign_id, c.outcome) FROM contacts AS c
    WHERE c.customer_id = r.customer_id AND c.campaign_id IS NOT NULL
    ORDER BY c.contact_time DESC, c.contact_id DESC LIMIT 1) AS last_campaign,
  (SELECT max(c.contact_time) FROM contacts AS c
    WHERE c.customer_id = r.customer_id AND c.outcome = 'refused') AS last_refusal_time,
  (SELECT array_agg(o.channel || '/' || o.category ORDER BY o.channel, o.category) FROM opt_outs AS o
    WHERE o.customer_id = r.customer_id) AS opt_out_keys,
  (SELECT json_agg(json_build_array(s.channel || '/' || s.category, s.state = 'GRANTED')
      ORDER BY s.channel, s.category)
    FROM consents AS s WHERE s.customer_id = r.customer_id) AS consents
"""  # noqa: S608 - a number of our own
_JSON = {"instants": JSON, "last_campaign": JSON, "consents": JSON}
# Each side is cut before both are put into one order.
_PAGE = text(f"""
WITH changed AS (
  (SELECT rev, customer_id AS key, gone FROM contact_rooms
    WHERE (rev, customer_id) > (CAST(CAST(:rev AS text) AS xid8), :key)
      AND rev < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY rev, customer_id LIMIT :limit)
  UNION ALL
  (SELECT rev, :policy_key || version, false FROM contact_policies
    WHERE (rev, :policy_key || version) > (CAST(CAST(:rev AS text) AS xid8), :key)
      AND rev < pg_snapshot_xmin(pg_current_snapshot()))
), page AS (
  SELECT * FROM changed ORDER BY rev, key LIMIT :limit
)
SELECT r.rev, r.customer_id, r.gone, {_PARTS} FROM (SELECT rev, key AS customer_id, gone FROM page) AS r
ORDER BY r.rev, r.customer_id
""").columns(**_JSON)  # noqa: S608 - our own text
_ONE = text(f"""
SELECT false AS gone, {_PARTS} FROM (SELECT CAST(:customer_id AS text) AS customer_id) AS r
""").columns(**_JSON)  # noqa: S608 - our own text


async def touch(tx: AsyncConnection, customer_ids: Collection[str]) -> None:
    """Tells the feed that something changed of these customers."""
    await tx.execute(_TOUCH, {"customer_ids": sorted(customer_ids)})


async def read_page(
    tx: AsyncConnection, rev: int, key: str, limit: int
) -> Sequence[tuple[int, str, ContactRoom | ContactPolicy]]:
    """Rooms and policies after a place in the feed, none of which a running transaction could push others before."""
    given = {"rev": str(rev), "key": key, "limit": limit, "policy_key": _POLICY_KEY}
    rows = (await tx.execute(_PAGE, given)).all()
    wanted = [int(row.customer_id.removeprefix(_POLICY_KEY)) for row in rows if row.customer_id.startswith(_POLICY_KEY)]
    policies = {f"{_POLICY_KEY}{found.version}": found for found in await read_policies(tx, wanted)} if wanted else {}
    return [
        (int(row.rev), row.customer_id, policies.get(row.customer_id) or _room(row.customer_id, row)) for row in rows
    ]


async def read_room(conn: AsyncConnection, customer_id: str) -> ContactRoom:
    """One customer's; of one who was never contacted everything is empty."""
    return _room(customer_id, (await conn.execute(_ONE, {"customer_id": customer_id})).one())


async def read_policies(conn: AsyncConnection, versions: Collection[int]) -> Sequence[ContactPolicy]:
    """These versions of the policy, as far as they exist."""
    c = contact_policies.c
    rows = await conn.execute(select(contact_policies).where(c.version.in_(versions)).order_by(c.version))
    return [_policy(row) for row in rows]


async def page_of_policies(conn: AsyncConnection, before: int | None, limit: int) -> Sequence[ContactPolicy]:
    """Policies, the youngest first, beginning after the one given."""
    c = contact_policies.c
    query = select(contact_policies).order_by(c.version.desc()).limit(limit)
    if before is not None:
        query = query.where(c.version < before)
    return [_policy(row) for row in await conn.execute(query)]


def _room(customer_id: str, row: Row[Any]) -> ContactRoom:
    if row.gone:
        return ContactRoom(customer_id, gone=True)
    instants = tuple(
        Instant(channel, datetime.fromisoformat(at), message_class, category, campaign_id)
        for channel, at, message_class, category, campaign_id in row.instants or ()
    )
    campaign_id, outcome = row.last_campaign or (None, None)
    consents: list[tuple[str, bool]] = row.consents or []
    return ContactRoom(
        customer_id,
        instants=instants,
        last_contact_time=row.last_contact_time,
        last_campaign_id=campaign_id,
        last_outcome=outcome,
        last_refusal_time=row.last_refusal_time,
        opt_out_keys=tuple(row.opt_out_keys or ()),
        consent_keys=tuple(key for key, granted in consents if granted),
        withdrawn_consent_keys=tuple(key for key, granted in consents if not granted),
    )


def _policy(row: Row[Any]) -> ContactPolicy:
    return ContactPolicy(row.version, row.start_time, row.consent_required, [_cap(cap) for cap in row.caps])


def _cap(stored: Mapping[str, Any]) -> Cap:
    seconds = stored["length_seconds"]
    return Cap(
        rule_id=stored["rule_id"],
        limit=stored["limit"],
        length=None if seconds is None else timedelta(seconds=seconds),
        channels=frozenset(stored["channels"]),
        message_classes=frozenset(stored["message_classes"]),
        category=stored["category"],
        per=stored["per"],
        counted=stored["counted"],
    )
