"""A customer with his business, as it is stored and as a viewer sees him."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from policy.visibility import Level, OwnerRow, Scope, Side, Sight, mask_id_number, mask_mobile, masked_fields, sight

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
class Totals:
    """Sums of a customer's business at one branch or over the bank; None is unknown, or nothing to sum."""

    deposit_balance_minor: int | None = None
    deposit_average_minor: int | None = None
    loan_outstanding_minor: int | None = None
    card_limit_minor: int | None = None
    account_count: int = 0
    loan_count: int = 0
    card_count: int = 0


@dataclass(frozen=True)
class Account:
    account_id: str
    kind: str
    open_date: date
    close_date: date | None
    balance_minor: int | None


@dataclass(frozen=True)
class Loan:
    loan_id: str
    product: str | None
    principal_minor: int
    outstanding_minor: int | None
    outstanding_estimated: bool
    disburse_date: date
    due_date: date | None
    state: str
    in_arrears: bool
    officer_id: str | None


@dataclass(frozen=True)
class Card:
    card_id: str
    product: str | None
    limit_minor: int | None
    open_date: date
    close_date: date | None


@dataclass(frozen=True)
class BranchBusiness:
    """A customer's business at one branch, in detail."""

    branch_id: str
    totals: Totals = Totals()
    accounts: Sequence[Account] = ()
    loans: Sequence[Loan] = ()
    cards: Sequence[Card] = ()


@dataclass(frozen=True)
class RelatedPerson:
    kind: str
    customer_id: str
    display_name: str | None
    mobile: str | None


@dataclass(frozen=True)
class Root:
    """A customer without his business: what a search returns of him."""

    identity: Identity
    owners: Sequence[Owner]
    business_date: date | None
    total_deposit_balance_minor: int | None = None
    total_deposit_average_minor: int | None = None


@dataclass(frozen=True)
class Business:
    """What a customer has: sums by branch, the detail of one branch, and the people related to him."""

    by_branch: Sequence[tuple[str, Totals]] = ()
    own: BranchBusiness | None = None
    related_people: Sequence[RelatedPerson] = ()


@dataclass(frozen=True)
class View:
    """A customer as one viewer sees him; `masked_fields` names what was emptied or masked."""

    level: Level
    identity: Identity
    owners: Sequence[Owner] = ()
    total: Totals | None = None
    own: BranchBusiness | None = None
    other_branches: Sequence[tuple[str, Totals]] = ()
    related_people: Sequence[RelatedPerson] = ()
    business_date: date | None = None
    masked_fields: Sequence[str] = field(default=())


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
        related_people=tuple(_masked_person(person) for person in business.related_people),
        business_date=root.business_date,
        masked_fields=masked_fields(level),
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


def _masked_person(person: RelatedPerson) -> RelatedPerson:
    return replace(person, mobile=mask_mobile(person.mobile) if person.mobile else None)
