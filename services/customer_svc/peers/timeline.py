"""What other services know of a customer's life, as events of his timeline."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

from services.customer_svc.domain.parts import Alert, Contact, Missing, OwnershipPeriod
from services.customer_svc.domain.timeline import Entry, Kind, Wanted, bank_date, beginning_of
from services.customer_svc.peers import alerts, contacts, ownership_periods
from services.customer_svc.peers.answers import answer_or_missing, ask_seconds
from services.customer_svc.peers.parts import Sources

AskEntries = Callable[[str, Wanted], Awaitable[tuple[Sequence[Entry], Sequence[Missing]]]]

# Asked at once, so that several events of one instant seldom need a second page.
_SPARE = 50
_PAGES_MAX = 10
_TICK = timedelta(microseconds=1)
T = TypeVar("T")


def entries_from(sources: Sources) -> AskEntries:
    """Asks those services whose kinds are wanted; what does not come in time is missing, nothing fails."""

    async def ask(customer_id: str, wanted: Wanted) -> tuple[Sequence[Entry], Sequence[Missing]]:
        asked: list[Awaitable[tuple[Sequence[Entry], Missing | None]]] = []
        if wanted.kinds & {Kind.OWNER_STARTED, Kind.OWNER_ENDED}:
            asked.append(answer_or_missing("ownership_periods", _owner_entries(sources, customer_id), ()))
        if Kind.CONTACT in wanted.kinds:
            asked.append(answer_or_missing("contacts", _contact_entries(sources, customer_id, wanted), ()))
        if Kind.ALERT in wanted.kinds:
            asked.append(answer_or_missing("alerts", _alert_entries(sources, customer_id, wanted), ()))
        answers = await asyncio.gather(*asked)
        missing = [one for _, one in answers if one is not None]
        return [entry for entries, _ in answers for entry in entries], missing

    return ask


async def _owner_entries(sources: Sources, customer_id: str) -> Sequence[Entry]:
    limit = ownership_periods.PERIODS_MAX
    periods = await ownership_periods.list_periods(sources.ownership, customer_id, limit, ask_seconds())
    return [entry for period in periods for entry in _of_period(period)]


async def _contact_entries(sources: Sources, customer_id: str, wanted: Wanted) -> Sequence[Entry]:
    bounds = [bound for bound in (wanted.until, wanted.after and wanted.after[0] + _TICK) if bound is not None]
    span = contacts.Span(wanted.since, min(bounds, default=None))

    async def page(token: str) -> tuple[Sequence[Contact], str]:
        limit = wanted.limit + _SPARE
        told = await contacts.list_contacts(sources.contacts, customer_id, limit, ask_seconds(), span, token)
        return told.contacts, told.next_token

    return await _enough(page, _of_contact, lambda contact: contact.contact_time, wanted)


async def _alert_entries(sources: Sources, customer_id: str, wanted: Wanted) -> Sequence[Entry]:
    bounds = [bank_date(bound) for bound in (wanted.until, wanted.after and wanted.after[0]) if bound is not None]
    days = alerts.Days(bank_date(wanted.since) if wanted.since else None, min(bounds, default=None))

    async def page(token: str) -> tuple[Sequence[Alert], str]:
        limit = wanted.limit + _SPARE
        told = await alerts.list_alerts(sources.alerts, customer_id, limit, ask_seconds(), days, token)
        return told.alerts, told.next_token

    return await _enough(page, _of_alert, lambda alert: alert.business_date, wanted)


async def _enough(
    page: Callable[[str], Awaitable[tuple[Sequence[T], str]]],
    entry_of: Callable[[T], Entry],
    group_of: Callable[[T], object],
    wanted: Wanted,
) -> Sequence[Entry]:
    """Pages of a source until there is enough, without its last group unless that is whole.

    Within a group (an instant, a day) the source has an order of its own.
    """
    items: list[T] = []
    token = ""
    for _ in range(_PAGES_MAX):
        more, token = await page(token)
        items.extend(more)
        if not token:
            return [entry_of(item) for item in items]
        whole = [entry_of(item) for item in items if group_of(item) != group_of(items[-1])]
        if sum(map(wanted.takes, whole)) > wanted.limit:
            return whole
    return [entry_of(item) for item in items]


def _of_period(period: OwnershipPeriod) -> Iterable[Entry]:
    ends = ((Kind.OWNER_STARTED, period.from_date), (Kind.OWNER_ENDED, period.until_date))
    for kind, day in ends:
        if day is not None:
            told = (period.branch_id, period.side, period.manager_id, period.from_date, period.create_time, kind)
            yield Entry(
                kind,
                _key(*told),
                beginning_of(day),
                day,
                branch_id=period.branch_id,
                subject=f"staff/{period.manager_id}" if period.manager_id else "",
                detail=":".join(part for part in (period.side, period.rule) if part),
                actor=period.actor if kind is Kind.OWNER_STARTED else "",
            )


def _of_contact(contact: Contact) -> Entry:
    at = contact.contact_time
    return Entry(
        Kind.CONTACT,
        _key(contact.contact),
        at,
        bank_date(at),
        at,
        subject=contact.contact,
        detail=contact.channel,
        text=contact.outcome,
        actor=contact.actor,
    )


def _of_alert(alert: Alert) -> Entry:
    # Should an event lie on another day than it is booked on, the day that the source orders by holds.
    known = bank_date(alert.event_time) == alert.business_date
    return Entry(
        Kind.ALERT,
        _key(alert.alert),
        alert.event_time if known else beginning_of(alert.business_date),
        alert.business_date,
        alert.event_time if known else None,
        branch_id=alert.branch_id,
        subject=alert.alert,
        detail=alert.kind,
        amount_minor=alert.sum_minor,
    )


def _key(*told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
