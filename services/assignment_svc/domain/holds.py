"""Which hold stands on a day (domain.md 3, rule 7)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.assignment_svc.domain.ownership import Hold, HoldKind, Policy


@dataclass(frozen=True)
class Standing:
    """Which holds count on a day, when they end, and the next day on which any hold starts or ends.

    The strong one, a lock or a pending transfer, holds against everything; the weak one, a protection, against cards
    and deposits.
    """

    strong: Hold | None
    strong_end_date: date | None
    weak: Hold | None
    weak_end_date: date | None
    next_date: date | None


def standing(holds: Sequence[Hold], day: date, policy: Policy) -> Standing:
    """Picks the holds that count on a day: of several a lock before a transfer, then the older."""
    active = sorted((h for h in holds if is_active(h, day, policy)), key=lambda h: (h.kind, h.from_date, h.hold_id))
    strong = next((h for h in active if h.kind is not HoldKind.PROTECTION), None)
    weak = next((h for h in active if h.kind is HoldKind.PROTECTION), None)
    return Standing(
        strong=strong,
        strong_end_date=end_date(strong, policy) if strong else None,
        weak=weak,
        weak_end_date=end_date(weak, policy) if weak else None,
        next_date=min(_coming(holds, active, day, policy), default=None),
    )


def is_active(hold: Hold, day: date, policy: Policy) -> bool:
    """Says whether a hold has started and not ended."""
    end = end_date(hold, policy)
    return hold.from_date <= day and (end is None or day < end)


def end_date(hold: Hold, policy: Policy) -> date | None:
    """The first day on which a hold no longer stands; None for no end."""
    if hold.kind is not HoldKind.PROTECTION:
        return hold.until_date
    idle = (hold.last_contact_date or hold.from_date) + timedelta(days=policy.protection_idle_days + 1)
    return min(idle, hold.until_date) if hold.until_date else idle


def _coming(holds: Iterable[Hold], active: Iterable[Hold], day: date, policy: Policy) -> Iterable[date]:
    yield from (h.from_date for h in holds if h.from_date > day)
    yield from (end for h in active if (end := end_date(h, policy)))
