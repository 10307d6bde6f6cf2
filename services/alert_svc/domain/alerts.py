"""When the money that moved on one day is worth an alert (domain.md 7, A1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    LARGE_INFLOW = "LARGE_INFLOW"
    LARGE_OUTFLOW = "LARGE_OUTFLOW"


class State(StrEnum):
    """Who has looked at it; WITHDRAWN: a reversal undid what it told."""

    UNREAD = "UNREAD"
    READ = "READ"
    HANDLED = "HANDLED"
    WITHDRAWN = "WITHDRAWN"


# The branch of an alert that tells the primary side about the whole bank. A secondary side's names its branch.
WHOLE_BANK = ""


@dataclass(frozen=True)
class AlertKey:
    """There is one alert per customer, kind, business day of the events, and recipient side."""

    customer_id: str
    kind: Kind
    business_date: date
    branch_id: str


@dataclass(frozen=True)
class DayFigures:
    """The transactions of one day that count towards one alert, netted of what does not (see `store.transactions`)."""

    key: AlertKey
    customer_type: str
    count: int
    sum_minor: int
    largest_minor: int
    event_time: datetime | None
    """The last of them; None if none counts."""


@dataclass(frozen=True)
class Rule:
    """A threshold as of a day: for one transaction, and in per cent of it for the sum of a day."""

    kind: Kind
    customer_type: str
    valid_from_date: date
    threshold_minor: int
    day_sum_percent: int


def threshold_reached(day: DayFigures, rule: Rule) -> int | None:
    """The threshold that the day reached, in minor units, or None. Thresholds are inclusive."""
    if day.count and day.largest_minor >= rule.threshold_minor:
        return rule.threshold_minor
    if day.count and day.sum_minor * 100 >= rule.threshold_minor * rule.day_sum_percent:
        return -(-rule.threshold_minor * rule.day_sum_percent // 100)
    return None


def rule_for(day: DayFigures, rules: Iterable[Rule]) -> Rule | None:
    """The youngest rule in force on the day of the events for this kind and class of customer."""
    fitting = [
        rule
        for rule in rules
        if rule.kind == day.key.kind
        and rule.customer_type == day.customer_type
        and rule.valid_from_date <= day.key.business_date
    ]
    return max(fitting, key=lambda rule: rule.valid_from_date, default=None)
