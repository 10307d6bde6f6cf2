"""The seven rules as tables: what a head of branch would expect, case by case."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.assignment_svc.domain.allocation import allocate, months_after
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Customer,
    Duty,
    Hold,
    HoldKind,
    LiveCard,
    LiveLoan,
    Night,
    OfficerOverride,
    Outcome,
    Policy,
    Rule,
    Side,
    State,
)

TODAY = date(2024, 6, 30)
POLICY = Policy(1, 90, 90, 120, 12, 30, 15)
OLD = date(2010, 1, 1)
STAFF = {
    "officer": Duty("north"),
    "card_manager": Duty("south"),
    "left": Duty(None, "heir", "north"),
    "heir": Duty("north"),
    "moved": Duty("south", "gone", None),
    "named": Duty("north"),
}


def at(branch_id: str, **given: object) -> BranchFacts:
    nothing = BranchFacts(
        branch_id,
        None,
        None,
        None,
        deposit_live=False,
        deposit_sum_minor=None,
        relation_since_date=OLD,
        last_live_date=TODAY,
    )
    return replace(nothing, **given)


def loan(amount: int | None, since: date = OLD, officer: str | None = None, loan_id: str = "l1") -> LiveLoan:
    return LiveLoan(loan_id, amount, since, officer)


def card(limit: int | None, since: date = OLD, manager: str | None = None) -> LiveCard:
    return LiveCard("k1", limit, since, manager)


def saves(branch_id: str, amount: int | None, since: date = OLD) -> BranchFacts:
    return at(branch_id, deposit_live=True, deposit_sum_minor=amount, relation_since_date=since)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def run(*facts: BranchFacts, before: Outcome | None = None, day: date = TODAY, **given: object) -> Outcome:
    customer = Customer(
        frozen=False,
        facts=facts,
        owners=before.owners if before else (),
        former_date=before.former_date if before else None,
    )
    return allocate(replace(customer, **given), Night(day, POLICY, STAFF))


def told(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(row.branch_id, str(row.side), str(row.rule)) for row in outcome.owners]


@pytest.mark.parametrize(
    ("facts", "winner", "rule"),
    [
        pytest.param([at("north", loan=loan(1)), at("south", card=card(10**9))], "north", Rule.LOAN, id="loan first"),
        pytest.param([at("north", card=card(1)), saves("south", 10**9)], "north", Rule.CARD, id="card before deposits"),
        pytest.param([at("north", loan=loan(5)), at("south", loan=loan(6))], "south", Rule.LOAN, id="larger loan"),
        pytest.param([at("north", loan=loan(None)), at("south", loan=loan(0))], "south", Rule.LOAN, id="unknown last"),
        pytest.param(
            [at("north", loan=loan(5, ago(1))), at("south", loan=loan(5, ago(2)))], "south", Rule.LOAN, id="older loan"
        ),
        pytest.param([at("south", loan=loan(5)), at("north", loan=loan(5))], "north", Rule.LOAN, id="lowest branch id"),
        pytest.param([at("north", loan=loan(None)), saves("south", 10**9)], "north", Rule.LOAN, id="unknown is live"),
        pytest.param([at("north", card=card(5)), at("south", card=card(6))], "south", Rule.CARD, id="larger limit"),
        pytest.param([at("north", card=card(None)), at("south", card=card(0))], "south", Rule.CARD, id="no limit last"),
        pytest.param(
            [at("north", card=card(5, ago(1))), at("south", card=card(5, ago(2)))], "south", Rule.CARD, id="older card"
        ),
        pytest.param([at("south", card=card(5)), at("north", card=card(5))], "north", Rule.CARD, id="lowest of cards"),
        pytest.param([saves("north", 7), saves("south", 8)], "south", Rule.DEPOSIT, id="larger deposits"),
        pytest.param([saves("north", -9, ago(1)), saves("south", -5)], "south", Rule.DEPOSIT, id="negative is nothing"),
        pytest.param([saves("north", None), saves("south", None, ago(9))], "north", Rule.DEPOSIT, id="all unknown"),
        pytest.param([saves("north", 7, ago(1)), saves("south", 7)], "south", Rule.DEPOSIT, id="longer relationship"),
        pytest.param([at("north", loan_end_date=ago(90)), saves("south", 9)], "north", Rule.GRACE, id="last grace day"),
        pytest.param([at("north", loan_end_date=ago(91)), saves("south", 9)], "south", Rule.DEPOSIT, id="grace over"),
        pytest.param(
            [at("north", loan_end_date=ago(9)), at("south", loan=loan(1))], "south", Rule.LOAN, id="loan ends grace"
        ),
        pytest.param(
            [at("north", loan_end_date=ago(9)), at("south", card=card(1))], "north", Rule.GRACE, id="grace before card"
        ),
    ],
)
def test_who_is_primary_without_an_incumbent(facts: list[BranchFacts], winner: str, rule: Rule) -> None:
    first = run(*facts).owners[0]
    assert (first.branch_id, first.side, first.rule) == (winner, Side.PRIMARY, rule)


@pytest.mark.parametrize(
    ("incumbent", "challenger", "stays", "by_margin"),
    [
        pytest.param(100, 119, True, True, id="below the margin"),
        pytest.param(100, 120, False, False, id="at the margin"),
        pytest.param(0, 0, True, False, id="both nothing"),
        pytest.param(0, 1, False, False, id="something against nothing"),
        pytest.param(None, 0, True, False, id="nothing against unknown"),
        pytest.param(None, 1, False, False, id="something against unknown"),
        pytest.param(1, None, True, False, id="unknown against something"),
        pytest.param(-100, -50, False, False, id="less overdrawn"),
    ],
)
def test_a_challenger_needs_a_fifth_more(incumbent: int | None, challenger: int | None, stays, by_margin) -> None:
    before = run(saves("south", 1), saves("north", 0))
    after = run(saves("south", incumbent), saves("north", challenger), before=before)
    assert after.owners[0].branch_id == ("south" if stays else "north")
    assert after.owners[0].evidence.held_by_margin == by_margin


@pytest.mark.parametrize("challenger", [119, 120])
@pytest.mark.parametrize("of", [loan, card])
def test_loans_and_cards_are_challenged_as_deposits_are(
    of: Callable[..., LiveLoan | LiveCard], challenger: int
) -> None:
    kind = "loan" if of is loan else "card"
    before = run(at("south", **{kind: of(100)}))
    after = run(at("south", **{kind: of(100)}), at("north", **{kind: of(challenger)}), before=before)
    assert after.owners[0].branch_id == ("north" if challenger >= 120 else "south")


def test_whoever_leads_is_the_incumbent_whatever_rule_made_him_so() -> None:
    lock = Hold("h1", HoldKind.LOCK, "north", None, ago(9), TODAY)
    facts = (saves("north", 100), saves("south", 119))
    held = run(*facts, holds=(lock,), day=ago(1))
    assert told(held)[0] == ("north", "PRIMARY", "HELD")
    assert told(run(*facts, holds=(lock,), before=held))[0] == ("north", "PRIMARY", "DEPOSIT")
    assert run(*facts).owners[0].branch_id == "south", "without an incumbent the larger leads"
    graced = run(at("north", loan_end_date=ago(90), deposit_live=True, deposit_sum_minor=100), saves("south", 119))
    ended = run(*facts, before=graced, day=TODAY + timedelta(days=1))
    assert [told(each)[0] for each in (graced, ended)] == [
        ("north", "PRIMARY", "GRACE"),
        ("north", "PRIMARY", "DEPOSIT"),
    ]


def test_an_incumbent_without_a_loan_defends_nothing_against_one() -> None:
    before = run(saves("south", 10**9), saves("north", 1))
    after = run(saves("south", 10**9), at("north", loan=loan(1)), before=before)
    assert told(after) == [("north", "PRIMARY", "LOAN"), ("south", "SECONDARY", "SECONDARY")]


@pytest.mark.parametrize(
    ("facts", "manager"),
    [
        pytest.param(at("north", loan=loan(1, officer="officer")), "officer", id="the officer"),
        pytest.param(at("north", loan=loan(1, officer="left")), "heir", id="his successor"),
        pytest.param(at("north", loan=loan(1, officer="moved")), None, id="moved, successor left"),
        pytest.param(at("north", loan=loan(1, officer="stranger")), None, id="nobody we know"),
        pytest.param(at("north", loan=loan(1), card=card(1, manager="heir")), "heir", id="card manager if no officer"),
        pytest.param(at("north", card=card(1, manager="card_manager")), None, id="active elsewhere"),
        pytest.param(saves("north", 1), None, id="the virtual manager"),
    ],
)
def test_who_manages_a_row(facts: BranchFacts, manager: str | None) -> None:
    assert run(facts).owners[0].manager_id == manager


@pytest.mark.parametrize(
    ("facts", "manager"),
    [
        pytest.param(at("south", loan=loan(1, officer="moved")), "moved", id="another loan branch with its officer"),
        pytest.param(at("south", card=card(1, manager="card_manager")), "card_manager", id="the card and its manager"),
        pytest.param(
            at("south", loan=loan(1, officer="moved"), card=card(9, manager="card_manager")), "moved", id="loan first"
        ),
        pytest.param(saves("south", 10**9), None, id="deposits"),
        pytest.param(at("south", card=card(1, manager="heir")), None, id="a card's manager who works elsewhere"),
    ],
)
def test_besides_a_larger_loan_every_other_branch_is_secondary(facts: BranchFacts, manager: str | None) -> None:
    rows = run(at("north", loan=loan(100, officer="officer")), facts).owners
    assert [(row.branch_id, row.side, row.manager_id) for row in rows] == [
        ("north", Side.PRIMARY, "officer"),
        ("south", Side.SECONDARY, manager),
    ]


def test_promoted_and_demoted_branches_keep_the_managers_whom_their_heads_named() -> None:
    before = run(saves("north", 2), saves("south", 1))
    names = {"north": "named", "south": "card_manager"}
    rows = tuple(replace(row, named_manager_id=names[row.branch_id]) for row in before.owners)
    after = run(saves("north", 2), saves("south", 9), before=replace(before, owners=rows))
    # Naming a manager locks nothing either.
    assert [(row.branch_id, row.side, row.manager_id) for row in after.owners] == [
        ("south", Side.PRIMARY, "card_manager"),
        ("north", Side.SECONDARY, "named"),
    ]


def test_a_lock_holds_the_primary_branch_and_its_manager_alone() -> None:
    lock = Hold("h1", HoldKind.LOCK, "north", "named", ago(1), None)
    facts = (saves("north", 1), at("south", loan=loan(9, officer="moved")), at("west", last_live_date=ago(91)))
    rows = run(*facts, holds=(lock,)).owners
    assert [(row.branch_id, row.side, row.manager_id) for row in rows] == [
        ("north", Side.PRIMARY, "named"),
        ("south", Side.SECONDARY, "moved"),
    ]


def test_a_named_manager_steps_back_for_an_officer_and_returns_after_the_loan() -> None:
    before = run(saves("north", 1))
    named = replace(before, owners=(replace(before.owners[0], named_manager_id="named"),))
    with_loan = run(at("north", loan=loan(1, officer="officer"), deposit_live=True), before=named)
    assert with_loan.owners[0].manager_id == "officer"
    after = run(saves("north", 1), before=with_loan)
    assert after.owners[0].manager_id == "named"


def test_an_approved_transfer_of_a_borrower_holds_until_the_source_names_a_new_officer() -> None:
    override = (OfficerOverride("l1", "officer", "heir"),)
    assert run(at("north", loan=loan(1, officer="officer")), overrides=override).owners[0].manager_id == "heir"
    assert run(at("north", loan=loan(1, officer="named")), overrides=override).owners[0].manager_id == "named"
    other = at("north", loan=loan(1, officer="officer", loan_id="l2"))
    assert run(other, overrides=override).owners[0].manager_id == "officer"


def test_a_branch_without_business_runs_off_for_ninety_days_then_its_row_ends() -> None:
    first = run(saves("north", 1), saves("south", 2))
    gone = at("north", last_live_date=TODAY)
    running = run(gone, saves("south", 2), before=first, day=TODAY + timedelta(days=90))
    assert told(running) == [("south", "PRIMARY", "DEPOSIT"), ("north", "SECONDARY", "RUN_OFF")]
    assert running.next_look_date == running.owners[1].due_date == TODAY + timedelta(days=91)
    ended = run(gone, saves("south", 2), before=running, day=TODAY + timedelta(days=91))
    assert told(ended) == [("south", "PRIMARY", "DEPOSIT")]


def test_a_customer_without_business_becomes_former_and_keeps_his_last_row() -> None:
    first = run(saves("north", 1), saves("south", 2))
    nothing = (at("north", last_live_date=TODAY), at("south", last_live_date=TODAY))
    after = run(*nothing, before=first, day=TODAY + timedelta(days=91))
    assert (after.state, told(after)) == (State.FORMER, [("south", "PRIMARY", "DEPOSIT")])
    assert run(*nothing, before=after, day=TODAY + timedelta(days=92)) == after


@pytest.mark.parametrize(("months", "manager"), [(12, "named"), (13, None)])
def test_a_former_customer_keeps_his_manager_for_a_year(months: int, manager: str | None) -> None:
    first = run(saves("north", 1))
    named = replace(first, owners=(replace(first.owners[0], named_manager_id="named"),))
    former = run(at("north", last_live_date=ago(100)), before=named)
    assert former.former_date == TODAY
    back = run(saves("north", 1), before=former, day=months_after(TODAY, months))
    assert (back.state, back.owners[0].manager_id) == (State.LIVE, manager)


@pytest.mark.parametrize(
    ("kind", "facts", "winner"),
    [
        pytest.param(HoldKind.LOCK, at("south", loan=loan(10**9)), "north", id="no loan breaks a lock"),
        pytest.param(HoldKind.TRANSFER, at("south", loan=loan(10**9)), "north", id="nor a pending transfer"),
        pytest.param(HoldKind.PROTECTION, at("south", loan=loan(1)), "south", id="a loan breaks a protection"),
        pytest.param(HoldKind.PROTECTION, at("south", loan_end_date=ago(1)), "south", id="so does its grace"),
        pytest.param(HoldKind.PROTECTION, at("south", card=card(10**9)), "north", id="a card does not"),
        pytest.param(HoldKind.PROTECTION, saves("south", 10**9), "north", id="deposits do not"),
    ],
)
def test_what_a_hold_holds_against(kind: HoldKind, facts: BranchFacts, winner: str) -> None:
    hold = Hold("h1", kind, "north", None, ago(1), TODAY + timedelta(days=10))
    assert run(saves("north", 1), facts, holds=(hold,)).owners[0].branch_id == winner


def test_a_hold_stands_from_its_first_day_until_its_last() -> None:
    hold = Hold("h1", HoldKind.LOCK, "north", "officer", TODAY, TODAY + timedelta(days=10))
    facts = (saves("north", 1), saves("south", 10**9))
    before = run(*facts, holds=(hold,), day=ago(1))
    assert (before.owners[0].branch_id, before.next_look_date) == ("south", TODAY)
    held = run(*facts, holds=(hold,), before=before)
    first = held.owners[0]
    assert (first.branch_id, first.rule, first.manager_id) == ("north", Rule.HELD, "officer")
    assert (first.evidence.basis, first.due_date) == ("h1", hold.until_date)
    after = run(*facts, holds=(hold,), before=held, day=TODAY + timedelta(days=10))
    assert after.owners[0].branch_id == "south"


def test_a_protection_ends_after_thirty_days_without_contact() -> None:
    facts = (saves("north", 1), saves("south", 10**9))
    idle = Hold("h1", HoldKind.PROTECTION, "north", None, ago(60), TODAY + timedelta(days=30), ago(31))
    assert run(*facts, holds=(idle,)).owners[0].branch_id == "south"
    assert run(*facts, holds=(replace(idle, last_contact_date=ago(30)),)).owners[0].branch_id == "north"


def test_the_owners_of_the_dead_stay_as_they_are() -> None:
    before = run(saves("north", 1), saves("south", 2))
    after = run(saves("north", 10**9), at("south", last_live_date=ago(500)), before=before, frozen=True)
    assert (after.state, after.owners, after.next_look_date) == (State.FROZEN, before.owners, None)


def test_moving_amounts_alone_change_no_row() -> None:
    before = run(saves("north", 100), saves("south", 200))
    assert run(saves("north", 150), saves("south", 190), before=before).owners == before.owners


def test_evidence_names_the_best_rival() -> None:
    rows = run(saves("north", 3), saves("south", 9), saves("west", 5)).owners
    assert (rows[0].evidence.amount_minor, rows[0].evidence.rival_branch_id) == (9, "west")
    assert [(r.evidence.rival_branch_id, r.evidence.rival_amount_minor) for r in rows[1:]] == [("south", 9)] * 2


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2023, 11, 30), 1, date(2023, 12, 30)),
        (date(2023, 12, 15), 12, date(2024, 12, 15)),
    ],
)
def test_months_end_where_the_month_does(day: date, months: int, expected: date) -> None:
    assert months_after(day, months) == expected
