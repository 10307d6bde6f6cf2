"""What branches and managers are to achieve: which lines may be set, and what a month's part of a target is."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chassis.errors import Violation
from services.assignment_svc.domain.score_cards import Indicator

_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_VALUE_MAX = 10**17
# What adds up over months: a month's target is an even part of a longer one.
FLOWS = frozenset({Indicator.DEPOSIT_GROWTH, Indicator.NEW_CUSTOMERS})
_RATIOS_MAX = {Indicator.RETENTION: 10_000, Indicator.VISIT_QUALITY: 10_000}


class Period(StrEnum):
    """How long a target is for; the shortest goes first."""

    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"

    @property
    def months(self) -> int:
        return _MONTHS[self.value]

    def first(self, day: date) -> date:
        """The first day of the period that a day lies in."""
        return date(day.year, (day.month - 1) // self.months * self.months + 1, 1)


@dataclass(frozen=True)
class Line:
    """A target as it is asked for. Without a manager it is the branch's own; without a value it is taken back."""

    branch_id: str
    staff_id: str | None
    indicator: Indicator
    period: Period
    period_date: date
    value: int | None

    @property
    def key(self) -> tuple[object, ...]:
        return (self.branch_id, self.staff_id, self.indicator, self.period, self.period_date)


@dataclass(frozen=True)
class Known:
    """What lines are held against: whom the caller may set targets of, who exists, and what is frozen."""

    branch_ids: Collection[str]
    """Whose own targets he may set; None stands for nobody's."""
    staffed_branch_ids: Collection[str]
    """Of whose managers he may set targets."""
    staff: Collection[tuple[str, str]]
    """(branch, staff member) of those who work somewhere."""
    caller_id: str
    frozen: Collection[date]


def line_faults(lines: Sequence[Line], known: Known) -> list[Violation]:
    """Every fault of every line, in their order; a line that is hidden from the caller is unknown to him."""
    found: list[Violation] = []
    seen: dict[tuple[object, ...], int] = {}
    for place, line in enumerate(lines):
        found += [Violation(f"targets[{place}].{field}", why) for field, why in _faults(line, known)]
        first = seen.setdefault(line.key, place)
        if first != place:
            found.append(Violation(f"targets[{place}]", f"has the branch, manager, indicator and period of [{first}]"))
    return found


def _faults(line: Line, known: Known) -> Iterable[tuple[str, str]]:
    reached = known.branch_ids if line.staff_id is None else known.staffed_branch_ids
    if line.branch_id not in reached:
        yield "branch", "names no branch of which you set this target"
    elif line.staff_id is not None and (line.branch_id, line.staff_id) not in known.staff:
        yield "manager", "names nobody who works at the branch"
    if line.staff_id == known.caller_id:
        yield "manager", "names yourself"
    if line.period.first(line.period_date) != line.period_date:
        yield "period_date", f"is not the first day of a {line.period.value.lower()}"
    elif line.period is Period.MONTH and line.period_date in known.frozen:
        yield "period_date", "is a month that is frozen"
    if line.value is not None and not 0 < line.value <= _VALUE_MAX:
        yield "value", f"must be from 1 to {_VALUE_MAX}"
    elif line.value is not None and line.value > _RATIOS_MAX.get(line.indicator, _VALUE_MAX):
        yield "value", "is more than 100 percent"


def month_target(lines: Iterable[Line], indicator: Indicator, month: date) -> int | None:
    """The month's part: of its own target, else of its quarter's, else of its year's; even parts are rounded up.

    `lines` are the youngest versions for one branch or manager.
    """
    by_period = {
        line.period: line.value
        for line in lines
        if line.indicator is indicator and line.period.first(month) == line.period_date
    }
    for period in Period:
        value = by_period.get(period)
        if value is not None:
            return -(-value // period.months) if indicator in FLOWS else value
    return None
