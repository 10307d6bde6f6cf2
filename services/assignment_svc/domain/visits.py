"""Visits to customers, and what the checks say of one (domain.md 11).

Of several findings the worst is the state: SUSPICIOUS before LATE before OUT_OF_RADIUS before WEAK before VALID. Only
VALID and WEAK count as duty done: a customer without a known address can be visited too, and a device in a basement
is not sure of its place; what is too far, too late or impossible has to be looked at by the supervisor first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import combinations, pairwise

from services.assignment_svc.domain.geography import Place, is_within, metres_between

VISITS_OF_DAY_MAX = 60
"""Of one author; more is no day's work, and every one of them is compared with every other."""
_SECONDS_PER_HOUR = 3600
_METRES_PER_KM = 1000
_MONTHS = 12


class VisitKind(StrEnum):
    """How a customer was met."""

    VISIT = "VISIT"
    PHONE = "PHONE"
    LOBBY = "LOBBY"


class VisitState(StrEnum):
    """What the checks say of a visit."""

    VALID = "VALID"
    WEAK = "WEAK"
    OUT_OF_RADIUS = "OUT_OF_RADIUS"
    LATE = "LATE"
    SUSPICIOUS = "SUSPICIOUS"


COUNTING = frozenset({VisitState.VALID, VisitState.WEAK})


class DistanceBand(StrEnum):
    """How far from the customer's address a visit was, about."""

    NEAR = "NEAR"
    AROUND = "AROUND"
    OFF = "OFF"
    FAR = "FAR"


_BANDS = ((100.0, DistanceBand.NEAR), (500.0, DistanceBand.AROUND), (2_000.0, DistanceBand.OFF))


@dataclass(frozen=True)
class CheckRules:
    """How visits are checked: the parameters, one version of them."""

    late_days: int
    close_day: int
    weak_accuracy_m: int
    radius_m: int
    speed_max_kmh: int
    crowd_customers_min: int
    crowd_radius_m: int
    crowd_spread_m: int
    clock_skew_seconds: int


@dataclass(frozen=True)
class Fix:
    """Where a device said it was, and within how many metres it believed that."""

    place: Place
    accuracy_m: float


@dataclass(frozen=True)
class Attachment:
    """What is known of a file that belongs to a visit."""

    file_name: str
    media_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """What of a visit a correction changes."""

    kind: VisitKind
    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A visit as a device sends it."""

    content: Content
    fix: Fix | None
    device_time: datetime
    captured_offline: bool
    device_id: str
    client_visit_id: str


@dataclass(frozen=True)
class Judged:
    """What the checks of one visit look at beside other visits."""

    kind: VisitKind
    accuracy_m: float | None
    distance_m: float | None
    late: bool


@dataclass(frozen=True)
class Located:
    """One of an author's visits of a day, with the customer's address as known now."""

    visit_id: str
    customer_id: str
    visit_time: datetime
    fix: Fix
    address: Place | None


@dataclass(frozen=True)
class Visit:
    """A visit as stored."""

    customer_id: str
    visit_id: str
    staff_id: str
    branch_id: str
    content: Content
    fix: Fix | None
    distance_m: float | None
    distance_band: DistanceBand | None
    state: VisitState | None
    device_time: datetime
    visit_date: date
    captured_offline: bool
    device_id: str
    client_visit_id: str
    version: int
    create_time: datetime
    update_time: datetime
    withdraw_time: datetime | None
    withdraw_reason: str

    @property
    def etag(self) -> str:
        """Changes with each correction and with the withdrawal; not with the state, which others' visits move."""
        return f"{self.version}{'w' if self.withdraw_time else ''}"


@dataclass(frozen=True)
class VisitVersion:
    """What a visit was before a correction."""

    version: int
    content: Content
    end_time: datetime
    end_reason: str


def band_of(distance_m: float | None) -> DistanceBand | None:
    """How far about; None for an unknown distance."""
    if distance_m is None:
        return None
    return next((band for most, band in _BANDS if distance_m <= most), DistanceBand.FAR)


def last_open_date(visit_date: date, close_day: int) -> date:
    """The last day on which visits of that day's month may be entered."""
    years, month = divmod(visit_date.month, _MONTHS)
    return date(visit_date.year + years, month + 1, close_day)


def is_late(visit_date: date, sent_date: date, rules: CheckRules) -> bool:
    """Says whether a visit was sent too long after it was, or after its month was closed."""
    waited = (sent_date - visit_date).days
    return waited > rules.late_days or sent_date > last_open_date(visit_date, rules.close_day)


def state_of(judged: Judged, rules: CheckRules, *, suspicious: bool) -> VisitState:
    """The worst that is found; of calls and of meetings in the branch only lateness is."""
    if suspicious:
        return VisitState.SUSPICIOUS
    if judged.late:
        return VisitState.LATE
    if judged.kind is not VisitKind.VISIT:
        return VisitState.VALID
    if judged.accuracy_m is None or judged.distance_m is None:
        return VisitState.WEAK
    if judged.distance_m > rules.radius_m + judged.accuracy_m:
        return VisitState.OUT_OF_RADIUS
    return VisitState.WEAK if judged.accuracy_m > rules.weak_accuracy_m else VisitState.VALID


def suspicious_visits(visits: Sequence[Located], rules: CheckRules) -> frozenset[str]:
    """Which of an author's visits of one day cannot be: both ends of an impossible way, and crowds at one point."""
    assert len(visits) <= VISITS_OF_DAY_MAX, "more are never taken of one day"
    return frozenset([*_too_fast(visits, rules), *_crowded(visits, rules)])


def _too_fast(visits: Sequence[Located], rules: CheckRules) -> Iterator[str]:
    """Both of two visits, one after the other, between which nobody gets; the devices are given their inaccuracy."""
    for one, other in pairwise(sorted(visits, key=lambda visit: (visit.visit_time, visit.visit_id))):
        apart = metres_between(one.fix.place, other.fix.place) - one.fix.accuracy_m - other.fix.accuracy_m
        hours = (other.visit_time - one.visit_time).total_seconds() / _SECONDS_PER_HOUR
        if apart > 0 and apart > rules.speed_max_kmh * _METRES_PER_KM * hours:
            yield from (one.visit_id, other.visit_id)


def _crowded(visits: Sequence[Located], rules: CheckRules) -> Iterator[str]:
    """Visits with so many customers at one point, of whom two live apart: an unknown address proves nothing."""
    if len({visit.customer_id for visit in visits}) < rules.crowd_customers_min:
        return
    near: dict[str, list[Located]] = {visit.visit_id: [visit] for visit in visits}
    for one, other in combinations(visits, 2):
        if is_within(one.fix.place, other.fix.place, rules.crowd_radius_m):
            near[one.visit_id].append(other)
            near[other.visit_id].append(one)
    for visit_id, crowd in near.items():
        addresses = {found.customer_id: found.address for found in crowd}
        if len(addresses) >= rules.crowd_customers_min and _live_apart(list(addresses.values()), rules.crowd_spread_m):
            yield visit_id


def _live_apart(addresses: Sequence[Place | None], spread_m: int) -> bool:
    known = [address for address in addresses if address is not None]
    return any(not is_within(one, other, spread_m) for one, other in combinations(known, 2))
