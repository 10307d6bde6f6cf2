"""Figures of a customer's business as they are shown: stored and computed ones, each with the period it speaks of."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.customer_svc.domain.figures import COMPUTED, Difference, Share

Figure = int | date | Sequence[str] | None

_AVERAGE_DAYS = 30
_WINDOW = re.compile(r"_(\d+)d_")


@dataclass(frozen=True)
class Indicator:
    """One figure that is known; amounts are minor units of the bank's currency."""

    name: str
    value: int | date | Sequence[str]
    from_date: date
    until_date: date

    @property
    def is_money(self) -> bool:
        """Whether the value is an amount."""
        return self.name.endswith("_minor")

    @property
    def days(self) -> int:
        """The days of its period, both ends counted."""
        return (self.until_date - self.from_date).days + 1


def indicators(figures: Mapping[str, Figure], day: date) -> tuple[Indicator, ...]:
    """What is known as of a business date: the stored figures in their order, then those that are computed."""
    return tuple(
        Indicator(name, value, *_period(name, day))
        for name, value in (*figures.items(), *_computed(figures))
        if value is not None
    )


def with_computed(figures: Mapping[str, Figure]) -> Mapping[str, Figure]:
    """The stored figures and those that are computed of them, by name; what is not known is None."""
    return {**figures, **dict(_computed(figures))}


def _computed(figures: Mapping[str, Figure]) -> Iterator[tuple[str, int | None]]:
    for name, rule in COMPUTED.items():
        match rule:
            case Difference(of, less):
                first, second = _number(figures, of), _number(figures, less)
                yield name, None if first is None or second is None else first - second
            case Share():
                yield name, _percent(figures, rule)


def _percent(figures: Mapping[str, Figure], share: Share) -> int | None:
    """A share in whole per cent, rounded down; by the rule of `Share`."""
    part, whole = _number(figures, share.part), [_number(figures, name) for name in share.whole]
    if len(whole) > 1:
        part = part or 0
        whole = [each or 0 for each in whole]
    if part is None or None in whole:
        return None
    total = sum(each for each in whole if each is not None)
    return part * 100 // total if total > 0 else None


def _number(figures: Mapping[str, Figure], name: str) -> int | None:
    value = figures.get(name)
    return value if isinstance(value, int) else None


def _period(name: str, day: date) -> tuple[date, date]:
    if found := _WINDOW.search(name):
        return day - timedelta(days=int(found[1]) - 1), day
    if name.endswith("_share_percent") and not name.startswith(("demand", "time")):
        return day - timedelta(days=89), day
    if name == "deposit_average_minor":
        return day - timedelta(days=_AVERAGE_DAYS - 1), day
    for unit, first in _firsts(day).items():
        if name.startswith(f"deposit_{unit}_"):
            before = first - timedelta(days=1)
            return (before, before) if name.endswith("_start_minor") else (first, day)
    return day, day


def _firsts(day: date) -> dict[str, date]:
    """The first days of the business date's month, quarter and year."""
    quarter = (day.month - 1) // 3 * 3 + 1
    return {"month": day.replace(day=1), "quarter": date(day.year, quarter, 1), "year": date(day.year, 1, 1)}
