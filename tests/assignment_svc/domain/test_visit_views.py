"""How much of a visit somebody sees: the matrix, word by word."""

from datetime import UTC, date, datetime

import pytest

from policy.visibility import OwnerRow, Viewer, scope_of
from services.assignment_svc.domain.geography import Place
from services.assignment_svc.domain.visit_views import Insight, insight_of, reach_of, shown, sides_of
from services.assignment_svc.domain.visits import Content, DistanceBand, Fix, Visit, VisitKind, VisitState

NOON = datetime(2026, 6, 30, 4, tzinfo=UTC)
ROWS = [OwnerRow("north", "PRIMARY", "mia", "pam"), OwnerRow("south", "SECONDARY", "sue")]
BELOW = {"region": frozenset({"region", "north", "south"})}


def visit(staff_id: str = "mia", branch_id: str = "north", withdraw_time: datetime | None = None) -> Visit:
    return Visit(
        customer_id="c",
        visit_id="v",
        staff_id=staff_id,
        branch_id=branch_id,
        content=Content(VisitKind.VISIT, "talked"),
        fix=Fix(Place(30, 120), 10),
        distance_m=5,
        distance_band=DistanceBand.NEAR,
        state=VisitState.VALID,
        device_time=NOON,
        visit_date=date(2026, 6, 30),
        captured_offline=True,
        device_id="d",
        client_visit_id="x",
        version=1,
        create_time=NOON,
        update_time=NOON,
        withdraw_time=withdraw_time,
        withdraw_reason="",
    )


def insight(viewer: str, role: str, branch: str, made: Visit) -> Insight:
    scope = scope_of(Viewer(viewer, branch, frozenset({role})), BELOW.get(branch, frozenset({branch})))
    sides = sides_of(viewer, "c", ROWS, scope)
    return Insight.NONE if sides is None else insight_of(made, sides)


@pytest.mark.parametrize(
    ("viewer", "role", "branch", "of_north", "of_south"),
    [
        ("mia", "MANAGER", "north", Insight.AUTHOR, Insight.OTHERS),
        ("sue", "MANAGER", "south", Insight.NONE, Insight.AUTHOR),
        ("pam", "PRIVATE_MANAGER", "office", Insight.OTHERS, Insight.OTHERS),
        ("hal", "BRANCH_HEAD", "north", Insight.SUPERVISOR, Insight.OTHERS),
        ("hub", "BRANCH_HEAD", "south", Insight.NONE, Insight.SUPERVISOR),
        ("rex", "BRANCH_HEAD", "region", Insight.SUPERVISOR, Insight.SUPERVISOR),
        ("ned", "MANAGER", "north", Insight.NONE, Insight.NONE),
        ("tim", "TELLER", "north", Insight.NONE, Insight.NONE),
        ("pim", "PRIVATE_MANAGER", "office", Insight.NONE, Insight.NONE),
        ("c", "BRANCH_HEAD", "region", Insight.NONE, Insight.NONE),
    ],
)
def test_who_sees_how_much(viewer, role, branch, of_north, of_south) -> None:
    assert insight(viewer, role, branch, visit()) is of_north
    assert insight(viewer, role, branch, visit("sue", "south")) is of_south


def test_a_withdrawn_visit_is_for_its_author_and_the_supervisor() -> None:
    gone = visit(withdraw_time=NOON)
    assert insight("pam", "PRIVATE_MANAGER", "office", gone) is Insight.NONE
    assert insight("mia", "MANAGER", "north", gone) is Insight.AUTHOR
    assert insight("hal", "BRANCH_HEAD", "north", gone) is Insight.SUPERVISOR


def test_nobody_supervises_himself() -> None:
    assert insight("hal", "BRANCH_HEAD", "north", visit("hal")) is Insight.AUTHOR
    assert insight("rex", "BRANCH_HEAD", "region", visit("hal")) is Insight.SUPERVISOR


def test_coordinates_are_shown_to_the_supervisor_and_the_state_to_the_author_too() -> None:
    whole = visit()
    assert shown(whole, Insight.SUPERVISOR) == whole
    to_author = shown(whole, Insight.AUTHOR)
    assert (to_author.fix, to_author.state, to_author.distance_m) == (None, VisitState.VALID, 5)
    to_others = shown(whole, Insight.OTHERS)
    assert (to_others.fix, to_others.state, to_others.distance_m, to_others.distance_band) == (None, None, None, None)
    assert (to_others.device_id, to_others.content) == ("", whole.content)


def test_a_reach_holds_what_opens_more_than_existence() -> None:
    reach = reach_of("mia", scope_of(Viewer("mia", "north", frozenset({"MANAGER"})), frozenset({"north"})))
    assert [(one.branch_ids, one.manager_id) for one in reach.openings] == [(frozenset({"north"}), "mia")]
    assert reach.supervised == frozenset()
    head = reach_of("rex", scope_of(Viewer("rex", "region", frozenset({"BRANCH_HEAD"})), BELOW["region"]))
    assert head.supervised == BELOW["region"]
