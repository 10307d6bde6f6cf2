"""A customer with his business, as it is stored and as a viewer sees him."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from policy.masking import mask_id_number, mask_mobile, mask_name
from policy.visibility import (
    Level,
    OwnerRow,
    Scope,
    Side,
    Sight,
    masked_fields,
    sight,
)
from services.customer_svc.domain.business import BranchBusiness, ProductTotals, Totals
from services.customer_svc.domain.contact_room import Standing
from services.customer_svc.domain.indicators import Figure, Indicator
from services.customer_svc.domain.key_marks import KeyMark
from services.customer_svc.domain.parts import Parts
from services.customer_svc.domain.tags import CustomerTag

ACTIVE = "ACTIVE"


@dataclass(frozen=True)
class Identity:
    """Who a customer is. What the source does not tell is None; what a viewer may not see is None too."""

    customer_id: str
    customer_type: str | None = None
    display_name: str | None = None
    sex: str | None = None
    birth_date: date | None = None
    id_type: str | None = None
    id_number: str | None = None
    id_expiry_date: date | None = None
    mobile: str | None = None
    occupation: str | None = None
    residence_district: str | None = None
    customer_since_date: date | None = None
    state: str | None = None
    update_time: datetime | None = None
    risk_rating: int | None = None
    risk_rating_expiry_date: date | None = None
    industry: str | None = None


@dataclass(frozen=True)
class Owner:
    """One branch's ownership of a customer, followed from assignment_svc; a private manager stands with the primary."""

    branch_id: str
    side: Side
    manager_id: str | None
    since_date: date | None
    private_manager_id: str | None = None

    @property
    def row(self) -> OwnerRow:
        """What the policy looks at."""
        return OwnerRow(self.branch_id, self.side, self.manager_id, self.private_manager_id)


@dataclass(frozen=True)
class RelatedPerson:
    """Somebody who stands by the customer as what `kind` says; with `reverse` it is the customer who does by him.

    The id is None if the viewer does not see him; `named` says whether he sees his name.
    """

    kind: str
    customer_id: str | None
    display_name: str | None
    mobile: str | None
    reverse: bool = False
    manual: bool = False
    named: bool = True


@dataclass(frozen=True)
class Value:
    """What a customer is worth to the bank; None is unknown."""

    tier: int | None = None
    tier_gap_minor: int | None = None
    contribution_minor: int | None = None
    lifecycle: str | None = None


@dataclass(frozen=True)
class Root:
    """A customer without his business: what a search returns of him. Only his page has the last two."""

    identity: Identity
    owners: Sequence[Owner]
    business_date: date | None
    total_deposit_balance_minor: int | None = None
    total_deposit_average_minor: int | None = None
    value: Value = Value()
    indicators: Sequence[Indicator] = ()


@dataclass(frozen=True)
class Marks:
    """What is said of a customer on the whole bank's money."""

    tags: Sequence[CustomerTag] = ()
    key_mark: KeyMark | None = None


@dataclass(frozen=True)
class Business:
    """What a customer has: sums by branch, the detail of one branch, and the people related to him."""

    by_branch: Sequence[tuple[str, Totals]] = ()
    own: BranchBusiness | None = None
    related_people: Sequence[RelatedPerson] = ()
    product_totals: Sequence[ProductTotals] = ()
    marks: Marks = Marks()
    standing: Standing | None = None


@dataclass(frozen=True)
class View:
    """A customer as one viewer sees him; `masked_fields` names what was emptied or masked.

    `parts` are what other services tell the viewer; they decide themselves what he may see.
    """

    level: Level
    identity: Identity
    owners: Sequence[Owner] = ()
    total: Totals | None = None
    own: BranchBusiness | None = None
    other_branches: Sequence[tuple[str, Totals]] = ()
    related_people: Sequence[RelatedPerson] = ()
    business_date: date | None = None
    masked_fields: Sequence[str] = field(default=())
    product_totals: Sequence[ProductTotals] = ()
    """At the other branches."""
    total_indicators: Sequence[Indicator] = ()
    value: Value | None = None
    marks: Marks = Marks()
    standing: Standing | None = None
    parts: Parts = field(default_factory=Parts)
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    """What files show besides, by their columns."""


def view(root: Root, business: Business, scope: Scope) -> View:
    """Leaves of a customer what the viewer may see (domain.md 3); `business.own` is already of his own branch.

    Asks nothing about whether he may see the customer at all: the level must not be NONE.
    """
    level = scope.level(owner.row for owner in root.owners)
    assert level > Level.NONE, "a hidden customer is not shown"
    if level == Level.EXISTENCE:
        return View(level, Identity(root.identity.customer_id), masked_fields=masked_fields(level))
    whole = sight("total", level) is Sight.CLEAR
    own_id = business.own.branch_id if business.own else None
    return View(
        level,
        seen_identity(root.identity, level),
        owners=seen_owners(root.owners, scope, level),
        total=_whole_bank(root, business) if whole else None,
        own=business.own,
        other_branches=tuple(sums for sums in business.by_branch if whole and sums[0] != own_id),
        related_people=tuple(masked_person(person) for person in business.related_people),
        business_date=root.business_date,
        masked_fields=masked_fields(level),
        product_totals=tuple(sums for sums in business.product_totals if whole and sums.branch_id != own_id),
        total_indicators=root.indicators if whole else (),
        value=root.value if sight("value", level) is Sight.CLEAR else None,
        marks=_seen_marks(business.marks, level),
        standing=_seen_standing(business.standing, level),
    )


def seen_identity(identity: Identity, level: Level) -> Identity:
    """Masks contact data, and what tells a death or a legal freeze, for who sees them masked only."""
    if sight("mobile", level) is Sight.CLEAR:
        return identity
    return replace(
        identity,
        id_number=mask_id_number(identity.id_number) if identity.id_number else None,
        mobile=mask_mobile(identity.mobile) if identity.mobile else None,
        state=ACTIVE,
        update_time=None,
    )


def seen_owners(owners: Iterable[Owner], scope: Scope, level: Level) -> tuple[Owner, ...]:
    """Every row for the primary side; else the rows that open the customer and the primary's branch."""
    ordered = tuple(sorted(owners, key=lambda owner: (owner.side, owner.branch_id)))
    if sight("owners", level) is Sight.CLEAR:
        return ordered
    seen: list[Owner] = []
    for owner in ordered:
        if scope.level([owner.row]) >= Level.SECONDARY:
            seen.append(owner)
        elif owner.side == "PRIMARY":
            seen.append(replace(owner, manager_id=None, since_date=None, private_manager_id=None))
    return tuple(seen)


def _whole_bank(root: Root, business: Business) -> Totals:
    sums = [totals for _, totals in business.by_branch]
    return Totals(
        deposit_balance_minor=root.total_deposit_balance_minor,
        deposit_average_minor=root.total_deposit_average_minor,
        loan_outstanding_minor=_known_sum([t.loan_outstanding_minor for t in sums if t.loan_count]),
        card_limit_minor=_known_sum([t.card_limit_minor for t in sums if t.card_count]),
        account_count=sum(t.account_count for t in sums),
        loan_count=sum(t.loan_count for t in sums),
        card_count=sum(t.card_count for t in sums),
    )


def _known_sum(amounts: Sequence[int | None]) -> int | None:
    """The sum, or None if there is nothing to sum or one amount is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _seen_marks(marks: Marks, level: Level) -> Marks:
    return Marks(
        tags=marks.tags if sight("tags", level) is Sight.CLEAR else (),
        key_mark=marks.key_mark if sight("key_mark", level) is Sight.CLEAR else None,
    )


def _seen_standing(standing: Standing | None, level: Level) -> Standing | None:
    """Leaves a secondary side that and when there were contacts, not about what nor what came of them."""
    if standing is None or sight("contact_room", level) is not Sight.CLEAR:
        return None
    if level >= Level.PRIMARY:
        return standing
    room = replace(standing.room, last_campaign_id=None, last_outcome=None, last_refusal_time=None)
    return replace(standing, room=room)


def masked_person(person: RelatedPerson) -> RelatedPerson:
    """Masks his number, and his name if the viewer does not see it."""
    return replace(
        person,
        mobile=mask_mobile(person.mobile) if person.mobile else None,
        display_name=person.display_name if person.named or not person.display_name else mask_name(person.display_name),
    )
