"""How a customer was contacted, and how he may still be, as SQL (Q10)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, and_, any_, func, select, true

from services.customer_svc.domain.conditions import ContactCondition, ContactCount
from services.customer_svc.domain.contact_room import ContactPolicy, keys_of
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.contact_room_conditions import room_holds
from services.customer_svc.store.scope import looked_up, texts
from services.customer_svc.store.seen import between
from services.customer_svc.store.tables import contact_instants, contact_rooms


def contacts_hold(condition: ContactCondition) -> ColumnElement[bool]:
    """Says of a customer whether he was contacted so; who was never contacted has no last contact, and no consent."""
    assert condition.now is not None, "who asks for days until now says when that is"
    parts = [_counted(count, condition.now) for count in condition.counts]
    room = contact_rooms.alias("contact_room")
    wanted = list(_room_parts(room, condition, condition.now))
    if wanted:
        parts.append(looked_up(room, room.c.customer_id == KEY, *wanted))
    policy = condition.policy or ContactPolicy(version=0, start_time=None)
    parts += [room_holds(wanted, wanted.at or condition.now, policy).is_(true()) for wanted in condition.rooms]
    return and_(true(), *parts)


def _counted(count: ContactCount, now: datetime) -> ColumnElement[bool]:
    row = contact_instants.alias("contact")
    parts = [
        row.c.customer_id == KEY,
        row.c.contact_time > now - timedelta(days=count.days),
        # Planned ones lie ahead.
        row.c.contact_time <= now,
        ~row.c.other_person,
    ]
    if count.channels:
        parts.append(row.c.channel == any_(texts(count.channels)))
    if (count.low, count.high) == (1, None):
        return looked_up(row, *parts)
    if (count.low or 0, count.high) == (0, 0):
        return ~looked_up(row, *parts)
    number = select(func.count()).select_from(row).where(*parts).correlate_except(row).scalar_subquery()
    return and_(true(), *between(number, count.low, count.high))


def _room_parts(room: FromClause, condition: ContactCondition, now: datetime) -> Iterator[ColumnElement[bool]]:
    c = room.c
    if condition.last_campaign_ids:
        yield c.last_campaign_id == any_(texts(condition.last_campaign_ids))
    if condition.last_outcomes:
        yield c.last_outcome == any_(texts(condition.last_outcomes))
    if condition.refused_within_days is not None:
        yield c.last_refusal_time > now - timedelta(days=condition.refused_within_days)
    for each in condition.consents:
        keys = texts(keys_of(each.channel, each.category))
        yield and_(c.consent_keys.overlap(keys), ~c.withdrawn_consent_keys.overlap(keys))
    for each in condition.opt_outs:
        yield c.opt_out_keys.overlap(texts(keys_of(each.channel, each.category)))
