from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from policy.visibility import Grant, Level, Scope
from services.customer_svc.domain.contact_room import ContactRoom, Standing
from services.customer_svc.domain.customer import (
    BranchBusiness,
    Business,
    Identity,
    Owner,
    RelatedPerson,
    Root,
    Totals,
    view,
)

SINCE = date(2026, 1, 1)
NOW = datetime(2026, 6, 30, tzinfo=UTC)
OWNERS = [
    Owner("b2", "SECONDARY", "m2", SINCE),
    Owner("b1", "PRIMARY", "m1", SINCE),
    Owner("b3", "SECONDARY", None, None),
]
ROOT = Root(Identity("c1", mobile="13812345678", state="FROZEN"), OWNERS, SINCE, 10, 9)


def head_of(*branches: str) -> Scope:
    return Scope(branches[0], (Grant(frozenset(branches)),))


@pytest.mark.parametrize(
    ("at_branches", "outstanding"),
    [
        ([], None),
        pytest.param([Totals(loan_count=1, loan_outstanding_minor=5)], 5, id="one"),
        pytest.param(
            [Totals(loan_count=1, loan_outstanding_minor=5), Totals(loan_count=2, loan_outstanding_minor=6)],
            11,
            id="two branches add up",
        ),
        pytest.param([Totals(loan_count=1, loan_outstanding_minor=5), Totals()], 5, id="a branch without loans"),
        pytest.param([Totals(loan_count=1, loan_outstanding_minor=5), Totals(loan_count=1)], None, id="one is unknown"),
    ],
)
def test_an_unknown_part_makes_the_sum_unknown(at_branches: list[Totals], outstanding: int | None) -> None:
    by_branch = [(f"b{number}", totals) for number, totals in enumerate(at_branches)]
    total = view(ROOT, Business(by_branch), head_of("b1")).total
    assert total is not None
    assert total.loan_outstanding_minor == outstanding
    assert (total.deposit_balance_minor, total.deposit_average_minor) == (10, 9)


def test_the_primary_side_sees_the_other_branches_besides_its_own() -> None:
    by_branch = [("b1", Totals(account_count=1)), ("b2", Totals(account_count=2))]
    shown = view(ROOT, Business(by_branch, BranchBusiness("b1")), head_of("b1"))
    assert shown.other_branches == (("b2", Totals(account_count=2)),)
    assert [owner.branch_id for owner in shown.owners] == ["b1", "b2", "b3"]


@pytest.mark.parametrize(("branch", "refused"), [("b1", NOW), ("b2", None)])
def test_what_came_of_contacts_is_for_the_primary_side(branch: str, refused: datetime | None) -> None:
    room = ContactRoom("c1", last_contact_time=NOW, last_refusal_time=NOW, last_campaign_id="k", last_outcome="REFUSED")
    shown = view(ROOT, Business(standing=Standing(room)), head_of(branch)).standing
    assert shown is not None
    assert (shown.room.last_contact_time, shown.room.last_refusal_time) == (NOW, refused)
    assert (shown.room.last_campaign_id is None, shown.room.last_outcome is None) == (refused is None,) * 2


def test_a_secondary_side_sees_its_row_and_which_branch_leads() -> None:
    shown = view(ROOT, Business([("b2", Totals())], BranchBusiness("b2")), head_of("b2"))
    assert shown.owners == (Owner("b1", "PRIMARY", None, None), OWNERS[0])
    assert shown.total is None
    assert shown.other_branches == ()


@pytest.mark.parametrize("state", ["ACTIVE", "DECEASED", "FROZEN"])
def test_a_secondary_side_gets_the_same_answer_whatever_the_state(state: str) -> None:
    root = replace(ROOT, identity=Identity("c1", state=state, update_time=datetime(2026, 1, len(state), tzinfo=UTC)))
    shown = view(root, Business(), head_of("b2"))
    assert (shown.identity.state, shown.identity.update_time) == ("ACTIVE", None)
    assert {"state", "update_time"} <= set(shown.masked_fields)
    assert view(root, Business(), head_of("b1")).identity == root.identity


def test_existence_is_the_id_and_nothing_else() -> None:
    scope = Scope("b1", (Grant(frozenset({"b1"}), existence_only=True),))
    shown = view(ROOT, Business([("b1", Totals(account_count=1))], BranchBusiness("b1")), scope)
    assert shown.level == Level.EXISTENCE
    assert shown.identity == Identity("c1")
    assert (shown.owners, shown.total, shown.own, shown.business_date) == ((), None, None, None)


def test_related_people_are_masked_for_everybody() -> None:
    person = RelatedPerson("disponent", "c2", "李四", "13712345678")
    for scope in (head_of("b1"), head_of("b2"), Scope("", everyone=True)):
        [shown] = view(ROOT, Business(related_people=[person]), scope).related_people
        assert shown.mobile == "137****5678"


def test_a_hidden_customer_is_never_shown() -> None:
    with pytest.raises(AssertionError):
        view(ROOT, Business(), head_of("b9"))
