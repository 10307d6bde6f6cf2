"""The ten classes of conditions on customers (domain.md 4) as values, and how they combine.

Every field of a condition that is set must hold. What is unknown of a customer fulfils no condition; `Not` turns that
round, so that "not at least 5" reaches him whose number is unknown. `own` is the viewer's own branch of the customer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from policy.visibility import Level, Side
from services.customer_svc.domain.calendar import months_before
from services.customer_svc.domain.contact_room import ContactPolicy

FigureKind = Literal["deposit", "loan", "card", "behaviour"]
DEFAULT_MESSAGE_CLASS = "MARKETING"


@dataclass(frozen=True)
class Bound:
    """A figure lies between two ends, both included; an end that is None is open.

    The figure is one of domain/figures.py, stored or computed there from stored ones.
    """

    figure: str
    low: int | date | None = None
    high: int | date | None = None


@dataclass(frozen=True)
class Span:
    """A figure that is a day lies so many days from the business date, both ends included.

    `ahead` looks forward: 0 to 30 days from now on; otherwise back: 30 to 60 days ago. An end that is None is open.
    """

    figure: str
    least: int | None = None
    most: int | None = None
    ahead: bool = False
    unit: Literal["DAYS", "MONTHS"] = "DAYS"
    """Months are calendar months, and only looked back at."""

    def on(self, day: date) -> Bound:
        """The same as days of the calendar, on a business date."""
        near, far = self._day(day, self.least), self._day(day, self.most)
        return Bound(self.figure, near, far) if self.ahead else Bound(self.figure, far, near)

    def _day(self, day: date, count: int | None) -> date | None:
        if count is None:
            return None
        if self.unit == "MONTHS":
            return months_before(day, count)
        return day + timedelta(days=count if self.ahead else -count)


@dataclass(frozen=True)
class IdentityCondition:
    """Q1: who he is."""

    display_name_prefix: str | None = None
    """Plain text: whatever it contains is looked for as it stands."""
    id_type: str | None = None
    id_number: str | None = None
    id_number_hashes: tuple[bytes, ...] = ()
    """What `id_number` may be stored as; filled in where the keys are known. Without them nobody is found."""
    mobile: str | None = None
    mobile_hashes: tuple[bytes, ...] = ()
    """What `mobile` may be stored as."""
    sex: str | None = None
    age_min: int | None = None
    age_max: int | None = None
    birthday_within_days: int | None = None
    residence_districts: tuple[str, ...] = ()
    occupation: str | None = None
    customer_type: str | None = None
    id_expiry_date_min: date | None = None
    id_expiry_date_max: date | None = None
    customer_since_date_min: date | None = None
    customer_since_date_max: date | None = None


@dataclass(frozen=True)
class OwnershipCondition:
    """Q2: who owns him; for one and the same row of those that the viewer sees. Contacts are the customer's."""

    branch_id: str | None = None
    with_subtree: bool = False
    branch_ids: frozenset[str] | None = None
    """What `branch_id` and `with_subtree` come to; filled in where the tree of branches is known."""
    side: Side | None = None
    manager_id: str | None = None
    unassigned: bool = False
    since_date_min: date | None = None
    since_date_max: date | None = None
    days_without_contact_min: int | None = None
    """No contact in the last so many times 24 hours before `now`, or none ever."""
    now: datetime | None = None
    """When the query is asked; filled in when it is, if something looks at it."""

    @property
    def names_row(self) -> bool:
        """It asks something of a row."""
        return bool(self.branch_id or self.side or not self.sides_only)

    @property
    def sides_only(self) -> bool:
        """Of a row it asks no more than which branch has which side, as a secondary side may know of the primary's."""
        return not (self.manager_id or self.unassigned or self.since_date_min or self.since_date_max)


@dataclass(frozen=True)
class LoanMatch:
    """What one and the same live loan must be: at the viewer's own branch, or at any, as its condition says."""

    products: tuple[str, ...] = ()
    collaterals: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    in_arrears: bool | None = None
    due_within_days: int | None = None
    next_due_within_days: int | None = None
    grade_changed_within_days: int | None = None


@dataclass(frozen=True)
class FigureCondition:
    """Q3, Q4, Q5, Q7: figures of his business, over the whole bank or at the viewer's own branch."""

    kind: FigureKind
    whole_bank: bool = False
    bounds: tuple[Bound, ...] = ()
    spans: tuple[Span, ...] = ()
    holds: bool | None = None
    """He has an open account, a live loan, a live card (by kind; figures.COUNTED), or has none; not for behaviour."""
    loan: LoanMatch | None = None
    """Only for loans."""


@dataclass(frozen=True)
class ProductSet:
    """Categories and single products, by their codes."""

    categories: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.categories or self.products)


@dataclass(frozen=True)
class HoldingCondition:
    """Q6: what he holds and has signed up for, open on the business date: all of, any of, none of, and how many."""

    whole_bank: bool = False
    all_of: ProductSet = ProductSet()
    any_of: ProductSet = ProductSet()
    none_of: ProductSet = ProductSet()
    count_min: int | None = None
    """Different categories held; who holds nothing has 0."""
    count_max: int | None = None


@dataclass(frozen=True)
class ValueCondition:
    """Q8: his tier and value, columns of the customer himself (figures.VALUES), so of the whole bank."""

    bounds: tuple[Bound, ...] = ()
    spans: tuple[Span, ...] = ()
    key: bool | None = None
    """He is a key customer, for whatever reason, or is none."""
    key_reasons: tuple[str, ...] = ()
    lifecycles: tuple[str, ...] = ()


@dataclass(frozen=True)
class TagCondition:
    """Q9: codes of tags that he bears: all of, any of, none of them."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupCondition:
    """Q9: saved groups that he is in, as they were last built: one of them, none of them."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    least: Level | None = None
    """What one must see of a customer to know that he is in them; filled in where the groups are known."""


@dataclass(frozen=True)
class ContactCount:
    """How many counting contacts he had in the last `days` times 24 hours before `now`; no channels mean all."""

    days: int
    channels: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Permission:
    """A channel and a category of products, each of them perhaps ALL, that a consent or an opt-out speaks of."""

    channel: str
    category: str = "ALL"


@dataclass(frozen=True)
class RoomLeft:
    """At least so many more contacts fit at an instant under the policy in force (policy/contact_room.py)."""

    channel: str
    least: int = 1
    category: str | None = None
    message_class: str = DEFAULT_MESSAGE_CLASS
    at: datetime | None = None
    """None means `now` of the condition."""


@dataclass(frozen=True)
class ContactCondition:
    """Q10: how he was contacted, and how he may still be."""

    counts: tuple[ContactCount, ...] = ()
    last_campaign_ids: tuple[str, ...] = ()
    last_outcomes: tuple[str, ...] = ()
    refused_within_days: int | None = None
    consents: tuple[Permission, ...] = ()
    """Each is granted, by itself or by a wider one, and neither is withdrawn."""
    opt_outs: tuple[Permission, ...] = ()
    """He opted out of each, by itself or by a wider one."""
    rooms: tuple[RoomLeft, ...] = ()
    now: datetime | None = None
    """When the query is asked; filled in when it is."""
    policy: ContactPolicy | None = None
    """The policy in force then, for `rooms`; filled in with it, None while none was told."""


@dataclass(frozen=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold; also of him of whom what it asks for is unknown."""

    part: "Condition"


Single = (
    IdentityCondition
    | OwnershipCondition
    | FigureCondition
    | HoldingCondition
    | ValueCondition
    | TagCondition
    | GroupCondition
    | ContactCondition
)
Condition = Single | AllOf | AnyOf | Not


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """What a condition is combined from; nothing for a single one."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return parts
        case Not(part):
            return (part,)
        case _:
            return ()


def singles(conditions: Iterable[Condition]) -> Iterable[Single]:
    """The single conditions within, however they combine."""
    for condition in conditions:
        match condition:
            case AllOf() | AnyOf() | Not():
                yield from singles(parts_of(condition))
            case _:
                yield condition
