"""Whether a customer has room left for contacts, as SQL: `policy.contact_room.room_left` for all customers at once.

A property test holds the two equal. Most customers have nothing planned, and then every window that matters ends at the
instant asked about: one pass over a customer's instants counts them for all caps. Only where something lies ahead are
windows looked for that reach both ways.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
)

from services.customer_svc.domain.conditions import RoomLeft
from services.customer_svc.domain.contact_room import BANK_ZONE, NUMBER_CHANNELS, Cap, ContactPolicy, keys_of
from services.customer_svc.store.scope import found, texts
from services.customer_svc.store.tables import contact_instants, contact_rooms, customers

_MARKETING = "MARKETING"


def room_holds(wanted: RoomLeft, at: datetime, policy: ContactPolicy) -> ColumnElement[bool]:
    """Says of a customer whether at least `wanted.least` more contacts fit at an instant."""
    limits = [
        (cap, cap.limit)
        for cap in policy.caps
        if cap.limit is not None and cap.counts(wanted.channel, wanted.message_class, wanted.category)
    ]
    # Of a new campaign: whatever was sent, a campaign's own contacts are none yet.
    if any(_room_at_best(cap, limit) < wanted.least for cap, limit in limits):
        return false()
    counted = [(cap, limit) for cap, limit in limits if cap.counted != "CONTACTS_OF_CAMPAIGN"]
    return and_(~_blocked(wanted, at, policy), _within(counted, wanted.least, at))


def _room_at_best(cap: Cap, limit: int) -> int:
    """What somebody has left who was never contacted; a cap of campaigns does not say how many contacts."""
    return limit if cap.counted in {"CONTACTS", "CONTACTS_OF_CAMPAIGN"} or limit == 0 else 2**31


def _blocked(wanted: RoomLeft, at: datetime, policy: ContactPolicy) -> ColumnElement[bool]:
    room = contact_rooms.alias("room")
    mine = room.c.customer_id == customers.c.customer_id
    blocks = [room.c.do_not_contact_until_time > at]
    if wanted.message_class != _MARKETING:
        return found(room, mine, *blocks)
    keys = texts(keys_of(wanted.channel, wanted.category))
    blocks += [room.c.opt_out_keys.bool_op("&&")(keys), room.c.withdrawn_consent_keys.bool_op("&&")(keys)]
    blocked = found(room, mine, or_(*blocks))
    if policy.consent_required:
        blocked = or_(blocked, ~found(room, mine, room.c.consent_keys.bool_op("&&")(keys)))
    return blocked


def _within(limits: Sequence[tuple[Cap, int]], least: int, at: datetime) -> ColumnElement[bool]:
    """All caps leave room: in one pass if nothing is planned at the instant or later, else each by its windows."""
    if not limits:
        return true()
    row = contact_instants.alias("instant")
    past = [_fits_past(row, cap, limit, least, at) for cap, limit in limits]
    both = [_fits_both(cap, limit, least, at) for cap, limit in limits]
    nothing_planned = func.count().filter(row.c.contact_time >= at) == 0
    counted = select(case((nothing_planned, and_(true(), *past)), else_=and_(true(), *both)))
    return counted.where(row.c.customer_id == customers.c.customer_id).correlate_except(row).scalar_subquery()


def _fits_past(row: FromClause, cap: Cap, limit: int, least: int, at: datetime) -> ColumnElement[bool]:
    match cap.counted:
        case "CAMPAIGNS_AT_ONCE":
            # A campaign ends with its last contact, and that was before.
            return literal(limit > 0)
        case "CAMPAIGN_ENTRIES":
            entry = _entries(cap)
            begun = select(func.count()).select_from(entry).where(_begins_after(entry.c.first_time, cap, at))
            return begun.correlate_except(entry).scalar_subquery() < limit
        case _:
            near = and_(_counts(row, cap), _begins_after(row.c.contact_time, cap, at))
            return func.count().filter(near) <= limit - least


def _fits_both(cap: Cap, limit: int, least: int, at: datetime) -> ColumnElement[bool]:
    if cap.counted == "CAMPAIGNS_AT_ONCE":
        entry = _entries(cap)
        around = select(func.count()).select_from(entry).where(entry.c.first_time <= at, entry.c.last_time >= at)
        return around.correlate_except(entry).scalar_subquery() < limit
    by_campaign = cap.counted == "CAMPAIGN_ENTRIES"
    most = limit - 1 if by_campaign else limit - least
    first, other = (_entries(cap), _entries(cap)) if by_campaign else (_instants(cap), _instants(cap))
    first_time, other_time = (part.c.first_time for part in (first, other))
    if cap.length is None:
        today = _bank_day(first_time) == at.astimezone(BANK_ZONE).date()
        return select(func.count()).select_from(first).where(today).correlate_except(first).scalar_subquery() <= most
    # The fullest window that holds the instant begins at it or at a contact before it.
    from_here = select(func.count()).select_from(first).where(first_time >= at, first_time < at + cap.length)
    shared = (
        select(func.count())
        .select_from(other)
        .where(other_time >= first_time, other_time < first_time + literal(cap.length))
    )
    too_full = and_(
        first_time > at - cap.length, first_time <= at, shared.correlate_except(other).scalar_subquery() > most
    )
    return and_(from_here.correlate_except(first).scalar_subquery() <= most, ~found(first, too_full))


def _begins_after(time: ColumnElement[datetime], cap: Cap, at: datetime) -> ColumnElement[bool]:
    """Within the window that ends at an instant; the day's contacts, if the cap is one of days."""
    if cap.length is None:
        return _bank_day(time) == at.astimezone(BANK_ZONE).date()
    return time > at - cap.length


def _counts(row: FromClause, cap: Cap) -> ColumnElement[bool]:
    """Says of an instant whether a cap counts it."""
    parts: list[ColumnElement[bool]] = [row.c.message_class.in_(sorted(cap.message_classes))]
    if cap.channels:
        parts.append(row.c.channel.in_(sorted(cap.channels)))
    if cap.category is not None:
        parts.append(row.c.category == cap.category)
    if cap.per == "NUMBER":
        parts.append(row.c.channel.in_(sorted(NUMBER_CHANNELS)))
    else:
        parts.append(~row.c.other_person)
    return and_(*parts)


def _instants(cap: Cap) -> FromClause:
    row = contact_instants.alias()
    times = select(row.c.contact_time.label("first_time"))
    mine = row.c.customer_id == customers.c.customer_id
    return times.where(mine, _counts(row, cap)).correlate_except(row).subquery().lateral()


def _entries(cap: Cap) -> FromClause:
    """The customer's campaigns, from the first contact that counts to the last."""
    row = contact_instants.alias()
    first, last = func.min(row.c.contact_time), func.max(row.c.contact_time)
    mine = and_(row.c.customer_id == customers.c.customer_id, row.c.campaign_id.is_not(None))
    spans = select(first.label("first_time"), last.label("last_time")).where(mine, _counts(row, cap))
    return spans.group_by(row.c.campaign_id).correlate_except(row).subquery().lateral()


def _bank_day(time: ColumnElement[datetime]) -> ColumnElement[date]:
    return cast(func.timezone(str(BANK_ZONE), time), Date)
