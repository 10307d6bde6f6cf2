"""Conditions from the wire, each of their fields by its name in the tables of domain/figures.py."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from banyan.customer.v1 import customer_codes_pb2, customer_pb2
from banyan.customer.v1 import customer_condition_pb2 as pb
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from chassis import names, wire
from chassis.errors import invalid_field
from chassis.money import money_from_wire
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    Condition,
    FigureCondition,
    FigureKind,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    Not,
    OwnershipCondition,
    ProductSet,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.figures import RANGES, SPANS, SUM_DAYS, SUMS
from services.customer_svc.domain.viewing import Side
from services.customer_svc.rpc import convert_contacts

_SIDES: dict[int, Side] = {customer_pb2.SIDE_PRIMARY: "PRIMARY", customer_pb2.SIDE_SECONDARY: "SECONDARY"}


_Business = pb.DepositCondition | pb.LoanCondition | pb.CardCondition | pb.BehaviourCondition
_NameOf = Callable[[Any], str]


def conditions_from_wire(
    sent: Sequence[pb.CustomerCondition], currency: str, path: str = "conditions"
) -> tuple[Condition, ...]:
    """Conditions in their order, those inside them too. Refuses one that carries nothing."""
    return tuple(_condition(condition, f"{path}[{index}]", currency) for index, condition in enumerate(sent))


def _condition(sent: pb.CustomerCondition, path: str, currency: str) -> Condition:
    match name := sent.WhichOneof("condition"):
        case "all_of":
            return AllOf(conditions_from_wire(sent.all_of.conditions, currency, f"{path}.all_of.conditions"))
        case "any_of":
            return AnyOf(conditions_from_wire(sent.any_of.conditions, currency, f"{path}.any_of.conditions"))
        case "not_of":
            return Not(_condition(sent.not_of, f"{path}.not_of", currency))
        case None:
            raise invalid_field(path, "must carry a condition")
        case _:
            return _SINGLES[name](getattr(sent, name), f"{path}.{name}", currency)


def _identity(sent: pb.IdentityCondition, path: str, _currency: str) -> IdentityCondition:
    return IdentityCondition(
        display_name_prefix=sent.display_name_prefix or None,
        id_type=sent.id_type or None,
        id_number=sent.id_number or None,
        mobile=sent.mobile or None,
        sex=_code(customer_pb2.Sex.Name, sent.sex, "SEX_"),
        age_min=_number(sent, "age_min"),
        age_max=_number(sent, "age_max"),
        birthday_within_days=_number(sent, "birthday_within_days"),
        residence_districts=tuple(sent.residence_districts),
        occupation=sent.occupation or None,
        customer_type=_code(customer_pb2.CustomerType.Name, sent.customer_type, "CUSTOMER_TYPE_"),
        id_expiry_date_min=_day(sent.id_expiry_date_min, f"{path}.id_expiry_date_min"),
        id_expiry_date_max=_day(sent.id_expiry_date_max, f"{path}.id_expiry_date_max"),
        customer_since_date_min=_day(sent.customer_since_date_min, f"{path}.customer_since_date_min"),
        customer_since_date_max=_day(sent.customer_since_date_max, f"{path}.customer_since_date_max"),
    )


def _ownership(sent: pb.OwnershipCondition, path: str, _currency: str) -> OwnershipCondition:
    return OwnershipCondition(
        branch_id=names.parse_optional("branches", sent.branch, f"{path}.branch"),
        with_subtree=sent.with_subtree,
        side=_SIDES.get(sent.side),
        manager_id=names.parse_optional("staff", sent.manager, f"{path}.manager"),
        unassigned=sent.unassigned,
        since_date_min=_day(sent.since_date_min, f"{path}.since_date_min"),
        since_date_max=_day(sent.since_date_max, f"{path}.since_date_max"),
        days_without_contact_min=_number(sent, "days_without_contact_min"),
    )


def _business(kind: FigureKind) -> Callable[[Any, str, str], FigureCondition]:
    def convert(sent: _Business, path: str, currency: str) -> FigureCondition:
        bounds = _bounds(sent, kind, path, currency)
        return FigureCondition(
            kind,
            whole_bank=_is_of_whole_bank(sent),
            bounds=bounds + (_sums(sent, path, currency) if isinstance(sent, pb.BehaviourCondition) else ()),
            spans=_spans(sent, kind),
            holds=None if isinstance(sent, pb.BehaviourCondition) else _flag(sent, "holds"),
            loan=_loan(sent) if isinstance(sent, pb.LoanCondition) else None,
        )

    return convert


def _loan(sent: pb.LoanCondition) -> LoanMatch | None:
    wanted = LoanMatch(
        products=tuple(sent.products),
        collaterals=_codes(customer_codes_pb2.Collateral.Name, sent.collaterals, "COLLATERAL_"),
        grades=_codes(customer_codes_pb2.LoanGrade.Name, sent.grades, "LOAN_GRADE_"),
        in_arrears=_flag(sent, "in_arrears"),
        due_within_days=_number(sent, "due_within_days"),
        next_due_within_days=_number(sent, "next_due_within_days"),
        grade_changed_within_days=_number(sent, "grade_changed_within_days"),
    )
    return wanted if wanted != LoanMatch() else None


def _holding(sent: pb.HoldingCondition, _path: str, _currency: str) -> HoldingCondition:
    def products(few: pb.ProductSet) -> ProductSet:
        return ProductSet(tuple(few.categories), tuple(few.products))

    return HoldingCondition(
        whole_bank=_is_of_whole_bank(sent),
        all_of=products(sent.all_of),
        any_of=products(sent.any_of),
        none_of=products(sent.none_of),
        count_min=_number(sent, "count_min"),
        count_max=_number(sent, "count_max"),
    )


def _value(sent: pb.ValueCondition, path: str, currency: str) -> ValueCondition:
    return ValueCondition(
        bounds=_bounds(sent, "value", path, currency),
        spans=_spans(sent, "value"),
        key=_flag(sent, "key"),
        key_reasons=_codes(customer_codes_pb2.KeyReason.Name, sent.key_reasons, "KEY_REASON_"),
        lifecycles=_codes(customer_codes_pb2.Lifecycle.Name, sent.lifecycles, "LIFECYCLE_"),
    )


def _tag(sent: pb.TagCondition, _path: str, _currency: str) -> TagCondition:
    return TagCondition(tuple(sent.all_of), tuple(sent.any_of), tuple(sent.none_of))


def _group(sent: pb.GroupCondition, path: str, _currency: str) -> GroupCondition:
    def ids(group_names: Iterable[str], field: str) -> tuple[str, ...]:
        return tuple(
            names.parse_one("customerGroups", name, f"{path}.{field}[{index}]")
            for index, name in enumerate(group_names)
        )

    return GroupCondition(ids(sent.any_of, "any_of"), ids(sent.none_of, "none_of"))


def _bounds(sent: Message, kind: str, path: str, currency: str) -> tuple[Bound, ...]:
    found = [
        Bound(
            figure,
            _end(sent, f"{name}_min", f"{path}.{name}_min", currency),
            _end(sent, f"{name}_max", f"{path}.{name}_max", currency),
        )
        for name, figure in RANGES[kind].items()
    ]
    return _asking(found)


def _sums(sent: pb.BehaviourCondition, path: str, currency: str) -> tuple[Bound, ...]:
    found: list[Bound] = []
    for name, figures in SUMS.items():
        if not sent.HasField(name):
            continue
        summed: Any = getattr(sent, name)
        if summed.days not in SUM_DAYS:
            kept = " or ".join(str(days) for days in SUM_DAYS)
            raise invalid_field(f"{path}.{name}.days", f"must be {kept}: sums over other spans are not kept")
        low, high = (_end(summed, end, f"{path}.{name}.{end}", currency) for end in ("min", "max"))
        found.append(Bound(figures[summed.days], low, high))
    return _asking(found)


def _asking(bounds: Iterable[Bound]) -> tuple[Bound, ...]:
    return tuple(bound for bound in bounds if bound.low is not None or bound.high is not None)


def _spans(sent: Message, kind: str) -> tuple[Span, ...]:
    found: list[Span] = []
    for field in SPANS[kind]:
        least = _number(sent, field.least) if field.least else None
        most = _number(sent, field.most) if field.most else None
        if least is None and most is None:
            continue
        first = least if field.least else 0
        found.append(Span(field.figure, first, most, field.ahead, "MONTHS" if field.months else "DAYS"))
    return tuple(found)


def _end(sent: Message, name: str, path: str, currency: str) -> int | date | None:
    if not sent.HasField(name):
        return None
    match value := getattr(sent, name):
        case Money():
            return money_from_wire(value, currency, path)
        case Date():
            return _day(value, path)
        case _:
            return int(value)


def _is_of_whole_bank(sent: _Business | pb.HoldingCondition) -> bool:
    return sent.scope == pb.DepositCondition.SCOPE_TOTAL


def _number(sent: Message, name: str) -> int | None:
    return getattr(sent, name) if sent.HasField(name) else None


def _flag(sent: Message, name: str) -> bool | None:
    return getattr(sent, name) if sent.HasField(name) else None


def _day(sent: Date, field: str) -> date | None:
    return wire.date_from_wire_or_none(sent, field)


def _code(name_of: _NameOf, number: int, prefix: str) -> str | None:
    return name_of(number).removeprefix(prefix) if number else None


def _codes(name_of: _NameOf, numbers: Iterable[int], prefix: str) -> tuple[str, ...]:
    return tuple(name_of(number).removeprefix(prefix) for number in numbers)


_SINGLES: dict[str, Callable[[Any, str, str], Condition]] = {
    "identity": _identity,
    "ownership": _ownership,
    "deposit": _business("deposit"),
    "loan": _business("loan"),
    "card": _business("card"),
    "behaviour": _business("behaviour"),
    "holding": _holding,
    "value": _value,
    "tag": _tag,
    "group": _group,
    "contact": convert_contacts.contact_from_wire,
}
