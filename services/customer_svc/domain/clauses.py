"""A query as clauses that any language can say: what each condition asks, with values that know what they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import assert_never

from services.customer_svc.domain.conditions import (
    Bound,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    OwnershipCondition,
    Permission,
    ProductSet,
    Single,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.field_names import bound_name, span_of
from services.customer_svc.domain.figures import Unit, unit_of


@dataclass(frozen=True)
class Money:
    minor: int


@dataclass(frozen=True)
class Percent:
    number: int


@dataclass(frozen=True)
class Days:
    number: int


@dataclass(frozen=True)
class Months:
    number: int


@dataclass(frozen=True)
class Code:
    """A word of ours, which each language has a word for."""

    name: str


@dataclass(frozen=True)
class Quoted:
    """Somebody's own text."""

    text: str


@dataclass(frozen=True)
class About:
    """A channel and a category, of a consent or an opt-out; each may be ALL."""

    channel: str
    category: str


@dataclass(frozen=True)
class Listed:
    """Several values, of which one is meant, or all are."""

    values: tuple["Value", ...]
    every: bool = False


@dataclass(frozen=True)
class Ends:
    """A range, one end of which may be open."""

    low: "Value | None"
    high: "Value | None"


@dataclass(frozen=True)
class Inner:
    """Clauses that hold of one and the same thing."""

    clauses: tuple["Clause", ...]


Value = Money | Percent | Days | Months | Code | Quoted | About | Listed | Ends | Inner | str | int | date | datetime

# Over the whole bank, or at the viewer's own branch; None if that makes no difference.
_Where = bool | None


@dataclass(frozen=True)
class Clause:
    """What is asked: by a key that each language has a phrase for, with the values that the phrase names."""

    key: str
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    whole_bank: _Where = None


def clauses_of(condition: Single) -> tuple[Clause, ...]:
    """Everything that a condition asks, in a fixed order."""
    match condition:
        case IdentityCondition():
            found = _identity(condition)
        case OwnershipCondition():
            found = _ownership(condition)
        case FigureCondition():
            found = _business(condition)
        case HoldingCondition():
            found = _holding(condition)
        case ValueCondition():
            found = _value(condition)
        case TagCondition():
            found = _sets("tag", condition.all_of, condition.any_of, condition.none_of)
        case GroupCondition():
            found = _sets("group", (), condition.any_of, condition.none_of)
        case ContactCondition():
            found = _contact(condition)
        case _:
            assert_never(condition)
    return tuple(found)


def _identity(condition: IdentityCondition) -> Iterator[Clause]:
    for name in ("display_name_prefix", "id_type", "id_number", "mobile", "occupation"):
        if text := getattr(condition, name):
            yield Clause(f"identity.{name}", {"value": Quoted(text)})
    for name in ("sex", "customer_type"):
        if code := getattr(condition, name):
            yield Clause(f"identity.{name}", {"value": Code(code)})
    if condition.residence_districts:
        yield Clause("identity.residence_districts", {"value": _quoted(condition.residence_districts)})
    yield from _between("identity.age", condition.age_min, condition.age_max)
    if condition.birthday_within_days is not None:
        yield Clause("identity.birthday_within_days", {"value": Days(condition.birthday_within_days)})
    for name in ("id_expiry_date", "customer_since_date"):
        yield from _between(f"identity.{name}", getattr(condition, f"{name}_min"), getattr(condition, f"{name}_max"))


def _ownership(condition: OwnershipCondition) -> Iterator[Clause]:
    rows = tuple(_row(condition))
    if rows:
        yield Clause("ownership", {"value": Inner(rows)})
    if condition.days_without_contact_min is not None:
        yield Clause("ownership.days_without_contact", {"value": Days(condition.days_without_contact_min)})


def _row(condition: OwnershipCondition) -> Iterator[Clause]:
    if condition.branch_id is not None:
        yield Clause(
            "ownership.with_subtree" if condition.with_subtree else "ownership.branch", {"value": condition.branch_id}
        )
    if condition.side is not None:
        yield Clause("ownership.side", {"value": Code(condition.side)})
    if condition.manager_id is not None:
        yield Clause("ownership.manager", {"value": condition.manager_id})
    if condition.unassigned:
        yield Clause("ownership.unassigned")
    yield from _between("ownership.since_date", condition.since_date_min, condition.since_date_max)


def _business(condition: FigureCondition) -> Iterator[Clause]:
    if condition.holds is not None:
        yield _flag(f"{condition.kind}.holds", condition.whole_bank, yes=condition.holds)
    yield from _figures(condition.kind, condition.bounds, condition.spans, condition.whole_bank)
    if condition.loan is not None:
        yield Clause("loan", {"value": Inner(tuple(_loan(condition.loan)))}, condition.whole_bank)


def _loan(loan: LoanMatch) -> Iterator[Clause]:
    if loan.products:
        yield Clause("loan.products", {"value": _quoted(loan.products)})
    for name in ("collaterals", "grades"):
        if codes := getattr(loan, name):
            yield Clause(f"loan.{name}", {"value": _coded(codes)})
    if loan.in_arrears is not None:
        yield _flag("loan.in_arrears", None, yes=loan.in_arrears)
    for name in ("due_within_days", "next_due_within_days", "grade_changed_within_days"):
        if (days := getattr(loan, name)) is not None:
            yield Clause(f"loan.{name}", {"value": Days(days)})


def _figures(kind: str, bounds: Sequence[Bound], spans: Sequence[Span], where: _Where) -> Iterator[Clause]:
    for bound in bounds:
        name, days = bound_name(kind, bound.figure)
        ends = Ends(_measured(bound.figure, bound.low), _measured(bound.figure, bound.high))
        over: dict[str, Value] = {} if days is None else {"days": Days(days)}
        yield Clause(f"{kind}.{name}", {"range": ends, **over}, where)
    for span in spans:
        named = span_of(kind, span)
        for name, count in ((named.least, span.least), (named.most, span.most)):
            if name and count is not None:
                value = Months(count) if span.unit == "MONTHS" else Days(count)
                yield Clause(f"{kind}.{name.removesuffix('_min')}", {"value": value}, where)


def _measured(figure: str, end: int | date | None) -> Value | None:
    match unit_of(figure), end:
        case Unit.MONEY, int():
            return Money(end)
        case Unit.PERCENT, int():
            return Percent(end)
        case Unit.DAYS, int():
            return Days(end)
        case _:
            return end


def _holding(condition: HoldingCondition) -> Iterator[Clause]:
    for name, products in (
        ("all_of", condition.all_of),
        ("any_of", condition.any_of),
        ("none_of", condition.none_of),
    ):
        if products:
            yield Clause(
                f"holding.{name}", {"value": _products(products, every=name == "all_of")}, condition.whole_bank
            )
    yield from _between("holding.count", condition.count_min, condition.count_max, condition.whole_bank)


def _products(products: ProductSet, *, every: bool) -> Listed:
    return Listed(tuple(Code(code) for code in (*products.categories, *products.products)), every)


def _value(condition: ValueCondition) -> Iterator[Clause]:
    yield from _figures("value", condition.bounds, condition.spans, None)
    if condition.key is not None:
        yield _flag("value.key", None, yes=condition.key)
    for name in ("key_reasons", "lifecycles"):
        if codes := getattr(condition, name):
            yield Clause(f"value.{name}", {"value": _coded(codes)})


def _sets(name: str, every: Sequence[str], some: Sequence[str], none: Sequence[str]) -> Iterator[Clause]:
    for which, codes in (("all_of", every), ("any_of", some), ("none_of", none)):
        if codes:
            values = tuple(Code(code) for code in codes)
            yield Clause(f"{name}.{which}", {"value": Listed(values, every=which == "all_of")})


def _contact(condition: ContactCondition) -> Iterator[Clause]:
    for count in condition.counts:
        channels = _coded(count.channels or ("ALL",))
        values: dict[str, Value] = {"channel": channels, "days": Days(count.days), "range": Ends(count.low, count.high)}
        yield Clause("contact.counts", values)
    if condition.last_campaign_ids:
        yield Clause("contact.last_campaigns", {"value": _quoted(condition.last_campaign_ids)})
    if condition.last_outcomes:
        yield Clause("contact.last_outcomes", {"value": _coded(condition.last_outcomes)})
    if condition.refused_within_days is not None:
        yield Clause("contact.refused_within_days", {"value": Days(condition.refused_within_days)})
    for name in ("consents", "opt_outs"):
        permissions: tuple[Permission, ...] = getattr(condition, name)
        if permissions:
            abouts = tuple(About(each.channel, each.category) for each in permissions)
            yield Clause(f"contact.{name}", {"value": Listed(abouts, every=True)})
    for room in condition.rooms:
        about = About(room.channel, room.category or "ALL")
        if room.at is None:
            yield Clause("contact.rooms", {"about": about, "value": room.least})
        else:
            yield Clause("contact.rooms.at", {"about": about, "value": room.least, "at": room.at})


def _between(key: str, low: int | date | None, high: int | date | None, where: _Where = None) -> Iterator[Clause]:
    if low is not None or high is not None:
        yield Clause(key, {"range": Ends(low, high)}, where)


def _flag(key: str, where: _Where, *, yes: bool) -> Clause:
    return Clause(key if yes else f"{key}.not", {}, where)


def _quoted(texts: Sequence[str]) -> Listed:
    return Listed(tuple(Quoted(text) for text in texts))


def _coded(codes: Sequence[str]) -> Listed:
    return Listed(tuple(Code(code) for code in codes))
