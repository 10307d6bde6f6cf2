"""Who wins among branches: the largest amount, unless today's primary branch defends itself by the margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Candidate:
    """A branch that could be primary by one rule, and what it has to show. An unknown amount is None."""

    branch_id: str
    amount_minor: int | None
    tie_date: date
    basis: str | None


@dataclass(frozen=True)
class Verdict:
    """The winner, the best other candidate, and whether the winner only stayed by the margin."""

    winner: Candidate
    rival: Candidate | None
    held_by_margin: bool
    branch_ids: frozenset[str]


def contest(candidates: Sequence[Candidate], incumbent_id: str | None, percent: int) -> Verdict:
    """Picks among at least one candidate. An incumbent who is none of them defends nothing."""
    ranked = sorted(candidates, key=_rank)
    branch_ids = frozenset(c.branch_id for c in ranked)
    first = ranked[0]
    incumbent = next((c for c in ranked if c.branch_id == incumbent_id), first)
    if incumbent is first or overtakes(first, incumbent, percent):
        return Verdict(first, ranked[1] if len(ranked) > 1 else None, held_by_margin=False, branch_ids=branch_ids)
    by_margin = (first.amount_minor or 0) > (incumbent.amount_minor or 0)
    return Verdict(incumbent, first, by_margin, branch_ids)


def overtakes(challenger: Candidate, incumbent: Candidate, percent: int) -> bool:
    """Says whether a challenger has more than the incumbent, and at least `percent` of what he has."""
    more, less = challenger.amount_minor or 0, incumbent.amount_minor or 0
    return more > less and more * 100 >= less * percent


def _rank(candidate: Candidate) -> tuple[bool, int, date, str]:
    amount = candidate.amount_minor
    return (amount is None, -(amount or 0), candidate.tie_date, candidate.branch_id)
