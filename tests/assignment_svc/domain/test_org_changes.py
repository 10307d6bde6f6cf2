"""How the tree stands on a day, held against a slow look at every branch."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.org_changes import BranchPeriod, Plan, PlanState, Subject, tree_on
from services.assignment_svc.domain.organisation import Branch

DAY = date(2026, 5, 4)
NOW = datetime(2026, 5, 4, tzinfo=UTC)
IDS = "abcdefg"


def branch(name: str, *, closed: bool) -> Branch:
    return Branch(name, name, None, None, None, DAY - timedelta(days=1) if closed else None, None, NOW)


def period(name: str, parent: str | None) -> BranchPeriod:
    return BranchPeriod(name, 1, name, parent, None, date.min, None)


def plan(name: str, parent: str | None) -> Plan:
    return Plan("p", Subject.BRANCH, name, {"parent_id": parent}, DAY, PlanState.PENDING, "", "", NOW)


@given(
    st.dictionaries(st.sampled_from(IDS), st.none() | st.sampled_from(IDS), min_size=1),
    st.lists(st.tuples(st.sampled_from(IDS), st.none() | st.sampled_from(IDS)), max_size=3),
    st.sets(st.sampled_from(IDS)),
    st.sampled_from(IDS),
)
def test_the_tree_has_what_leads_up_to_its_root(parents, moves, closed, root) -> None:
    branches = [branch(name, closed=name in closed) for name in IDS]
    nodes = tree_on(DAY, root, branches, [period(*one) for one in parents.items()], [plan(*one) for one in moves])
    moved = dict(parents) | {name: parent for name, parent in moves if name in parents}

    def way_up(name: str) -> list[str]:
        way = [name]
        while way[-1] != root and moved.get(way[-1]) in moved and moved[way[-1]] not in way:
            way.append(moved[way[-1]])
        return way

    expected = {
        name: len(way_up(name)) - 1
        for name in moved
        if way_up(name)[-1] == root and root in moved and name not in closed
    }
    assert {node.branch.branch_id: node.depth for node in nodes} == expected
    assert {node.branch.branch_id for node in nodes if node.planned} == {name for name, _ in moves if name in expected}


def test_parents_come_before_their_children_and_these_by_id() -> None:
    told = tree_on(
        DAY,
        "a",
        [branch(name, closed=False) for name in "abcd"],
        [period("a", None), period("c", "a"), period("b", "a"), period("d", "b")],
        [],
    )
    assert [(node.branch.branch_id, node.depth) for node in told] == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_closed_branches_are_told_if_one_wants_them() -> None:
    branches = [branch("a", closed=True), branch("b", closed=False)]
    periods = [period("a", None), period("b", "a")]
    assert [node.branch.branch_id for node in tree_on(DAY, "a", branches, periods, [])] == ["b"]
    whole = tree_on(DAY, "a", branches, periods, [], show_closed=True)
    assert [node.branch.branch_id for node in whole] == ["a", "b"]
