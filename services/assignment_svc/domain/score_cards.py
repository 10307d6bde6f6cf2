"""What a month's card measures, how a score is made of it, and who is before whom (domain.md 11)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeVar

from chassis.errors import Violation
from services.assignment_svc.domain.credit import SharePolicy, share_faults

K = TypeVar("K")
WHOLE = 10_000
_PERCENT = 100
_ACHIEVED_PERCENT_MAX = 1_000


class Indicator(StrEnum):
    """What is measured; units are told in score_card.proto."""

    DEPOSIT_AVERAGE = "DEPOSIT_AVERAGE"
    DEPOSIT_GROWTH = "DEPOSIT_GROWTH"
    WEALTH = "WEALTH"
    LOAN = "LOAN"
    NEW_CUSTOMERS = "NEW_CUSTOMERS"
    CROSS_SELL = "CROSS_SELL"
    RETENTION = "RETENTION"
    KEY_CUSTOMERS = "KEY_CUSTOMERS"
    VISIT_DUTY = "VISIT_DUTY"
    VISIT_QUALITY = "VISIT_QUALITY"


COUNTS = frozenset({Indicator.NEW_CUSTOMERS, Indicator.KEY_CUSTOMERS})
"""Indicators that count customers, in ten-thousandths of one."""
# As counts are told to an analyst (domain.md 3): nothing of fewer customers than 10, others rounded to 5.
SMALL_COUNT = 10
_ROUNDED_TO = 5
ROUNDED = _ROUNDED_TO * WHOLE


def coarse_count(count: int, unit: int = 1) -> int | None:
    """A count in parts of a customer, `unit` of them to one, as it is told to an analyst; None if it is too small."""
    step = _ROUNDED_TO * unit
    return None if count < SMALL_COUNT * unit else (count + step // 2) // step * step


class MonthState(StrEnum):
    """Whether a month's cards change."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"


@dataclass(frozen=True)
class ScorePolicy:
    """How credit is shared and what indicators weigh, for months from `from_date` on."""

    version: int
    from_date: date
    shares: SharePolicy
    achieved_percent_max: int
    weights: Mapping[Indicator, int]


@dataclass(frozen=True)
class Figure:
    """One indicator of a card: the sum over customers, of a ratio also what it is divided by, and its target."""

    indicator: Indicator
    whole: int
    base: int | None
    value: int | None
    unknown_count: int = 0
    target: int | None = None
    achieved: int | None = None
    weight: int = 0


def policy_faults(policy: ScorePolicy) -> list[Violation]:
    """What is wrong with a policy before it is made."""
    found = share_faults(policy.shares)
    if policy.from_date.day != 1:
        found.append(Violation("from_date", "must be the first day of a month"))
    if not _PERCENT <= policy.achieved_percent_max <= _ACHIEVED_PERCENT_MAX:
        found.append(Violation("achieved_percent_max", f"must be from {_PERCENT} to {_ACHIEVED_PERCENT_MAX}"))
    found += [
        Violation(f"weights[{place}].weight", "must be from 1 to 100")
        for place, weight in enumerate(policy.weights.values())
        if not 0 < weight <= _PERCENT
    ]
    together = sum(policy.weights.values())
    if together != _PERCENT:
        found.append(Violation("weights", f"make {together} together, and not 100"))
    return found


def value_of(whole: int, base: int | None, *, ratio: bool) -> int | None:
    """A figure's value: the sum itself, or what it is of ten thousand parts of the base; None over nothing."""
    if not ratio:
        return whole
    return whole * WHOLE // base if base else None


def achieved_of(value: int | None, target: int | None, percent_max: int) -> int | None:
    """What was achieved of a target in hundredths of a percent, from 0 to the ceiling."""
    if value is None or target is None:
        return None
    return min(max(value, 0) * WHOLE // target, percent_max * _PERCENT)


def score(figures: Iterable[Figure]) -> int | None:
    """The weighted mean of what was achieved, rounded down; None if no indicator with a weight has a target."""
    counted = [(figure.achieved, figure.weight) for figure in figures if figure.achieved is not None and figure.weight]
    if not counted:
        return None
    return sum(achieved * weight for achieved, weight in counted) // sum(weight for _, weight in counted)


def places(scores: Mapping[K, int | None]) -> dict[K, int]:
    """Places by score, the highest first: 1, 2, 2, 4. Who has none has no place."""
    ordered = sorted(one for one in scores.values() if one is not None)
    first_of: dict[int, int] = {}
    for place, one in enumerate(reversed(ordered), 1):
        first_of.setdefault(one, place)
    return {key: first_of[one] for key, one in scores.items() if one is not None}


def next_month(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def month_before(first: date) -> date:
    """The first day of the month before."""
    return (first - timedelta(days=1)).replace(day=1)


def months_to_build(business_date: date, frozen: Sequence[date]) -> list[tuple[date, date]]:
    """The months that a night computes, each with its last day that counts: the one before, and its own so far."""
    own = business_date.replace(day=1)
    before = month_before(own)
    return [
        (first, last)
        for first, last in ((before, own - timedelta(days=1)), (own, business_date))
        if first not in frozen
    ]
