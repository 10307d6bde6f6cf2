"""Customers' room for contacts, as followed from campaign_svc: each customer is replaced as a whole.

With it goes what `customer_search` says of it. Customers who are being added are waited for (migration 0004).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import JSON, DateTime, Row, any_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.rows import put_rows
from services.customer_svc.domain.contact_room import Cap, ContactPolicy, ContactRoom, Instant
from services.customer_svc.store import ownership
from services.customer_svc.store.scope import texts
from services.customer_svc.store.tables import contact_instants, contact_policies, contact_rooms

_FORGET = text("DELETE FROM contact_rooms WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_FORGET_INSTANTS = text("DELETE FROM contact_instants WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_FORGET_POLICIES = text("DELETE FROM contact_policies WHERE version = ANY(CAST(:versions AS integer[]))")
_DROP = text("DELETE FROM contact_rooms WHERE generation < :generation RETURNING customer_id")
_DROP_INSTANTS = text(
    "DELETE FROM contact_instants AS i USING contact_rooms AS r"
    " WHERE r.customer_id = i.customer_id AND r.generation < :generation"
)
# As JSON: an array of arrays of different lengths is none that PostgreSQL takes.
_PUT_ROOMS = text("""
INSERT INTO contact_rooms (customer_id, policy_version, last_contact_time, last_campaign_id, last_outcome,
  last_refusal_time, do_not_contact_until_time, consent_keys, opt_out_keys, withdrawn_consent_keys, generation)
SELECT customer_id, policy_version, last_contact_time, last_campaign_id, last_outcome, last_refusal_time,
  do_not_contact_until_time, consent_keys, opt_out_keys, withdrawn_consent_keys, :generation
FROM jsonb_to_recordset(CAST(:rooms AS jsonb)) AS r (customer_id text, policy_version integer,
  last_contact_time timestamptz, last_campaign_id text, last_outcome text, last_refusal_time timestamptz,
  do_not_contact_until_time timestamptz, consent_keys text[], opt_out_keys text[], withdrawn_consent_keys text[])
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET policy_version = excluded.policy_version,
  last_contact_time = excluded.last_contact_time, last_campaign_id = excluded.last_campaign_id,
  last_outcome = excluded.last_outcome, last_refusal_time = excluded.last_refusal_time,
  do_not_contact_until_time = excluded.do_not_contact_until_time, consent_keys = excluded.consent_keys,
  opt_out_keys = excluded.opt_out_keys, withdrawn_consent_keys = excluded.withdrawn_consent_keys,
  generation = excluded.generation
""")
_PUT_POLICIES = text("""
INSERT INTO contact_policies (version, start_time, consent_required, caps, generation)
SELECT version, start_time, consent_required, caps, :generation
FROM jsonb_to_recordset(CAST(:policies AS jsonb)) AS p (version integer, start_time timestamptz,
  consent_required boolean, caps jsonb)
ON CONFLICT (version) DO UPDATE SET start_time = excluded.start_time, consent_required = excluded.consent_required,
  caps = excluded.caps, generation = excluded.generation
""")
_SETTLE = text("SELECT settle_contacts(CAST(:customer_ids AS text[]))")
_IN_FORCE = text("SELECT * FROM contact_policies WHERE start_time <= bank_now() ORDER BY start_time DESC, version DESC")
_STANDING = text("""
SELECT (SELECT to_json(r) FROM contact_rooms r WHERE customer_id = :customer_id) AS room,
  (SELECT json_agg(json_build_array(channel, contact_time, message_class, category, campaign_id, other_person)
      ORDER BY contact_time, channel, ordinal)
    FROM contact_instants WHERE customer_id = :customer_id) AS instants,
  (SELECT to_json(p) FROM contact_policies p WHERE start_time <= bank_now()
    ORDER BY start_time DESC, version DESC LIMIT 1) AS policy,
  bank_now() AS now
""").columns(room=JSON, instants=JSON, policy=JSON, now=DateTime(timezone=True))


async def put_contact_rooms(tx: AsyncConnection, items: Sequence[ContactRoom | ContactPolicy], generation: int) -> None:
    """Stores each customer's room and each policy as it is now."""
    rooms = [item for item in items if isinstance(item, ContactRoom)]
    policies = [item for item in items if isinstance(item, ContactPolicy)]
    customer_ids = sorted(room.customer_id for room in rooms)
    await ownership.lock_owners(tx)
    await tx.execute(_FORGET_INSTANTS, {"customer_ids": customer_ids})
    gone = [room.customer_id for room in rooms if room.gone]
    if gone:
        await tx.execute(_FORGET, {"customer_ids": gone})
    if dropped := [policy.version for policy in policies if policy.gone]:
        await tx.execute(_FORGET_POLICIES, {"versions": dropped})
    known = [room for room in rooms if not room.gone]
    told = json.dumps([_room_row(room) for room in known], default=datetime.isoformat)
    await tx.execute(_PUT_ROOMS, {"rooms": told, "generation": generation})
    await put_rows(tx, contact_instants, [row for room in known for row in _instant_rows(room)])
    await tx.execute(_SETTLE, {"customer_ids": customer_ids})
    kept = json.dumps([_policy_row(policy) for policy in policies if not policy.gone], default=datetime.isoformat)
    await tx.execute(_PUT_POLICIES, {"policies": kept, "generation": generation})


async def drop_older(tx: AsyncConnection, generation: int) -> None:
    """Deletes what a new start of the feed did not repeat."""
    await ownership.lock_owners(tx)
    await tx.execute(_DROP_INSTANTS, {"generation": generation})
    dropped = (await tx.execute(_DROP, {"generation": generation})).scalars()
    await tx.execute(_SETTLE, {"customer_ids": sorted(dropped)})
    await tx.execute(contact_policies.delete().where(contact_policies.c.generation < generation))


async def read_policy(conn: AsyncConnection) -> ContactPolicy | None:
    """The policy in force now; None as long as none was told."""
    row = (await conn.execute(_IN_FORCE)).first()
    return None if row is None else _policy(row)


async def read_contact_rooms(conn: AsyncConnection, customer_ids: Sequence[str]) -> dict[str, ContactRoom]:
    """The rooms of these customers; of one of whom nothing was told an empty one."""
    found = {customer_id: ContactRoom(customer_id) for customer_id in customer_ids}
    instants: dict[str, list[Instant]] = {customer_id: [] for customer_id in customer_ids}
    c = contact_instants.c
    order = (c.customer_id, c.contact_time, c.channel, c.ordinal)
    wanted = select(contact_instants).where(c.customer_id == any_(texts(customer_ids))).order_by(*order)
    for row in await conn.execute(wanted):
        instants[row.customer_id].append(
            Instant(row.channel, row.contact_time, row.message_class, row.category, row.campaign_id, row.other_person)
        )
    rooms = select(contact_rooms).where(contact_rooms.c.customer_id == any_(texts(customer_ids)))
    for row in await conn.execute(rooms):
        found[row.customer_id] = _room(row, instants[row.customer_id])
    return found


async def read_standing(conn: AsyncConnection, customer_id: str) -> tuple[ContactRoom, ContactPolicy | None, datetime]:
    """One customer's room, the policy in force and the instant now, all in one statement."""
    row = (await conn.execute(_STANDING, {"customer_id": customer_id})).one()
    instants = [Instant(channel, datetime.fromisoformat(at), *rest) for channel, at, *rest in row.instants or ()]
    room = ContactRoom(customer_id, instants=instants)
    if row.room is not None:
        room = _room(SimpleNamespace(**_timed(row.room)), instants)
    policy = None if row.policy is None else _policy(SimpleNamespace(**_timed(row.policy)))
    return room, policy, row.now


def _timed(told: Mapping[str, Any]) -> dict[str, Any]:
    """JSON tells instants as texts."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("_time") and value is not None else value
        for name, value in told.items()
    }


def _room_row(room: ContactRoom) -> dict[str, object]:
    return {field.name: getattr(room, field.name) for field in fields(room) if field.name not in {"gone", "instants"}}


def _instant_rows(room: ContactRoom) -> Iterator[dict[str, object]]:
    """A row each; several of one instant on one channel are told apart by their number."""
    seen = Counter[tuple[str, datetime]]()
    for instant in room.instants:
        place = (instant.channel, instant.at)
        seen[place] += 1
        yield {
            "customer_id": room.customer_id,
            "channel": instant.channel,
            "contact_time": instant.at,
            "ordinal": seen[place],
            "message_class": instant.message_class,
            "category": instant.category,
            "campaign_id": instant.campaign_id,
            "other_person": instant.other_person,
        }


def _policy_row(policy: ContactPolicy) -> dict[str, object]:
    return {
        "version": policy.version,
        "start_time": policy.start_time,
        "consent_required": policy.consent_required,
        "caps": [_cap_to_json(cap) for cap in policy.caps],
    }


def _cap_to_json(cap: Cap) -> dict[str, object]:
    return {
        "rule_id": cap.rule_id,
        "limit": cap.limit,
        "length_seconds": None if cap.length is None else int(cap.length.total_seconds()),
        "channels": sorted(cap.channels),
        "message_classes": sorted(cap.message_classes),
        "category": cap.category,
        "per": cap.per,
        "counted": cap.counted,
    }


def _room(row: Row[Any] | SimpleNamespace, instants: Sequence[Instant]) -> ContactRoom:
    return ContactRoom(
        row.customer_id,
        instants=instants,
        last_contact_time=row.last_contact_time,
        last_campaign_id=row.last_campaign_id,
        last_outcome=row.last_outcome,
        last_refusal_time=row.last_refusal_time,
        do_not_contact_until_time=row.do_not_contact_until_time,
        opt_out_keys=row.opt_out_keys,
        consent_keys=row.consent_keys,
        withdrawn_consent_keys=row.withdrawn_consent_keys,
        policy_version=row.policy_version,
    )


def _policy(row: Row[Any] | SimpleNamespace) -> ContactPolicy:
    caps = tuple(_cap_from_json(cap) for cap in row.caps)
    return ContactPolicy(row.version, row.start_time, row.consent_required, caps)


def _cap_from_json(stored: Mapping[str, Any]) -> Cap:
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
