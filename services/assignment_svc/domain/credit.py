"""Who gets which part of the credit for a customer (domain.md 11): day by day, and over a month by calendar overlap.

The nights decide by the statement of `store/credit_sql.py`; this is the same rule for one customer, and tests hold one
to the other. Shares are hundredths of a percent, rounded down, the remainder to the primary side: 10,000 every day.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from chassis.errors import Violation

WHOLE = 10_000
_PERCENT = 100


@dataclass(frozen=True)
class Party:
    """Who gets credit: a manager at a branch; without one the branch's virtual manager."""

    branch_id: str
    staff_id: str | None = None


@dataclass(frozen=True)
class SharePolicy:
    """The parts in percent; the interceptor's comes out of the primary side's."""

    primary_percent: int = 70
    secondary_percent: int = 30
    interceptor_percent: int = 20


@dataclass(frozen=True)
class Held:
    """One branch's row of ownership on some days."""

    party: Party
    primary: bool


@dataclass(frozen=True)
class Span:
    """Days on which nothing changes: [from_date, until_date), the rows, and the balance of each branch.

    `custody` tells who gets the credit of a party's manager. Days without a primary row are nobody's.
    """

    from_date: date
    until_date: date
    held: tuple[Held, ...]
    balances: Mapping[str, int] = field(default_factory=dict[str, int])
    interceptor: Party | None = None
    custody: Mapping[Party, str] = field(default_factory=dict[Party, str])

    @property
    def days(self) -> int:
        return (self.until_date - self.from_date).days


@dataclass(frozen=True)
class Amounts:
    """What a customer has in a month, over the whole bank; None is unknown. Deposits are known by the spans."""

    deposits_known: bool = True
    growth_minor: int | None = 0
    wealth_minor: int | None = 0
    loan_minor: int | None = 0


@dataclass(frozen=True)
class Credit:
    """A party's part of a customer over a month: its share of him, and of what he has."""

    share: int
    deposit_minor: int | None
    growth_minor: int | None
    wealth_minor: int | None
    loan_minor: int | None


def share_faults(policy: SharePolicy) -> list[Violation]:
    """What is wrong with a table of shares: parts out of range, or that do not make 100 percent."""
    found = [
        Violation(name, "must be from 0 to 100")
        for name, percent in vars(policy).items()
        if not 0 <= percent <= _PERCENT
    ]
    together = policy.primary_percent + policy.secondary_percent
    if together != _PERCENT:
        found.append(Violation("secondary_percent", f"makes {together} percent with primary_percent, and not 100"))
    if policy.interceptor_percent > policy.primary_percent:
        found.append(Violation("interceptor_percent", "is more than primary_percent, out of which it comes"))
    return found


def day_shares(span: Span, policy: SharePolicy) -> dict[Party, int]:
    """The shares on each of the span's days; nobody's if there is no primary row."""
    primary = next((row.party for row in span.held if row.primary), None)
    if primary is None:
        return {}
    secondaries = [row.party for row in span.held if not row.primary]
    shares: dict[Party, int] = defaultdict(int)
    for party, share in _secondary_shares(secondaries, span.balances, policy).items():
        shares[_credited(party, span)] += share
    if span.interceptor is not None:
        shares[span.interceptor] += policy.interceptor_percent * _PERCENT
    shares[_credited(primary, span)] += WHOLE - sum(shares.values())
    return dict(shares)


def month_credit(spans: Sequence[Span], amounts: Amounts, policy: SharePolicy) -> dict[Party, Credit]:
    """What each party gets of a customer over the days of the spans, which follow one another.

    The remainder of every rounding goes to who was primary on the last day, so that all parts are the whole.
    """
    weights: dict[Party, int] = defaultdict(int)
    deposits: dict[Party, int] = defaultdict(int)
    last: Party | None = None
    for span in spans:
        shares = day_shares(span, policy)
        balance = sum(span.balances.values())
        for party, share in shares.items():
            weights[party] += share * span.days
            deposits[party] += share * span.days * balance
        last = next((_credited(row.party, span) for row in span.held if row.primary), last)
    if last is None:
        return {}
    days = sum(span.days for span in spans)
    covered = sum(weights.values()) // WHOLE
    shares = _divided(weights, covered, last)
    parts = {
        "deposit_minor": _divided(deposits, WHOLE * days, last) if amounts.deposits_known else None,
        "growth_minor": _parts(shares, amounts.growth_minor, last),
        "wealth_minor": _parts(shares, amounts.wealth_minor, last),
        "loan_minor": _parts(shares, amounts.loan_minor, last),
    }
    return {
        party: Credit(share, **{name: part[party] if part is not None else None for name, part in parts.items()})
        for party, share in shares.items()
    }


def _secondary_shares(parties: Sequence[Party], balances: Mapping[str, int], policy: SharePolicy) -> dict[Party, int]:
    """By balance; if none of them has any, evenly."""
    part = policy.secondary_percent * _PERCENT
    weights = {party: balances.get(party.branch_id, 0) for party in parties}
    if not sum(weights.values()):
        weights = dict.fromkeys(parties, 1)
    return {party: part * weight // sum(weights.values()) for party, weight in weights.items()}


def _credited(party: Party, span: Span) -> Party:
    return Party(party.branch_id, span.custody.get(party, party.staff_id))


def _divided(sums: Mapping[Party, int], divisor: int, last: Party) -> dict[Party, int]:
    """Each sum divided and rounded down; the last primary side gets what is left of the whole."""
    parts = {party: value // divisor for party, value in sums.items()}
    parts[last] += sum(sums.values()) // divisor - sum(parts.values())
    return parts


def _parts(shares: Mapping[Party, int], amount: int | None, last: Party) -> dict[Party, int] | None:
    if amount is None:
        return None
    return _divided({party: share * amount for party, share in shares.items()}, WHOLE, last)
