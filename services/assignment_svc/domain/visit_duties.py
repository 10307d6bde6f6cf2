"""Who is to be visited how often in a calendar month, and how much of that is done (domain.md 11).

Readings that the text leaves open: the duty is one for each customer and lies with his primary side, with the private
manager if there is one, since he takes the primary's duties; a customer without a manager is nobody's duty. It begins
with the branch's side or its manager, whichever is later. Visits of the primary branch's side count, whoever made
them, so that whoever stands in does the duty.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.assignment_svc.domain.visits import CheckRules, VisitKind

WHOLE = 100
"""A visit, in percent."""
LINES_MAX = 100


class DutyClass(StrEnum):
    """A class of customers who are to be visited."""

    LOAN = "LOAN"
    DEPOSIT = "DEPOSIT"
    KEY = "KEY"


@dataclass(frozen=True)
class DutyLine:
    """How often customers of a class are to be visited who reach a balance."""

    customer_class: DutyClass
    balance_min_minor: int
    visits_per_month: int
    phone_percent: int
    lobby_percent: int

    def percent_of(self, kind: VisitKind) -> int:
        """How much of a visit this kind is."""
        percents = {VisitKind.VISIT: WHOLE, VisitKind.PHONE: self.phone_percent, VisitKind.LOBBY: self.lobby_percent}
        return percents[kind]


@dataclass(frozen=True)
class VisitPolicy:
    """One version of what is due and how it is checked, in force from a day on."""

    version: int
    from_date: date
    lines: tuple[DutyLine, ...]
    rules: CheckRules
    kept_months: int
    whole_until_day: int
    reason: str
    actor: str = ""
    create_time: datetime | None = None


@dataclass(frozen=True)
class DueVisit:
    """A customer who is to be visited in a month."""

    customer_id: str
    branch_id: str
    manager_id: str
    customer_class: DutyClass
    due_count: int
    done_percent: int
    next_due_date: date | None
    last_visit_date: date | None

    @property
    def open_percent(self) -> int:
        return max(0, self.due_count * WHOLE - self.done_percent)


def line_of(balances: Mapping[DutyClass, int], lines: Iterable[DutyLine]) -> DutyLine | None:
    """The line by which a customer with these balances, of the classes that he is of, is to be visited.

    Of each class the highest balance that he reaches; of several classes the most visits, then what counts less as one.
    """
    reached: dict[DutyClass, DutyLine] = {}
    for line in sorted(lines, key=lambda line: line.balance_min_minor):
        if balances.get(line.customer_class, -1) >= line.balance_min_minor:
            reached[line.customer_class] = line
    strictest = sorted(
        reached.values(),
        key=lambda line: (-line.visits_per_month, line.phone_percent, line.lobby_percent, line.customer_class),
    )
    return strictest[0] if strictest else None


def due_count(line: DutyLine, entry_date: date, month_date: date, whole_until_day: int) -> int:
    """How many visits are due in the month of a day, of a duty that begins on `entry_date`."""
    if entry_date >= next_month(month_date):
        return 0
    is_whole = entry_date < month_date.replace(day=1) or entry_date.day <= whole_until_day
    return line.visits_per_month if is_whole else line.visits_per_month // 2


def done_percent(visits: Iterable[tuple[date, VisitKind]], line: DutyLine) -> int:
    """How much visits of a month come to: of each day the one that counts most."""
    best: dict[date, int] = {}
    for day, kind in visits:
        best[day] = max(best.get(day, 0), line.percent_of(kind))
    return sum(best.values())


def next_due_date(due: int, done: int, entry_date: date, month_date: date) -> date | None:
    """The last day of the part of the month in which the next visit is due; None if nothing is open.

    What of the month is left from the entry on is cut into as many equal parts as visits are due.
    """
    if done >= due * WHOLE:
        return None
    start = max(month_date.replace(day=1), entry_date)
    days = (next_month(month_date) - start).days
    part = done // WHOLE + 1
    return start + timedelta(days=-(-part * days // due) - 1)


def next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


_RANGES: Mapping[str, tuple[int, int]] = {
    "late_days": (0, 31),
    "close_day": (1, 28),
    "weak_accuracy_m": (1, 100_000),
    "radius_m": (1, 100_000),
    "speed_max_kmh": (1, 1_200),
    "crowd_customers_min": (2, 60),
    "crowd_radius_m": (1, 1_000),
    "crowd_spread_m": (1, 100_000),
    "clock_skew_seconds": (0, 3_600),
    "kept_months": (1, 120),
    "whole_until_day": (1, 31),
}
_LINE_RANGES: Mapping[str, tuple[int, int]] = {
    "balance_min_minor": (0, 10**17),
    "visits_per_month": (0, 31),
    "phone_percent": (0, WHOLE),
    "lobby_percent": (0, WHOLE),
}


def policy_faults(policy: VisitPolicy, today: date) -> Iterator[tuple[str, str]]:
    """The fields of a new version that are wrong, and what would be right."""
    if policy.from_date.day != 1 or policy.from_date <= today:
        yield "from_date", "must be the first day of a month to come"
    for name, (least, most) in _RANGES.items():
        value = getattr(policy, name) if hasattr(policy, name) else getattr(policy.rules, name)
        if not least <= value <= most:
            yield name, f"must be from {least:,} to {most:,}"
    if not 1 <= len(policy.lines) <= LINES_MAX:
        yield "lines", f"must be from 1 to {LINES_MAX}"
    yield from _line_faults(policy.lines[:LINES_MAX])


def _line_faults(lines: Sequence[DutyLine]) -> Iterator[tuple[str, str]]:
    keys: set[tuple[DutyClass, int]] = set()
    for index, line in enumerate(lines):
        for name, (least, most) in _LINE_RANGES.items():
            if not least <= getattr(line, name) <= most:
                yield f"lines[{index}].{name}", f"must be from {least:,} to {most:,}"
        key = (line.customer_class, line.balance_min_minor)
        if key in keys:
            yield f"lines[{index}]", "has the class and balance of a line before"
        keys.add(key)
