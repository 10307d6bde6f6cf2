"""What is wrong with a query, whoever asks it."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import assert_never

from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    Condition,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    OwnershipCondition,
    Single,
    Span,
    TagCondition,
    ValueCondition,
    parts_of,
)
from services.customer_svc.domain.field_names import bound_fields, span_field, span_of
from services.customer_svc.domain.figures import Unit, unit_of
from services.customer_svc.domain.query import CONDITIONS_MAX, DEPTH_MAX, Fault, Query, single_paths, walk

LIST_MAX = 1000
GROUPS_MAX = 20
CONTACT_PARTS_MAX = 20
TEXT_LENGTH_MAX = 100
AGE_MAX = 150
YEAR_DAYS_MAX = 366
DAYS_MAX = 3660
MONTHS_MAX = 120

_YEAR_FIELDS = frozenset(
    {"time_deposit_due_within_days", "due_within_days", "next_due_within_days", "birthday_within_days"}
)
# Far enough from where the calendar ends for every window and time zone.
_YEARS = range(2000, 2201)
_LEVELS = {"tier": (1, 6), "risk_rating": (1, 5)}
# Reason, field below the condition, description.
_Found = Iterator[tuple[str, str, str]]


def size_fault(conditions: Sequence[Condition], path: str = "conditions") -> Fault | None:
    """The first limit of number or depth that a query breaks; to be asked before anything else."""
    for count, (where, condition) in enumerate(walk(conditions, path), 1):
        if count > CONDITIONS_MAX:
            return Fault("CONDITIONS_TOO_MANY", where, f"at most {CONDITIONS_MAX} are taken", CONDITIONS_MAX)
        if _depth(where, path) > DEPTH_MAX:
            return Fault("NESTING_TOO_DEEP", where, f"is nested deeper than {DEPTH_MAX}", DEPTH_MAX)
        if isinstance(condition, AllOf | AnyOf) and not parts_of(condition):
            name = "all_of" if isinstance(condition, AllOf) else "any_of"
            return Fault("FIELD_INVALID", f"{where}.{name}.conditions", "is required")
    return None


def faults(query: Query) -> list[Fault]:
    """Everything that is wrong with the single conditions of a query."""
    return [
        Fault(reason, f"{path}.{name}", description, _limit(condition) if reason == "LIST_TOO_LONG" else None)
        for path, condition in single_paths(query.conditions)
        for reason, name, description in _condition_faults(condition)
    ]


def _limit(condition: Single) -> int:
    return GROUPS_MAX if isinstance(condition, GroupCondition) else LIST_MAX


def _depth(path: str, root: str) -> int:
    """1 for a condition of the query itself."""
    below = path.removeprefix(root)
    return 1 + below.count(".all_of") + below.count(".any_of") + below.count(".not_of")


def _condition_faults(condition: Single) -> _Found:
    match condition:
        case IdentityCondition():
            found = _identity_faults(condition)
        case OwnershipCondition():
            found = _ownership_faults(condition)
        case FigureCondition():
            found = _business_faults(condition)
        case HoldingCondition():
            found = _holding_faults(condition)
        case ValueCondition():
            found = _value_faults(condition)
        case TagCondition():
            found = _tag_faults(condition)
        case GroupCondition():
            found = _group_faults(condition)
        case ContactCondition():
            found = _contact_faults(condition)
        case _:
            assert_never(condition)
    return found


def _identity_faults(condition: IdentityCondition) -> _Found:
    for name in ("age_min", "age_max"):
        yield from _number(name, getattr(condition, name), AGE_MAX)
    yield from _number("birthday_within_days", condition.birthday_within_days, YEAR_DAYS_MAX)
    yield from _ends("age_min", condition.age_min, condition.age_max)
    for name in ("customer_since_date", "id_expiry_date"):
        yield from _ends(f"{name}_min", getattr(condition, f"{name}_min"), getattr(condition, f"{name}_max"))
    for name in ("display_name_prefix", "id_type", "id_number", "mobile", "occupation"):
        if len(getattr(condition, name) or "") > TEXT_LENGTH_MAX:
            yield "FIELD_INVALID", name, f"has more than {TEXT_LENGTH_MAX} characters"
    yield from _list("residence_districts", condition.residence_districts)


def _ownership_faults(condition: OwnershipCondition) -> _Found:
    yield from _ends("since_date_min", condition.since_date_min, condition.since_date_max)
    yield from _number("days_without_contact_min", condition.days_without_contact_min, DAYS_MAX)
    if condition.manager_id and condition.unassigned:
        yield "CONDITION_CONTRADICTORY", "unassigned", "contradicts manager"


def _business_faults(condition: FigureCondition) -> _Found:
    yield from _figure_faults(condition.kind, condition.bounds, condition.spans)
    if condition.loan is not None:
        yield from _loan_faults(condition.loan)
    if condition.holds is False and (condition.loan or condition.bounds):
        yield "CONDITION_CONTRADICTORY", "holds", "contradicts what else is asked of what he has"


def _value_faults(condition: ValueCondition) -> _Found:
    yield from _figure_faults("value", condition.bounds, condition.spans)
    if condition.key is False and condition.key_reasons:
        yield "CONDITION_CONTRADICTORY", "key", "contradicts key_reasons"


def _tag_faults(condition: TagCondition) -> _Found:
    for name in ("all_of", "any_of", "none_of"):
        yield from _list(name, getattr(condition, name))
    yield from _exclusion(condition.all_of, condition.any_of, condition.none_of)


def _group_faults(condition: GroupCondition) -> _Found:
    for name in ("any_of", "none_of"):
        yield from _list(name, getattr(condition, name), GROUPS_MAX)
    yield from _exclusion((), condition.any_of, condition.none_of)


def _figure_faults(kind: str, bounds: Sequence[Bound], spans: Sequence[Span]) -> _Found:
    for bound in bounds:
        low_name, high_name = bound_fields(kind, bound)
        for name, end in ((low_name, bound.low), (high_name, bound.high)):
            if isinstance(end, int) and (described := _out_of_unit(bound.figure, end)):
                yield "FIELD_INVALID", name, described
        yield from _ends(low_name, bound.low, bound.high)
    for span in spans:
        named = span_of(kind, span)
        most = MONTHS_MAX if span.unit == "MONTHS" else DAYS_MAX
        for name, count in ((named.least, span.least), (named.most, span.most)):
            yield from _number(name, count, YEAR_DAYS_MAX if name in _YEAR_FIELDS else most)
        yield from _ends(span_field(kind, span), span.least, span.most)


def _out_of_unit(figure: str, value: int) -> str | None:
    """What is wrong with an end for a figure of its unit."""
    match unit_of(figure):
        case Unit.PERCENT:
            return None if 0 <= value <= 100 else "must be from 0 to 100"  # noqa: PLR2004 -- per cent
        case Unit.COUNT | Unit.DAYS:
            return "must not be negative" if value < 0 else None
        case Unit.LEVEL:
            least, most = _LEVELS[figure]
            return None if least <= value <= most else f"must be from {least} to {most}"
        case Unit.MONEY | Unit.DATE:
            return None


def _loan_faults(loan: LoanMatch) -> _Found:
    yield from _list("products", loan.products)
    yield from _number("due_within_days", loan.due_within_days, DAYS_MAX)
    yield from _number("next_due_within_days", loan.next_due_within_days, YEAR_DAYS_MAX)
    yield from _number("grade_changed_within_days", loan.grade_changed_within_days, DAYS_MAX)


def _holding_faults(condition: HoldingCondition) -> _Found:
    for name in ("all_of", "any_of", "none_of"):
        products = getattr(condition, name)
        yield from _list(f"{name}.categories", products.categories)
        yield from _list(f"{name}.products", products.products)
    every, some, none = condition.all_of, condition.any_of, condition.none_of
    for every_code, none_code in ((every.categories, none.categories), (every.products, none.products)):
        yield from _exclusion(every_code, (), none_code)
    # Whoever has a product has its category too, but which one that is, is not known here.
    if some and set(some.categories) <= set(none.categories) and set(some.products) <= set(none.products):
        yield "CONDITION_CONTRADICTORY", "none_of", "leaves nothing of any_of"
    yield from _number("count_min", condition.count_min, LIST_MAX)
    yield from _number("count_max", condition.count_max, LIST_MAX)
    yield from _ends("count_min", condition.count_min, condition.count_max)


def _contact_faults(condition: ContactCondition) -> _Found:
    for name in ("counts", "consents", "opt_outs", "rooms"):
        if len(getattr(condition, name)) > CONTACT_PARTS_MAX:
            yield "FIELD_INVALID", name, f"has more than {CONTACT_PARTS_MAX} values"
    for index, count in enumerate(condition.counts):
        path = f"counts[{index}]"
        if not 1 <= count.days <= YEAR_DAYS_MAX:
            yield "FIELD_INVALID", f"{path}.days", f"must be from 1 to {YEAR_DAYS_MAX}"
        for name, end in (("min", count.low), ("max", count.high)):
            if end is not None and end < 0:
                yield "FIELD_INVALID", f"{path}.{name}", "must not be negative"
        yield from _ends(f"{path}.min", count.low, count.high)
    for index, room in enumerate(condition.rooms):
        if not 0 < room.least <= LIST_MAX:
            yield "FIELD_INVALID", f"rooms[{index}].left_min", f"must be from 0 to {LIST_MAX}"
        if room.at is not None and room.at.year not in _YEARS:
            yield "FIELD_INVALID", f"rooms[{index}].contact_time", f"must lie in {_YEARS[0]} to {_YEARS[-1]}"
    yield from _number("refused_within_days", condition.refused_within_days, DAYS_MAX)
    yield from _list("last_campaigns", condition.last_campaign_ids)
    yield from _list("last_outcomes", condition.last_outcomes)


def _number(name: str, value: int | None, most: int) -> _Found:
    if value is not None and not 0 <= value <= most:
        yield "FIELD_INVALID", name, f"must be from 0 to {most}"


def _ends(name: str, low: int | date | None, high: int | date | None) -> _Found:
    match low, high:
        case (int(), int()) | (date(), date()) if low > high:  # pyright: ignore[reportOperatorIssue] -- of one type
            yield "RANGE_EMPTY", name, "lies above the upper end"
        case _:
            return


def _list(name: str, values: Sequence[str], most: int = LIST_MAX) -> _Found:
    if len(values) > most:
        yield "LIST_TOO_LONG", name, f"has more than {most} values"


def _exclusion(every: Sequence[str], some: Sequence[str], none: Sequence[str]) -> _Found:
    both = sorted(set(every) & set(none))
    if both:
        yield "CONDITION_CONTRADICTORY", "none_of", f"excludes {both[0]}, which all_of asks for"
    if some and set(some) <= set(none):
        yield "CONDITION_CONTRADICTORY", "none_of", "leaves nothing of any_of"
