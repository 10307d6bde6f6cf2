"""Who is a key customer (domain.md 2): the nightly test of both routes, and the states of a mark by hand.

`after_night` is the rule for one customer; the store applies the same rule to all of them in one statement, and a test
by chance holds the two equal. Readings that the domain leaves open:

- The third month-end "in a row" is the third that was tested: one whose night never came neither counts nor breaks it.
- At a month-end from 80 % of the threshold on, the count starts anew; to enter takes more than the threshold itself.
- What is settled is below. What is unknown leads to no route, and on one neither counts nor breaks the row.
- A night that is told again is decided again from where the customer stood before it: the same rows change nothing,
  corrected rows give what they would have given at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class KeyReason(StrEnum):
    """Why a customer is a key customer."""

    ASSET = "ASSET"
    LOAN = "LOAN"
    BOTH = "BOTH"
    MANUAL = "MANUAL"


@dataclass(frozen=True)
class KeyPolicy:
    """The parameters of key marks, one version of them."""

    version: int
    start_date: date
    asset_minor: int
    loan_minor: int
    keep_percent: int
    """Below this share of the threshold a month-end counts against a route."""
    below_count_max: int
    """At this many month-ends in a row a route is left."""
    manual_days_max: int


@dataclass(frozen=True)
class Routes:
    """The two routes of one customer: whether he is on each, and for how many month-ends in a row it was below."""

    asset: bool = False
    loan: bool = False
    asset_below: int = 0
    loan_below: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a customer stands; `base` is where he stood before `night_date`, the night that last changed it."""

    routes: Routes = Routes()
    base: Routes = Routes()
    night_date: date | None = None


@dataclass(frozen=True)
class KeyTest:
    """What a night tells of a customer, None for an unknown amount. Whom it does not tell of has and owes little."""

    asset_average_minor: int | None = 0
    loan_outstanding_minor: int | None = 0
    loan_overdue: bool = False
    loan_clean: bool = False


def is_month_end(day: date) -> bool:
    """Whether a day is the last one of its month, at which routes are tested."""
    return (day + timedelta(days=1)).day == 1


def after_night(standing: Standing, test: KeyTest, day: date, policy: KeyPolicy) -> Standing:
    """Where a customer stands after a night; unchanged if the night changes nothing of it."""
    before = standing.base if standing.night_date == day else standing.routes
    after = _tested(before, test, policy) if is_month_end(day) else before
    if test.loan_overdue:
        after = replace(after, loan=False, loan_below=0)
    return standing if after == standing.routes else Standing(after, before, day)


def _tested(before: Routes, test: KeyTest, policy: KeyPolicy) -> Routes:
    asset, asset_below = _route(before.asset, before.asset_below, test.asset_average_minor, policy.asset_minor, policy)
    owed = test.loan_outstanding_minor
    loan, loan_below = _route(before.loan, before.loan_below, owed, policy.loan_minor, policy)
    if loan and not before.loan and not test.loan_clean:
        loan = False
    return Routes(asset, loan, asset_below, loan_below)


def _route(on: bool, below: int, amount_minor: int | None, threshold_minor: int, policy: KeyPolicy) -> tuple[bool, int]:  # noqa: FBT001 -- it is what the route is
    if not on:
        return amount_minor is not None and amount_minor > threshold_minor, 0
    if amount_minor is None:
        return True, below
    if amount_minor * 100 >= threshold_minor * policy.keep_percent:
        return True, 0
    return (True, below + 1) if below + 1 < policy.below_count_max else (False, 0)


def reason_of(routes: Routes, *, manual: bool) -> KeyReason | None:
    """Why a customer is a key customer: by his routes, else by hand; None if he is none."""
    if routes.asset and routes.loan:
        return KeyReason.BOTH
    if routes.asset or routes.loan:
        return KeyReason.ASSET if routes.asset else KeyReason.LOAN
    return KeyReason.MANUAL if manual else None


class ProposalState(StrEnum):
    """Where a mark by hand stands."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    LAPSED = "LAPSED"
    ENDED = "ENDED"
    EXPIRED = "EXPIRED"
    REPLACED = "REPLACED"


class Step(StrEnum):
    """What is done to a mark by hand."""

    APPROVE = "APPROVE"
    REFUSE = "REFUSE"
    WITHDRAW = "WITHDRAW"
    END = "END"
    PASS = "PASS"  # noqa: S105 -- no password: its end date passes
    REPLACE = "REPLACE"


STEPS: Mapping[tuple[ProposalState, Step], ProposalState] = MappingProxyType(
    {
        (ProposalState.PROPOSED, Step.APPROVE): ProposalState.APPROVED,
        (ProposalState.PROPOSED, Step.REFUSE): ProposalState.REFUSED,
        (ProposalState.PROPOSED, Step.WITHDRAW): ProposalState.WITHDRAWN,
        (ProposalState.PROPOSED, Step.PASS): ProposalState.LAPSED,
        (ProposalState.APPROVED, Step.END): ProposalState.ENDED,
        (ProposalState.APPROVED, Step.PASS): ProposalState.EXPIRED,
        (ProposalState.APPROVED, Step.REPLACE): ProposalState.REPLACED,
    }
)
"""Every step that is possible; from all other states there is none."""


@dataclass(frozen=True)
class Proposal:
    """A mark by hand, and how far it came."""

    customer_id: str
    proposal_id: str
    state: ProposalState
    reason: str
    end_date: date
    proposer: str
    create_time: datetime
    actor: str
    decision_reason: str
    update_time: datetime


@dataclass(frozen=True)
class KeyMark:
    """Whether a customer is a key customer, as it is shown."""

    customer_id: str
    reason: KeyReason | None = None
    since_date: date | None = None
    test_date: date | None = None
    asset_below: int = 0
    loan_below: int = 0
    end_date: date | None = None
    pending_id: str | None = None


@dataclass(frozen=True)
class KeyMarkChange:
    """One change of a key mark."""

    change_id: int
    kind: str
    old_reason: KeyReason | None
    new_reason: KeyReason | None
    actor: str
    reason: str
    business_date: date
    create_time: datetime
    proposal_id: str | None
