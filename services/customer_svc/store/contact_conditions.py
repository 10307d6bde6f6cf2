"""How a customer was contacted, and how he may still be, as SQL (Q10)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, any_, func, literal, true

from services.customer_svc.domain.conditions import ContactCondition, ContactCount
from services.customer_svc.domain.contact_room import ContactPolicy, keys_of
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.contact_room_conditions import room_holds
from services.customer_svc.store.scope import looked_up, texts
from services.customer_svc.store.tables import contact_rooms
from services.customer_svc.store.tables_search import customer_search

# As migration 0010 has them, for whom places of contacts are a channel's number here, and then the microseconds.
_PLACES = ("", "SMS", "CALL", "PUSH", "MAIL", "WECHAT", "VISIT")
_CHANNEL = 10**16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Made once: what SQLAlchemy prepares for an alias takes longer than many a look-up.
_ROOM = contact_rooms.alias("contact_room")


def contacts_hold(condition: ContactCondition) -> ColumnElement[bool]:
    """Says of a customer whether he was contacted so; who was never contacted has no last contact, and no consent."""
    assert condition.now is not None, "who asks for days until now says when that is"
    parts = [part for count in condition.counts for part in _counted(count, condition.now)]
    parts += _permissions(condition)
    wanted = list(_room_parts(condition, condition.now))
    if wanted:
        parts.append(looked_up(_ROOM, _ROOM.c.customer_id == KEY, *wanted))
    policy = condition.policy or ContactPolicy(version=0, start_time=None)
    parts += [room_holds(wanted, wanted.at or condition.now, policy).is_(true()) for wanted in condition.rooms]
    return and_(true(), *parts)


def _counted(count: ContactCount, now: datetime) -> Iterator[ColumnElement[bool]]:
    """By the places of contacts, which stand in order: how many stand before one end, less those before the other.

    Planned ones lie ahead, and are not counted.
    """
    since, until = _micros(now - timedelta(days=count.days)), _micros(now)
    numbers = {_PLACES.index(channel) for channel in count.channels} if count.channels else range(len(_PLACES))
    number: ColumnElement[int] = literal(0)
    for each in sorted(numbers):
        number += _before(each * _CHANNEL + until) - _before(each * _CHANNEL + since)
    if count.low:
        yield number >= count.low
    if count.high is not None:
        yield (number > count.high).is_not(true())


def _before(place: int) -> ColumnElement[int]:
    """How many contacts stand up to a place; NULL if there are none at all."""
    return func.width_bucket(literal(place, BigInteger), customer_search.c.contact_places, type_=Integer)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _permissions(condition: ContactCondition) -> Iterator[ColumnElement[bool]]:
    c = customer_search.c
    for each in condition.consents:
        keys = texts(keys_of(each.channel, each.category))
        yield c.consent_keys.overlap(keys)
        yield c.withdrawn_consent_keys.overlap(keys).is_not(true())
    for each in condition.opt_outs:
        yield c.opt_out_keys.overlap(texts(keys_of(each.channel, each.category)))


def _room_parts(condition: ContactCondition, now: datetime) -> Iterator[ColumnElement[bool]]:
    c = _ROOM.c
    if condition.last_campaign_ids:
        yield c.last_campaign_id == any_(texts(condition.last_campaign_ids))
    if condition.last_outcomes:
        yield c.last_outcome == any_(texts(condition.last_outcomes))
    if condition.refused_within_days is not None:
        yield c.last_refusal_time > now - timedelta(days=condition.refused_within_days)
