from datetime import UTC, datetime, timedelta

import pytest

from services.customer_svc.domain.merges import (
    TRANSITIONS,
    Event,
    Merge,
    Person,
    State,
    Verb,
    answers_for,
    is_complete,
    is_involved,
    sees,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TREE = {"north": {"north", "b1", "b2"}, "b1": {"b1"}, "b2": {"b2"}}


def head(branch_id, staff_id=""):
    below = frozenset(TREE[branch_id])
    return Person(staff_id or f"h-{branch_id}", branch_id, leads=True, subtree=below, at_top=branch_id == "north")


def manager(branch_id):
    return Person("m", branch_id, leads=False, subtree=frozenset({branch_id}), at_top=False)


def merge(state=State.PROPOSED, primary=("b1",), proposer=None, events=()):
    by = proposer or manager("b1")
    told = [Event(verb, actor, branch_id, "", NOW) for verb, actor, branch_id in events]
    return Merge(
        *("m1", "s", "t", "one", state, by.staff_id, by.branch_id, by.leads, 1, NOW, NOW, NOW, frozenset(primary)),
        events=[Event(Verb.PROPOSE, by.staff_id, by.branch_id, "", NOW), *told],
    )


def test_every_state_that_waits_for_somebody_can_be_left():
    assert {state for state, _ in TRANSITIONS} == {State.PROPOSED, State.RUNNING, State.DONE, State.UNDOING}
    assert all(TRANSITIONS[key] is not key[0] for key in TRANSITIONS)


@pytest.mark.parametrize(
    ("about", "person", "branches"),
    [
        (merge(), head("b1"), {"b1"}),
        (merge(), head("b2"), set()),
        (merge(), manager("b1"), set()),
        # Who leads a branch above answers only where the one who leads the branch proposed it himself.
        (merge(), head("north"), set()),
        (merge(proposer=head("b1")), head("north"), {"b1"}),
        (merge(primary=("b1", "b2")), head("b2"), {"b2"}),
        (merge(primary=()), head("north"), {"north"}),
        (merge(primary=()), head("b1"), set()),
        # An undo is for those who approved it, wherever the customers are now.
        (merge(State.DONE, ("b2",), events=[(Verb.APPROVE, "x", "b1")]), head("b1"), {"b1"}),
        (merge(State.DONE, ("b2",), events=[(Verb.APPROVE, "x", "b1")]), head("b2"), set()),
    ],
)
def test_who_answers_for_which_branch(about, person, branches):
    assert answers_for(about, person) == branches


def test_a_merge_is_approved_when_all_who_are_asked_have():
    both = merge(primary=("b1", "b2"))
    assert not is_complete(both, Verb.APPROVE, frozenset({"b1"}))
    approved = merge(primary=("b1", "b2"), events=[(Verb.APPROVE, "x", "b1")])
    assert approved.waiting == {"b2"}
    assert is_complete(approved, Verb.APPROVE, frozenset({"b2"}))


def test_nobody_is_asked_for_an_undo_before_somebody_wants_it():
    approvals = [(Verb.APPROVE, "x", "b1"), (Verb.APPROVE, "y", "b2")]
    assert merge(State.DONE, events=approvals).waiting == set()
    assert merge(State.DONE, events=[*approvals, (Verb.UNDO, "x", "b1")]).waiting == {"b2"}
    assert merge(State.DONE).undo_until_time == NOW + timedelta(days=30)


def test_the_proposer_and_the_two_customers_decide_nothing():
    assert is_involved(merge(), manager("b1"))
    assert is_involved(merge(), head("b1", "t"))
    assert not is_involved(merge(), head("b1"))


def test_who_knows_of_a_merge():
    about = merge(primary=("b2",))
    assert sees(about, manager("b1"))
    assert sees(about, head("b2"))
    assert sees(about, head("north"))
    assert not sees(about, head("b1"))
