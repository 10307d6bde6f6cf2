"""The values that allocation decides over: a customer's facts, owners and holds, the policy, and the outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Side(StrEnum):
    """The side of a branch towards a customer."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"


class Rule(StrEnum):
    """The rule that made a row of ownership (domain.md 3, rules 1 to 7)."""

    LOAN = "LOAN"
    GRACE = "GRACE"
    CARD = "CARD"
    DEPOSIT = "DEPOSIT"
    SECONDARY = "SECONDARY"
    RUN_OFF = "RUN_OFF"
    HELD = "HELD"


class State(StrEnum):
    """Whether a customer has an owner now."""

    LIVE = "LIVE"
    FORMER = "FORMER"
    FROZEN = "FROZEN"


class HoldKind(StrEnum):
    """What keeps a branch primary against the rules; a loan breaks a protection and nothing else."""

    LOCK = "LOCK"
    TRANSFER = "TRANSFER"
    PROTECTION = "PROTECTION"


@dataclass(frozen=True)
class Policy:
    """The parameters of allocation, one version of them (domain.md 3)."""

    version: int
    grace_days: int
    run_off_days: int
    challenge_percent: int
    return_months: int
    protection_idle_days: int
    lead_days: int
    """How long before a grace or hold ends both branches are told."""


@dataclass(frozen=True)
class LiveLoan:
    """The loan that speaks for a branch: the largest single one of its live loans; an unknown amount is None."""

    loan_id: str
    outstanding_minor: int | None
    first_disburse_date: date
    officer_id: str | None


@dataclass(frozen=True)
class LiveCard:
    """The card that speaks for a branch: the one with the largest limit; an unknown limit is None."""

    card_id: str
    limit_minor: int | None
    first_open_date: date
    manager_id: str | None


@dataclass(frozen=True)
class BranchFacts:
    """What a customer has at one branch. `last_live_date` matters only while nothing is live."""

    branch_id: str
    loan: LiveLoan | None
    loan_end_date: date | None
    card: LiveCard | None
    deposit_live: bool
    deposit_sum_minor: int | None
    relation_since_date: date
    last_live_date: date

    @property
    def live(self) -> bool:
        return self.loan is not None or self.card is not None or self.deposit_live


@dataclass(frozen=True)
class Evidence:
    """What a rule compared when it made a row."""

    basis: str | None = None
    amount_minor: int | None = None
    rival_branch_id: str | None = None
    rival_amount_minor: int | None = None
    held_by_margin: bool = False


@dataclass(frozen=True)
class Owner:
    """One branch's ownership of a customer. No manager means the branch's virtual one.

    `named_manager_id` is whom the branch's head named; it is kept while a loan's officer or a card's manager goes
    before it. `since_date` is the first day on this side, `from_date` the first day of the row exactly as it is.
    """

    branch_id: str
    side: Side
    rule: Rule
    manager_id: str | None
    named_manager_id: str | None
    evidence: Evidence
    since_date: date
    from_date: date
    due_date: date | None


@dataclass(frozen=True)
class Hold:
    """An approved lock, a pending transfer or a protection: holds `branch_id` primary on [from_date, until_date).

    A protection also ends once `protection_idle_days` have gone by without contact.
    """

    hold_id: str
    kind: HoldKind
    branch_id: str
    manager_id: str | None
    from_date: date
    until_date: date | None
    last_contact_date: date | None = None


@dataclass(frozen=True)
class OfficerOverride:
    """An approved transfer of a borrower: holds for the loan until the source names another officer than then."""

    loan_id: str
    source_officer_id: str | None
    manager_id: str


@dataclass(frozen=True)
class Duty:
    """Where a staff member is active on the day of allocation (None: nowhere), and his successor likewise."""

    branch_id: str | None
    successor_id: str | None = None
    successor_branch_id: str | None = None


@dataclass(frozen=True)
class Customer:
    """All that allocation looks at for one customer. `frozen`: dead or legally frozen."""

    frozen: bool
    facts: Sequence[BranchFacts]
    owners: Sequence[Owner] = ()
    holds: Sequence[Hold] = ()
    overrides: Sequence[OfficerOverride] = ()
    former_date: date | None = None


@dataclass(frozen=True)
class Night:
    """What is the same for every customer of one allocation."""

    business_date: date
    policy: Policy
    duties: Mapping[str, Duty]


@dataclass(frozen=True)
class Outcome:
    """A customer's ownership after allocation; `next_look_date` is when it may change with unchanged facts.

    No state and no owners: he never had an owner and needs none.
    """

    state: State | None
    owners: tuple[Owner, ...]
    next_look_date: date | None
    former_date: date | None
