"""Queries on customers (domain.md 4, Q1 to Q3): their conditions, what is wrong with them, and whom they may reach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from policy.visibility import NAMING_FIELDS, CountScope, Level, Scope, Side, least_level

CONDITIONS_MAX = 20
DISTRICTS_MAX = 100
PREFIX_LENGTH_MAX = 100
DAYS_MAX = 366
AGE_MAX = 150


@dataclass(frozen=True)
class IdentityCondition:
    """Q1: every field that is set must hold."""

    display_name_prefix: str | None = None
    id_number: str | None = None
    mobile: str | None = None
    sex: str | None = None
    age_min: int | None = None
    age_max: int | None = None
    birthday_within_days: int | None = None
    residence_districts: tuple[str, ...] = ()
    occupation: str | None = None
    customer_type: str | None = None
    id_expiry_date_max: date | None = None
    customer_since_date_min: date | None = None
    customer_since_date_max: date | None = None


@dataclass(frozen=True)
class OwnershipCondition:
    """Q2: every field that is set must hold for one and the same row; only rows that the viewer sees are looked at."""

    branch_id: str | None = None
    with_subtree: bool = False
    branch_ids: frozenset[str] | None = None
    """What `branch_id` and `with_subtree` come to; filled in where the tree of branches is known."""
    side: Side | None = None
    manager_id: str | None = None
    unassigned: bool = False
    since_date_min: date | None = None
    since_date_max: date | None = None

    @property
    def sides_only(self) -> bool:
        """It asks for no more than which branch has which side, as a secondary side may know of the primary's."""
        return not (self.manager_id or self.unassigned or self.since_date_min or self.since_date_max)


@dataclass(frozen=True)
class DepositCondition:
    """Q3: every field that is set must hold, over the whole bank or at the viewer's own branch."""

    whole_bank: bool = False
    balance_min_minor: int | None = None
    balance_max_minor: int | None = None
    average_min_minor: int | None = None
    average_max_minor: int | None = None
    time_deposit_due_within_days: int | None = None


Condition = IdentityCondition | OwnershipCondition | DepositCondition
OrderValue = str | int | date | None


class OrderField(StrEnum):
    """What found customers are ordered by."""

    CUSTOMER = "CUSTOMER"
    DISPLAY_NAME = "DISPLAY_NAME"
    CUSTOMER_SINCE = "CUSTOMER_SINCE"
    OWN_DEPOSIT_AVERAGE = "OWN_DEPOSIT_AVERAGE"
    TOTAL_DEPOSIT_AVERAGE = "TOTAL_DEPOSIT_AVERAGE"


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


@dataclass(frozen=True)
class Reach:
    """Whom a query may reach: customers of whom the viewer sees every field that it names."""

    least: Level
    confined: bool
    """It uses `total.*`, which leaves out customers whom the viewer sees otherwise; the answer says so."""
    open_conditions: tuple[Condition, ...]
    """Its conditions without those on `total.*`."""
    open_least: Level
    """What these alone reach."""


@dataclass(frozen=True)
class Asked:
    """A query as one viewer asks it on one business date."""

    query: Query
    reach: Reach
    scope: Scope
    day: date


@dataclass(frozen=True)
class Position:
    """Where a customer stands in an order: his value, None if he lacks it, and his id."""

    value: OrderValue
    customer_id: str


_ORDER_FIELDS = {
    OrderField.CUSTOMER: (),
    OrderField.DISPLAY_NAME: ("display_name",),
    OrderField.CUSTOMER_SINCE: ("customer_since_date",),
    OrderField.OWN_DEPOSIT_AVERAGE: ("own",),
    OrderField.TOTAL_DEPOSIT_AVERAGE: ("total",),
}
_IDENTITY_FIELDS = {
    "display_name_prefix": "display_name",
    "id_number": "id_number",
    "mobile": "mobile",
    "sex": "sex",
    "age_min": "birth_date",
    "age_max": "birth_date",
    "birthday_within_days": "birth_date",
    "residence_districts": "residence_district",
    "occupation": "occupation",
    "customer_type": "customer_type",
    "id_expiry_date_max": "id_expiry_date",
    "customer_since_date_min": "customer_since_date",
    "customer_since_date_max": "customer_since_date",
}


def reach_of(query: Query, *, everyone: bool) -> Reach:
    """Whom a query may reach, also without the parts that confine it; who sees everyone is never confined."""
    if everyone:
        return Reach(Level.EXISTENCE, confined=False, open_conditions=(), open_least=Level.EXISTENCE)
    named = [*_seen_fields(query.conditions), *_ORDER_FIELDS[query.order.field]]
    opened = tuple(condition for condition in query.conditions if not _is_of_whole_bank(condition))
    open_least = least_level(_seen_fields(opened))
    return Reach(least_level(named), "total" in named, opened, open_least)


def naming_fields(query: Query) -> list[str]:
    """The fields of a query that point at one person: to count by them is to look somebody up."""
    pairs = [pair for index, condition in enumerate(query.conditions) for pair in _fields(index, condition)]
    return [path for path, seen in pairs if seen in NAMING_FIELDS]


def forbidden(query: Query, reach: CountScope) -> Fault | None:
    """The first field of a query that the viewer never sees of anybody, or that points at one person."""
    named = [pair for index, condition in enumerate(query.conditions) for pair in _fields(index, condition)]
    named += [("order.field", seen) for seen in _ORDER_FIELDS[query.order.field]]
    for path, seen in named:
        ownerless = seen == "own" and reach.scope.everyone and not path.endswith("ownership")
        pointing = seen in NAMING_FIELDS and reach.names_nobody
        if pointing or ownerless or least_level([seen]) > reach.scope.best:
            return Fault("FIELD_FORBIDDEN", path, "is a field that you never see")
    return None


def faults(query: Query) -> list[Fault]:
    """Everything that is wrong with a query whoever asks it."""
    found: list[Fault] = []
    for index, condition in enumerate(query.conditions):
        for name, reason, description in _condition_faults(condition):
            found.append(Fault(reason, f"conditions[{index}].{name}", description))
    return found


def _fields(index: int, condition: Condition) -> Iterator[tuple[str, str]]:
    """The request's fields that a condition sets, each with the field of the customer that it looks at."""
    match condition:
        case IdentityCondition():
            for name, seen in _IDENTITY_FIELDS.items():
                if getattr(condition, name) not in {None, ()}:
                    yield f"conditions[{index}].identity.{name}", seen
        case OwnershipCondition():
            # Rows that open the customer are seen from the secondary side up, as `own` is.
            yield f"conditions[{index}].ownership", "own"
        case DepositCondition():
            yield f"conditions[{index}].deposit", "total" if condition.whole_bank else "own"


def _seen_fields(conditions: Sequence[Condition]) -> list[str]:
    return [seen for index, condition in enumerate(conditions) for _, seen in _fields(index, condition)]


def _is_of_whole_bank(condition: Condition) -> bool:
    return isinstance(condition, DepositCondition) and condition.whole_bank


def _condition_faults(condition: Condition) -> Iterator[tuple[str, str, str]]:
    match condition:
        case IdentityCondition():
            yield from _identity_faults(condition)
        case OwnershipCondition():
            yield from _range_faults(condition, "ownership", ["since_date"])
            if condition.manager_id and condition.unassigned:
                yield "ownership.unassigned", "FIELD_INVALID", "contradicts manager"
        case DepositCondition():
            yield from _range_faults(condition, "deposit", ["balance", "average"], "_minor")
            yield from _number_faults(condition, "deposit", {"time_deposit_due_within_days": DAYS_MAX})


def _identity_faults(condition: IdentityCondition) -> Iterator[tuple[str, str, str]]:
    numbers = {"age_min": AGE_MAX, "age_max": AGE_MAX, "birthday_within_days": DAYS_MAX}
    yield from _number_faults(condition, "identity", numbers)
    yield from _range_faults(condition, "identity", ["age", "customer_since_date"])
    if len(condition.display_name_prefix or "") > PREFIX_LENGTH_MAX:
        yield "identity.display_name_prefix", "FIELD_INVALID", f"has more than {PREFIX_LENGTH_MAX} characters"
    if len(condition.residence_districts) > DISTRICTS_MAX:
        yield "identity.residence_districts", "FIELD_INVALID", f"has more than {DISTRICTS_MAX} values"


def _number_faults(condition: Condition, prefix: str, limits: dict[str, int]) -> Iterator[tuple[str, str, str]]:
    for name, limit in limits.items():
        value: int | None = getattr(condition, name)
        if value is not None and not 0 <= value <= limit:
            yield f"{prefix}.{name}", "FIELD_INVALID", f"must be from 0 to {limit}"


def _range_faults(
    condition: Condition, prefix: str, names: Sequence[str], unit: str = ""
) -> Iterator[tuple[str, str, str]]:
    for name in names:
        low, high = getattr(condition, f"{name}_min{unit}"), getattr(condition, f"{name}_max{unit}")
        if low is not None and high is not None and low > high:
            yield f"{prefix}.{name}_min", "RANGE_EMPTY", f"lies above {prefix}.{name}_max"
