"""Who owns one customer (domain.md 3): seven rules over his facts, today's owners, holds, staff and a business date.

The same decision stands set-based in `store/decision_sql.py`; a property test holds the two equal. Readings of the
rules that their text leaves open:

- "90 days" are the 90 days after the last live day: on the 91st a grace or a run-off is over.
- An unknown amount sorts last; as a challenger or an incumbent it counts as 0.
- A row keeps its evidence until its side, rule, manager, basis, margin or due date changes: a night on which only
  amounts moved changes nothing and leaves no history.
- A former customer who returns within 12 months keeps his last owner as incumbent, and the manager named there.
- A customer who is already dead or frozen when he is first seen gets owners once, then keeps them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.assignment_svc.domain.holds import Standing, standing
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Customer,
    Duty,
    Evidence,
    Hold,
    LiveCard,
    LiveLoan,
    Night,
    Outcome,
    Owner,
    Policy,
    Rule,
    Side,
    State,
)
from services.assignment_svc.domain.ranking import Candidate, Verdict, contest


@dataclass(frozen=True)
class Ruling:
    """Which branch is primary, by which rule, over whom."""

    rule: Rule
    branch_id: str
    verdict: Verdict | None = None
    hold: Hold | None = None
    end_date: date | None = None


def allocate(customer: Customer, night: Night) -> Outcome:
    """Decides a customer's owners; the same input twice gives the same rows, to the object."""
    if customer.frozen and customer.owners:
        return Outcome(State.FROZEN, tuple(customer.owners), None, customer.former_date)
    known = _without_forgotten(customer, night)
    held = standing(customer.holds, night.business_date, night.policy)
    ruling = _rule(known, held, night)
    if ruling is None:
        return _former(customer, night.business_date)
    owners = tuple(sorted(_owners(known, ruling, night), key=lambda row: (row.side, row.branch_id)))
    if customer.frozen:
        return Outcome(State.FROZEN, owners, None, customer.former_date)
    return Outcome(State.LIVE, owners, _next_look(known, held, night), None)


def primary(owners: Iterable[Owner]) -> Owner | None:
    """Today's primary row, if there is one."""
    return next((row for row in owners if row.side is Side.PRIMARY), None)


def is_running_off(facts: BranchFacts, day: date, policy: Policy) -> bool:
    """Says whether nothing is live at the branch but was within the days of run-off."""
    return not facts.live and (day - facts.last_live_date).days <= policy.run_off_days


def resolve(staff_id: str | None, branch_id: str, duties: Mapping[str, Duty]) -> str | None:
    """The one who acts for a staff member at a branch: himself, else his successor, else the virtual manager."""
    duty = duties.get(staff_id) if staff_id else None
    if duty is None:
        return None
    if duty.branch_id == branch_id:
        return staff_id
    return duty.successor_id if duty.successor_branch_id == branch_id else None


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day; as PostgreSQL adds months."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_of_next = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return min(first_of_next - timedelta(days=1), date(year, month + 1, 1) + timedelta(days=day.day - 1))


def _without_forgotten(customer: Customer, night: Night) -> Customer:
    """Drops the frozen row of a former customer who stayed away too long: he is allocated anew."""
    gone = customer.former_date
    if gone is not None and night.business_date > months_after(gone, night.policy.return_months):
        return replace(customer, owners=())
    return customer


def _rule(customer: Customer, held: Standing, night: Night) -> Ruling | None:
    """The first rule that finds a primary branch: lock, loan, grace, protection, card, deposits, run-off."""
    day, policy, facts = night.business_date, night.policy, customer.facts
    first = primary(customer.owners)
    incumbent_id = first.branch_id if first else None
    in_grace = [f for f in facts if _is_in_grace(f, day, policy)]
    running_off = [f for f in facts if is_running_off(f, day, policy)]
    if not (running_off or in_grace or any(f.live for f in facts)):
        return None
    loans = [_loan_candidate(f, f.loan) for f in facts if f.loan]
    cards = [_card_candidate(f, f.card) for f in facts if f.card]
    deposits = [
        Candidate(f.branch_id, f.deposit_sum_minor, f.relation_since_date, None) for f in facts if f.deposit_live
    ]
    return (
        _held(held.strong, held.strong_end_date)
        or _contested(Rule.LOAN, loans, incumbent_id, policy)
        or _grace(in_grace, incumbent_id, policy)
        or _held(held.weak, held.weak_end_date)
        or _contested(Rule.CARD, cards, incumbent_id, policy)
        or _contested(Rule.DEPOSIT, deposits, incumbent_id, policy)
        or _run_off(running_off, incumbent_id, policy)
    )


def _loan_candidate(facts: BranchFacts, loan: LiveLoan) -> Candidate:
    return Candidate(facts.branch_id, loan.outstanding_minor, loan.first_disburse_date, loan.loan_id)


def _card_candidate(facts: BranchFacts, card: LiveCard) -> Candidate:
    return Candidate(facts.branch_id, card.limit_minor, card.first_open_date, card.card_id)


def _held(hold: Hold | None, end: date | None) -> Ruling | None:
    return Ruling(Rule.HELD, hold.branch_id, hold=hold, end_date=end) if hold else None


def _contested(rule: Rule, candidates: list[Candidate], incumbent_id: str | None, policy: Policy) -> Ruling | None:
    if not candidates:
        return None
    verdict = contest(candidates, incumbent_id, policy.challenge_percent)
    return Ruling(rule, verdict.winner.branch_id, verdict=verdict)


def _is_in_grace(facts: BranchFacts, day: date, policy: Policy) -> bool:
    return facts.loan_end_date is not None and (day - facts.loan_end_date).days <= policy.grace_days


def _grace_end(facts: BranchFacts, policy: Policy) -> date:
    assert facts.loan_end_date is not None
    return facts.loan_end_date + timedelta(days=policy.grace_days + 1)


def _run_off_end(facts: BranchFacts, policy: Policy) -> date:
    return facts.last_live_date + timedelta(days=policy.run_off_days + 1)


def _grace(in_grace: list[BranchFacts], incumbent_id: str | None, policy: Policy) -> Ruling | None:
    """The branch where the last loan ended; of several the incumbent, then the longest relationship."""
    if not in_grace:
        return None
    latest = max(_grace_end(f, policy) for f in in_grace)
    last = min(
        (f for f in in_grace if _grace_end(f, policy) == latest),
        key=lambda f: (f.branch_id != incumbent_id, f.relation_since_date, f.branch_id),
    )
    return Ruling(Rule.GRACE, last.branch_id, end_date=latest)


def _run_off(running_off: list[BranchFacts], incumbent_id: str | None, policy: Policy) -> Ruling:
    """The incumbent while he runs off himself, else the branch that was live last."""
    last = min(
        running_off,
        key=lambda f: (
            f.branch_id != incumbent_id,
            -f.last_live_date.toordinal(),
            f.relation_since_date,
            f.branch_id,
        ),
    )
    return Ruling(Rule.RUN_OFF, last.branch_id, end_date=_run_off_end(last, policy))


def _former(customer: Customer, day: date) -> Outcome:
    """Freezes the primary row and ends the others; who never had an owner gets none."""
    last = primary(customer.owners)
    if last is None:
        return Outcome(None, (), None, None)
    kept = last if last.due_date is None else replace(last, due_date=None, from_date=day)
    state = State.FROZEN if customer.frozen else State.FORMER
    return Outcome(state, (kept,), None, customer.former_date or day)


def _owners(customer: Customer, ruling: Ruling, night: Night) -> Iterable[Owner]:
    facts = {f.branch_id: f for f in customer.facts}
    before = {row.branch_id: row for row in customer.owners}
    for branch_id in {*facts, ruling.branch_id}:
        here = facts.get(branch_id)
        old = before.get(branch_id)
        if branch_id == ruling.branch_id:
            row = _primary_row(ruling, night)
        elif here and here.live:
            row = _row(branch_id, Rule.SECONDARY, _secondary_evidence(here, ruling), night)
        elif here and is_running_off(here, night.business_date, night.policy):
            row = replace(_row(branch_id, Rule.RUN_OFF, Evidence(), night), due_date=_run_off_end(here, night.policy))
        else:
            continue
        named = old.named_manager_id if old else None
        source = _manager_source(customer, here, named)
        if branch_id == ruling.branch_id and ruling.hold and ruling.hold.manager_id:
            source = ruling.hold.manager_id
        manager = resolve(source, branch_id, night.duties)
        yield _settled(replace(row, manager_id=manager, named_manager_id=named), old)


def _row(branch_id: str, rule: Rule, evidence: Evidence, night: Night) -> Owner:
    day = night.business_date
    return Owner(branch_id, Side.SECONDARY, rule, None, None, evidence, day, day, None)


def _primary_row(ruling: Ruling, night: Night) -> Owner:
    row = _row(ruling.branch_id, ruling.rule, _primary_evidence(ruling), night)
    return replace(row, side=Side.PRIMARY, due_date=ruling.end_date)


def _primary_evidence(ruling: Ruling) -> Evidence:
    if ruling.hold:
        return Evidence(basis=ruling.hold.hold_id)
    if ruling.verdict is None:
        return Evidence()
    winner, rival = ruling.verdict.winner, ruling.verdict.rival
    return Evidence(
        basis=winner.basis,
        amount_minor=winner.amount_minor,
        rival_branch_id=rival.branch_id if rival else None,
        rival_amount_minor=rival.amount_minor if rival else None,
        held_by_margin=ruling.verdict.held_by_margin,
    )


def _secondary_evidence(here: BranchFacts, ruling: Ruling) -> Evidence:
    """What the branch has itself; against the primary branch if it stood in the same contest."""
    if here.loan:
        own = Evidence(here.loan.loan_id, here.loan.outstanding_minor)
    elif here.card:
        own = Evidence(here.card.card_id, here.card.limit_minor)
    else:
        own = Evidence(None, here.deposit_sum_minor)
    verdict = ruling.verdict
    if verdict and here.branch_id in verdict.branch_ids:
        return replace(own, rival_branch_id=verdict.winner.branch_id, rival_amount_minor=verdict.winner.amount_minor)
    return own


def _manager_source(customer: Customer, here: BranchFacts | None, named: str | None) -> str | None:
    """Who should manage: the largest loan's officer, else the card's manager, else the one whom the head named."""
    if here and here.loan:
        officer = here.loan.officer_id
        for override in customer.overrides:
            if (override.loan_id, override.source_officer_id) == (here.loan.loan_id, officer):
                officer = override.manager_id
        if officer:
            return officer
    if here and here.card and here.card.manager_id:
        return here.card.manager_id
    return named


def _settled(row: Owner, old: Owner | None) -> Owner:
    """The old row if nothing was decided otherwise, else the new one; its side's first day stays if the side does."""
    if old is None:
        return row
    if _decided(row) == _decided(old):
        return old
    return replace(row, since_date=old.since_date) if row.side == old.side else row


def _decided(row: Owner) -> tuple[object, ...]:
    evidence = row.evidence
    return (row.side, row.rule, row.manager_id, evidence.basis, evidence.held_by_margin, row.due_date)


def _next_look(customer: Customer, held: Standing, night: Night) -> date | None:
    """The first day on which unchanged facts may be decided otherwise."""
    day, policy = night.business_date, night.policy
    dates = [_run_off_end(f, policy) for f in customer.facts if is_running_off(f, day, policy)]
    if not any(f.loan for f in customer.facts):
        dates += [_grace_end(f, policy) for f in customer.facts if _is_in_grace(f, day, policy)]
    if held.next_date:
        dates.append(held.next_date)
    return min(dates, default=None)
