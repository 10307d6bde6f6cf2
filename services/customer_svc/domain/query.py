"""Queries on customers (domain.md 4): conditions with an order, as somebody asks them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from policy.visibility import Level, Scope
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    Not,
    OwnershipCondition,
    Single,
    TagCondition,
    ValueCondition,
)

CONDITIONS_MAX = 200
DEPTH_MAX = 10

OrderValue = str | int | date | None


class OrderField(StrEnum):
    """What found customers are ordered by."""

    CUSTOMER = "CUSTOMER"
    DISPLAY_NAME = "DISPLAY_NAME"
    CUSTOMER_SINCE = "CUSTOMER_SINCE"
    OWN_DEPOSIT_AVERAGE = "OWN_DEPOSIT_AVERAGE"
    TOTAL_DEPOSIT_AVERAGE = "TOTAL_DEPOSIT_AVERAGE"
    OWN_DEPOSIT_BALANCE = "OWN_DEPOSIT_BALANCE"
    TOTAL_DEPOSIT_BALANCE = "TOTAL_DEPOSIT_BALANCE"
    OWN_DEPOSIT_MONTH_AVERAGE = "OWN_DEPOSIT_MONTH_AVERAGE"
    TOTAL_DEPOSIT_MONTH_AVERAGE = "TOTAL_DEPOSIT_MONTH_AVERAGE"
    OWN_AUM = "OWN_AUM"
    TOTAL_AUM = "TOTAL_AUM"
    OWN_LOAN_OUTSTANDING = "OWN_LOAN_OUTSTANDING"
    TOTAL_LOAN_OUTSTANDING = "TOTAL_LOAN_OUTSTANDING"
    OWN_LOAN_OVERDUE_DAYS = "OWN_LOAN_OVERDUE_DAYS"
    TOTAL_LOAN_OVERDUE_DAYS = "TOTAL_LOAN_OVERDUE_DAYS"
    OWN_CARD_LIMIT = "OWN_CARD_LIMIT"
    TOTAL_CARD_LIMIT = "TOTAL_CARD_LIMIT"
    OWN_CARD_USED = "OWN_CARD_USED"
    TOTAL_CARD_USED = "TOTAL_CARD_USED"
    OWN_LAST_ACTIVE = "OWN_LAST_ACTIVE"
    TOTAL_LAST_ACTIVE = "TOTAL_LAST_ACTIVE"
    TIER = "TIER"
    TIER_GAP = "TIER_GAP"
    CONTRIBUTION = "CONTRIBUTION"
    BIRTH_DATE = "BIRTH_DATE"
    ID_EXPIRY = "ID_EXPIRY"
    RESIDENCE_DISTRICT = "RESIDENCE_DISTRICT"
    OCCUPATION = "OCCUPATION"
    RISK_RATING = "RISK_RATING"
    RISK_RATING_EXPIRY = "RISK_RATING_EXPIRY"
    LAST_CONTACT = "LAST_CONTACT"
    """By instants; all others by texts, numbers or days."""


@dataclass(frozen=True)
class OrderSource:
    """Where an order's value comes from: the field of the customer that it shows, and the column or figure."""

    seen: str
    column: str
    """A figure if `seen` is `own` or `total`; else a column of the customer, for LAST_CONTACT of his contact room."""
    kind: type[str | int | date]

    @property
    def is_own(self) -> bool:
        return self.seen == "own"


def _figure_orders(seen: str) -> dict[OrderField, OrderSource]:
    figures: dict[str, tuple[str, type[int | date]]] = {
        "DEPOSIT_AVERAGE": ("deposit_average_minor", int),
        "DEPOSIT_BALANCE": ("deposit_balance_minor", int),
        "DEPOSIT_MONTH_AVERAGE": ("deposit_month_average_minor", int),
        "AUM": ("aum_minor", int),
        "LOAN_OUTSTANDING": ("loan_outstanding_minor", int),
        "LOAN_OVERDUE_DAYS": ("loan_overdue_days", int),
        "CARD_LIMIT": ("card_limit_minor", int),
        "CARD_USED": ("card_used_minor", int),
        "LAST_ACTIVE": ("last_active_date", date),
    }
    return {
        OrderField(f"{seen.upper()}_{name}"): OrderSource(seen, figure, kind)
        for name, (figure, kind) in figures.items()
    }


ORDERS: Mapping[OrderField, OrderSource] = MappingProxyType(
    {
        OrderField.CUSTOMER: OrderSource("", "customer_id", str),
        OrderField.DISPLAY_NAME: OrderSource("display_name", "display_name", str),
        OrderField.CUSTOMER_SINCE: OrderSource("customer_since_date", "customer_since_date", date),
        OrderField.BIRTH_DATE: OrderSource("birth_date", "birth_date", date),
        OrderField.ID_EXPIRY: OrderSource("id_expiry_date", "id_expiry_date", date),
        OrderField.RESIDENCE_DISTRICT: OrderSource("residence_district", "residence_district", str),
        OrderField.OCCUPATION: OrderSource("occupation", "occupation", str),
        OrderField.TIER: OrderSource("value", "tier", int),
        OrderField.TIER_GAP: OrderSource("value", "tier_gap_minor", int),
        OrderField.CONTRIBUTION: OrderSource("value", "contribution_minor", int),
        OrderField.RISK_RATING: OrderSource("risk_rating", "risk_rating", int),
        OrderField.RISK_RATING_EXPIRY: OrderSource("risk_rating", "risk_rating_expiry_date", date),
        OrderField.LAST_CONTACT: OrderSource("contacts", "last_contact_time", datetime),
        **_figure_orders("own"),
        **_figure_orders("total"),
    }
)
assert set(ORDERS) == set(OrderField)


class Facet(StrEnum):
    """By what customers are counted."""

    BRANCH = "BRANCH"
    """The branch that `own` means for each."""
    CLASS = "CLASS"
    """DEPOSIT, LOAN, CARD by what he has anywhere, KEY by the key mark."""
    TAG = "TAG"
    TIER = "TIER"


FACET_FIELDS: Mapping[Facet, tuple[str, ...]] = MappingProxyType(
    {Facet.BRANCH: ("own",), Facet.CLASS: ("total", "key_mark"), Facet.TAG: ("tags",), Facet.TIER: ("value",)}
)
"""The fields of a customer that a facet tells of."""
PARTITIONS = frozenset({Facet.BRANCH, Facet.TIER})
"""Facets of which a customer has at most one value."""


@dataclass(frozen=True)
class Order:
    """An order of customers; the id breaks ties in the same direction, and who lacks the value comes last in both."""

    field: OrderField = OrderField.CUSTOMER
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """All conditions must hold."""

    conditions: tuple[Condition, ...] = ()
    order: Order = Order()


@dataclass(frozen=True)
class Fault:
    """What is wrong with a query, at which field of the request."""

    reason: str
    field: str
    description: str
    limit: int | None = None
    """The limit that was broken, if it is one."""


@dataclass(frozen=True)
class Reach:
    """Whom a query may reach: customers of whom the viewer sees every field that it names anywhere."""

    least: Level
    confined: bool
    """It uses what only the primary side sees, which leaves out customers whom the viewer sees otherwise.

    The answer says so.
    """
    open_conditions: tuple[Condition, ...]
    """Its conditions without those that confine it, or that hold one which does at whatever depth."""
    open_least: Level
    """What these alone reach."""


@dataclass(frozen=True)
class Asked:
    """A query as one viewer asks it on one business date, at one instant."""

    query: Query
    reach: Reach
    scope: Scope
    day: date
    now: datetime | None = None
    """Set by use cases; conditions that look at it carry it themselves."""


@dataclass(frozen=True)
class Position:
    """Where a customer stands in an order: his value, None if he lacks it, and his id."""

    value: OrderValue
    customer_id: str


def class_of(condition: Single) -> str:
    """What requests call the class of a condition."""
    match condition:
        case FigureCondition():
            return condition.kind
        case _:
            return _CLASSES[type(condition)]


def walk(conditions: Sequence[Condition], path: str = "conditions") -> Iterator[tuple[str, Condition]]:
    """All conditions with their paths as the request has them, an outer one before those inside it."""
    for index, condition in enumerate(conditions):
        yield from _walk(condition, f"{path}[{index}]")


def single_paths(conditions: Sequence[Condition]) -> Iterator[tuple[str, Single]]:
    """The single conditions with their paths, such as `conditions[0].any_of.conditions[3].loan`."""
    for path, condition in walk(conditions):
        if not isinstance(condition, AllOf | AnyOf | Not):
            yield f"{path}.{class_of(condition)}", condition


def with_singles(conditions: Sequence[Condition], change: Callable[[Single], Single]) -> tuple[Condition, ...]:
    """The same conditions, combined in the same way, each single one as `change` gives it back."""
    return tuple(_changed(condition, change) for condition in conditions)


def _changed(condition: Condition, change: Callable[[Single], Single]) -> Condition:
    match condition:
        case AllOf(parts):
            return AllOf(with_singles(parts, change))
        case AnyOf(parts):
            return AnyOf(with_singles(parts, change))
        case Not(part):
            return Not(_changed(part, change))
        case _:
            return change(condition)


def _walk(condition: Condition, path: str) -> Iterator[tuple[str, Condition]]:
    yield path, condition
    match condition:
        case AllOf(parts):
            yield from walk(parts, f"{path}.all_of.conditions")
        case AnyOf(parts):
            yield from walk(parts, f"{path}.any_of.conditions")
        case Not(part):
            yield from _walk(part, f"{path}.not_of")
        case _:
            return


_CLASSES: Mapping[type[Condition], str] = MappingProxyType(
    {
        IdentityCondition: "identity",
        OwnershipCondition: "ownership",
        HoldingCondition: "holding",
        ValueCondition: "value",
        TagCondition: "tag",
        GroupCondition: "group",
        ContactCondition: "contact",
    }
)
