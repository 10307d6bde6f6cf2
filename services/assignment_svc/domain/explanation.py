"""Why a branch owns a customer: what is to be said of one row, before any language says it.

It is said of the row as the viewer sees it: amounts and branches that are hidden from him are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Hold,
    HoldKind,
    OfficerOverride,
    Owner,
    Rule,
    Side,
    State,
)


class Business(StrEnum):
    """What an amount is of."""

    LOAN = "LOAN"
    CARD = "CARD"
    DEPOSIT = "DEPOSIT"


class Source(StrEnum):
    """Who decided on the manager of a row."""

    HOLD = "HOLD"
    OVERRIDE = "OVERRIDE"
    OFFICER = "OFFICER"
    CARD_MANAGER = "CARD_MANAGER"
    NAMED = "NAMED"
    NOBODY = "NOBODY"


@dataclass(frozen=True)
class Naming:
    """Who named the manager of a row, since when, and whether that was a claim of his own."""

    actor: str
    from_date: date
    claimed: bool = False


@dataclass(frozen=True)
class Background:
    """What stands behind a customer's rows now: facts and namings by branch, his holds and overrides."""

    facts: Mapping[str, BranchFacts] = field(default_factory=dict[str, BranchFacts])
    namings: Mapping[str, Naming] = field(default_factory=dict[str, Naming])
    holds: Sequence[Hold] = ()
    overrides: Sequence[OfficerOverride] = ()


@dataclass(frozen=True)
class Minor:
    """An amount in minor units of the bank's currency."""

    amount: int


@dataclass(frozen=True)
class Clause:
    """One thing to say: the key of its phrase, and what goes into it."""

    key: str
    values: Mapping[str, str | int | date | Minor] = field(default_factory=dict[str, "str | int | date | Minor"])


_CONTESTED = {Rule.LOAN: Business.LOAN, Rule.CARD: Business.CARD, Rule.DEPOSIT: Business.DEPOSIT}


def clauses_of(row: Owner, shown: Owner, background: Background, percent: int) -> list[Clause]:
    """What to say of a row that the viewer sees as `shown`; `percent` is what a challenger needs."""
    hold = _hold_of(row, background)
    return [
        *_rule(row, shown, background, hold),
        *_comparison(shown, percent),
        *_due(shown),
        Clause("since", {"side": shown.side.value, "date": shown.since_date}),
        _manager(row, background, hold),
    ]


def state_clause(state: State) -> Clause:
    """What to say of the whole."""
    return Clause(f"state.{state}")


def _hold_of(row: Owner, background: Background) -> Hold | None:
    if row.rule is not Rule.HELD:
        return None
    return next((hold for hold in background.holds if hold.hold_id == row.evidence.basis), None)


def _business(row: Owner, facts: BranchFacts | None) -> Business | None:
    """What the row's amount is of; None if the facts have changed since, or nothing was compared."""
    if row.rule in _CONTESTED:
        return _CONTESTED[row.rule]
    basis = row.evidence.basis
    if basis is None:
        return Business.DEPOSIT if row.evidence.amount_minor is not None else None
    if facts and facts.loan and facts.loan.loan_id == basis:
        return Business.LOAN
    if facts and facts.card and facts.card.card_id == basis:
        return Business.CARD
    return None


def _rule(row: Owner, shown: Owner, background: Background, hold: Hold | None) -> Iterator[Clause]:
    if row.rule is Rule.HELD:
        yield Clause(f"rule.HELD.{hold.kind}" if hold else "rule.HELD")
        return
    if row.rule is Rule.RUN_OFF and row.side is Side.PRIMARY and row.due_date is None:
        yield Clause("rule.LAST")
        return
    yield Clause(f"rule.{row.rule}")
    business = _business(row, background.facts.get(row.branch_id))
    if row.rule in {Rule.GRACE, Rule.RUN_OFF} or business is None:
        return
    amount = shown.evidence.amount_minor
    known = "unknown" if amount is None else "amount"
    values: dict[str, str | int | date | Minor] = {} if amount is None else {"amount": Minor(amount)}
    if shown.evidence.basis is not None and business is not Business.DEPOSIT:
        values["basis"] = shown.evidence.basis
        known = f"named.{known}"
    yield Clause(f"{business}.{known}", values)


def _comparison(shown: Owner, percent: int) -> Iterator[Clause]:
    evidence = shown.evidence
    if evidence.rival_branch_id is None:
        return
    rival: dict[str, str | int | date | Minor] = {"branch": evidence.rival_branch_id}
    if evidence.rival_amount_minor is not None:
        rival["amount"] = Minor(evidence.rival_amount_minor)
    known = "amount" if evidence.rival_amount_minor is not None else "unknown"
    if shown.side is Side.SECONDARY:
        yield Clause(f"primary.{known}", rival)
    elif evidence.held_by_margin:
        yield Clause(f"margin.{known}", {**rival, "margin": percent - 100})
    elif (evidence.amount_minor or 0) == (evidence.rival_amount_minor or 0):
        yield Clause("tie", rival)
    else:
        yield Clause(f"rival.{known}", rival)


def _due(shown: Owner) -> Iterator[Clause]:
    if shown.due_date is not None:
        key = f"due.{shown.rule}" if shown.rule in {Rule.GRACE, Rule.HELD, Rule.RUN_OFF} else "due"
        yield Clause(key, {"date": shown.due_date})


def source_of(row: Owner, background: Background, hold: Hold | None) -> tuple[Source, str | None]:
    """Who decides on the manager, and whom he wants: in the order of allocation."""
    facts = background.facts.get(row.branch_id)
    if hold and hold.manager_id and row.side is Side.PRIMARY:
        return Source.HOLD, hold.manager_id
    if facts and facts.loan:
        for override in background.overrides:
            if (override.loan_id, override.source_officer_id) == (facts.loan.loan_id, facts.loan.officer_id):
                return Source.OVERRIDE, override.manager_id
        if facts.loan.officer_id:
            return Source.OFFICER, facts.loan.officer_id
    if facts and facts.card and facts.card.manager_id:
        return Source.CARD_MANAGER, facts.card.manager_id
    if row.named_manager_id:
        return Source.NAMED, row.named_manager_id
    return Source.NOBODY, None


def _manager(row: Owner, background: Background, hold: Hold | None) -> Clause:
    source, wanted = source_of(row, background, hold)
    if row.manager_id is None:
        return Clause("manager.virtual" if wanted is None else "manager.absent", {"wanted": wanted or ""})
    if wanted is None:
        return Clause("manager", {"manager": row.manager_id})
    if wanted != row.manager_id:
        return Clause("manager.successor", {"manager": row.manager_id, "wanted": wanted})
    naming = background.namings.get(row.branch_id)
    if source is Source.NAMED and naming and naming.claimed:
        return Clause("manager.NAMED.claimed", {"manager": row.manager_id, "date": naming.from_date})
    if source is Source.NAMED and naming:
        values = {"manager": row.manager_id, "actor": naming.actor, "date": naming.from_date}
        return Clause("manager.NAMED.by", values)
    kind = f".{hold.kind}" if source is Source.HOLD and hold and hold.kind is HoldKind.TRANSFER else ""
    return Clause(f"manager.{source}{kind}", {"manager": row.manager_id})
