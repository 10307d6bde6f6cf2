"""Changing branches and staff over the wire: what is stored, refused, planned, told to followers and logged."""

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import org_service_pb2 as pb
from banyan.assignment.v1 import org_service_pb2_grpc
from banyan.assignment.v1.branch_pb2 import Branch
from banyan.assignment.v1.org_change_pb2 import OrgChangeEntry, PlannedOrgChange
from banyan.assignment.v1.staff_pb2 import ROLE_ADMIN, ROLE_BRANCH_HEAD, ROLE_MANAGER, ROLE_SERVICE, Staff
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict

from chassis import clock, wire
from chassis.caller import Role
from services.assignment_svc.usecases.plans import apply_next

WHY = "reorganised"


@pytest.fixture
def stub(service):
    return org_service_pb2_grpc.OrgServiceStub(service.channel)


def today() -> date:
    return clock.bank_date(clock.now())


def day(days: int) -> Any:
    return wire.date_to_wire(today() + timedelta(days=days))


async def branch_of(office, stub, name: str) -> Branch:
    return await office.ask(stub.GetBranch, pb.GetBranchRequest(name=f"branches/{name}"))


async def staff_of(office, stub, name: str) -> Staff:
    return await office.ask(stub.GetStaff, pb.GetStaffRequest(name=f"staff/{name}"))


async def update_branch(office, stub, name: str, mask: str, effective: int | None = None, **fields):
    seen = await branch_of(office, stub, name)
    request = pb.UpdateBranchRequest(
        branch=Branch(name=seen.name, etag=seen.etag, **fields),
        update_mask=FieldMask(paths=mask.split()),
        effective_date=None if effective is None else day(effective),
        reason=WHY,
    )
    return await office.ask(stub.UpdateBranch, request)


async def update_staff(office, stub, name: str, mask: str, effective: int | None = None, **fields):
    seen = await staff_of(office, stub, name)
    request = pb.UpdateStaffRequest(
        staff=Staff(name=seen.name, etag=seen.etag, **fields),
        update_mask=FieldMask(paths=mask.split()),
        effective_date=None if effective is None else day(effective),
        reason=WHY,
    )
    return await office.ask(stub.UpdateStaff, request)


async def tree(office, stub, root: str = "root", days: int | None = None, **given) -> list[tuple[str, int, bool]]:
    request = pb.GetBranchTreeRequest(name=f"branches/{root}", **given)
    if days is not None:
        request.as_of_date.CopyFrom(day(days))
    told = await office.ask(stub.GetBranchTree, request)
    return [(node.branch.name.removeprefix("branches/"), node.depth, node.planned) for node in told.nodes]


async def log_of(office, stub, **asked) -> list[OrgChangeEntry]:
    told = await office.ask(stub.ListOrgChangeEntries, pb.ListOrgChangeEntriesRequest(**asked))
    return list(told.org_change_entries)


async def apply_all(office) -> None:
    while await office.service.parts.database.repeat(apply_next) is not None:
        pass


async def test_a_branch_is_made_and_its_tree_and_its_log_tell_of_it(office, stub) -> None:
    name = f"b-{uuid.uuid4().hex[:8]}"
    request = pb.CreateBranchRequest(
        branch_id=name, branch=Branch(display_name=" East ", parent="branches/north", legal_entity="e1"), reason=WHY
    )
    made = await office.ask(stub.CreateBranch, request)
    assert (made.name, made.display_name, made.parent, made.legal_entity) == (
        f"branches/{name}",
        "East",
        "branches/north",
        "e1",
    )
    again = await office.ask(stub.CreateBranch, request)
    assert again == made
    assert await tree(office, stub, "north") == [("north", 0, False), (name, 1, False), ("leaf", 1, False)]
    (entry,) = await log_of(office, stub, subject=OrgChangeEntry.SUBJECT_BRANCH, subject_id=name)
    assert (entry.actor, entry.method, entry.reason, entry.action) == (
        "admin",
        "CreateBranch",
        WHY,
        OrgChangeEntry.ACTION_CREATED,
    )
    assert MessageToDict(entry.after)["display_name"] == "East"
    assert await office.ask(stub.GetOrgChangeEntry, pb.GetOrgChangeEntryRequest(name=entry.name)) == entry


@pytest.mark.parametrize(
    ("given", "reason", "fields"),
    [
        ({"branch_id": "north"}, "ORG_ID_TAKEN", []),
        ({"branch_id": "a b"}, "FIELD_INVALID", ["branch_id"]),
        ({"branch": Branch(display_name=" ")}, "FIELD_INVALID", ["branch.display_name"]),
        ({"branch": Branch(display_name="x" * 101)}, "FIELD_INVALID", ["branch.display_name"]),
        ({"branch": Branch(display_name="x", parent="north")}, "FIELD_INVALID", ["branch.parent"]),
        ({"branch": Branch(display_name="x", parent="branches/none")}, "REFERENCE_UNKNOWN", ["branch.parent"]),
        ({"branch": Branch(display_name="x", parent="branches/new")}, "BRANCH_CYCLE", ["branch.parent"]),
        ({"branch": Branch(display_name="x", open_date=day(2), close_date=day(1))}, "FIELD_INVALID", None),
        ({"reason": " "}, "FIELD_INVALID", ["reason"]),
        ({"reason": "x" * 401}, "FIELD_INVALID", ["reason"]),
        ({"request_id": "no-uuid"}, "FIELD_INVALID", ["request_id"]),
    ],
)
async def test_a_branch_that_cannot_be_is_refused_with_its_field(office, stub, given, reason, fields) -> None:
    whole = {"branch_id": "new", "branch": Branch(display_name="x"), "reason": WHY} | given
    told, _, violated = await office.refusal(office.ask(stub.CreateBranch, pb.CreateBranchRequest(**whole)))
    assert told == reason
    assert fields is None or violated == fields


async def test_a_branch_moves_in_the_tree_and_its_past_is_kept(office, stub) -> None:
    await office.run("UPDATE branch_period SET from_date = '2020-01-01'")
    changed = await update_branch(
        office, stub, "leaf", "parent display_name", parent="branches/south", display_name="L2"
    )
    assert (changed.branch.parent, changed.branch.display_name) == ("branches/south", "L2")
    assert not changed.HasField("planned_org_change")
    assert await tree(office, stub, "south") == [("south", 0, False), ("leaf", 1, False)]
    assert await tree(office, stub, "north", -1) == [("north", 0, False), ("leaf", 1, False)]
    request = pb.ListBranchPeriodsRequest(parent="branches/leaf", page_size=1)
    first = await office.ask(stub.ListBranchPeriods, request)
    request.page_token = first.next_page_token
    second = await office.ask(stub.ListBranchPeriods, request)
    told = [
        (one.parent, one.from_date, one.HasField("until_date"))
        for one in (*first.branch_periods, *second.branch_periods)
    ]
    assert told == [("branches/south", day(0), False), ("branches/north", wire.date_to_wire(date(2020, 1, 1)), True)]
    (entry,) = (await log_of(office, stub, subject_id="leaf"))[:1]
    assert MessageToDict(entry.before) == {"parent_id": "north", "display_name": "Leaf"}
    assert MessageToDict(entry.after) == {"parent_id": "south", "display_name": "L2"}


async def test_a_tree_never_gets_a_circle_even_by_two_at_once(office, stub) -> None:
    told = await office.refusal(update_branch(office, stub, "root", "parent", parent="branches/leaf"))
    assert (told[0], told[2]) == ("BRANCH_CYCLE", ["branch.parent"])
    answers = await asyncio.gather(
        update_branch(office, stub, "north", "parent", parent="branches/south"),
        update_branch(office, stub, "south", "parent", parent="branches/north"),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, grpc.aio.AioRpcError) for answer in answers) == 1


async def test_who_did_not_read_what_is_there_now_is_refused(office, stub) -> None:
    seen = await branch_of(office, stub, "north")
    await update_branch(office, stub, "north", "display_name", display_name="N2")
    late = pb.UpdateBranchRequest(branch=Branch(name=seen.name, etag=seen.etag, display_name="N3"), reason=WHY)
    assert (await office.refusal(office.ask(stub.UpdateBranch, late)))[0] == "ETAG_OLD"
    late.branch.etag = ""
    assert (await office.refusal(office.ask(stub.UpdateBranch, late)))[2] == ["branch.etag"]


@pytest.mark.parametrize(("mask", "field"), [("nonsense", "update_mask.paths[0]"), ("head", "update_mask")])
async def test_a_mask_that_names_nothing_changeable_is_refused(office, stub, mask: str, field: str) -> None:
    assert (await office.refusal(update_branch(office, stub, "north", mask, display_name="x")))[2] == [field]


async def test_a_branch_closes_when_nothing_is_left_there(office, stub) -> None:
    async def close(name: str, **given):
        seen = await branch_of(office, stub, name)
        request = pb.CloseBranchRequest(name=seen.name, etag=seen.etag, reason=WHY, **given)
        return await office.ask(stub.CloseBranch, request)

    await office.run("INSERT INTO ownership (customer_id, state, business_date) VALUES ('c1', 'LIVE', '2026-01-01')")
    await office.run(
        "INSERT INTO owner (customer_id, branch_id, side, rule, held_by_margin, since_date, from_date, actor)"
        " VALUES ('c1', 'north', 'PRIMARY', 'DEPOSIT', false, '2026-01-01', '2026-01-01', 'x')"
    )
    told = await office.refusal(close("north"))
    assert told[:2] == ("BRANCH_NOT_EMPTY", {"customers": "1", "staff": "2", "branches": "1"})
    assert (await office.refusal(close("south", close_date=day(-2))))[2] == ["close_date"]
    closed = await close("south")
    assert closed.branch.close_date == day(-1)
    assert [name for name, _, _ in await tree(office, stub)] == ["root", "north", "leaf"]
    assert "south" in [name for name, _, _ in await tree(office, stub, show_closed=True)]
    late = await office.refusal(update_staff(office, stub, "m1", "branch", branch="branches/south"))
    assert (late[0], late[2]) == ("BRANCH_CLOSED", ["staff.branch"])
    below = await office.refusal(update_branch(office, stub, "leaf", "parent", parent="branches/south"))
    assert (below[0], below[2]) == ("BRANCH_CLOSED", ["branch.parent"])


async def test_a_later_change_waits_for_its_day_is_shown_and_then_made(office, stub) -> None:
    planned = await update_branch(office, stub, "leaf", "parent", 3, parent="branches/south")
    assert planned.branch.parent == "branches/north"
    plan = planned.planned_org_change
    assert (plan.state, plan.branch.parent, list(plan.update_mask.paths), plan.effective_date) == (
        PlannedOrgChange.STATE_PENDING,
        "branches/south",
        ["parent"],
        day(3),
    )
    listed = await office.ask(stub.ListPlannedOrgChanges, pb.ListPlannedOrgChangesRequest(subject="branches/leaf"))
    assert list(listed.planned_org_changes) == [plan]
    assert await tree(office, stub, "south", 3) == [("south", 0, False), ("leaf", 1, True)]
    assert await tree(office, stub, "south", 2) == [("south", 0, False)]
    await apply_all(office)
    assert (await branch_of(office, stub, "leaf")).parent == "branches/north"
    await office.run("UPDATE planned_org_change SET effective_date = :day", day=today())
    await apply_all(office)
    assert (await branch_of(office, stub, "leaf")).parent == "branches/south"
    made = await office.ask(stub.GetPlannedOrgChange, pb.GetPlannedOrgChangeRequest(name=plan.name))
    assert made.state == PlannedOrgChange.STATE_APPLIED
    (entry,) = (await log_of(office, stub, subject=OrgChangeEntry.SUBJECT_BRANCH, subject_id="leaf"))[:1]
    assert (entry.actor, entry.method, entry.reason) == ("admin", "ApplyPlannedOrgChange", WHY)


async def test_a_head_is_told_what_is_planned_of_branches_and_of_his_own_staff_only(office, stub) -> None:
    await update_branch(office, stub, "leaf", "parent", 3, parent="branches/south")
    mine = (await update_staff(office, stub, "m2", "branch", 3, branch="branches/north")).planned_org_change
    theirs = (await update_staff(office, stub, "boss", "branch", 3, branch="branches/south")).planned_org_change

    async def seen(*roles: Role, **by: str) -> set[str]:
        listed = await office.ask(stub.ListPlannedOrgChanges, pb.ListPlannedOrgChangesRequest(), *roles, **by)
        return {one.branch.name or one.staff.name for one in listed.planned_org_changes}

    assert await seen() == {"branches/leaf", "staff/m2", "staff/boss"}
    assert await seen(Role.BRANCH_HEAD, staff="head", branch="north") == {"branches/leaf", "staff/m2"}
    by_head = (Role.BRANCH_HEAD,)
    asked = pb.GetPlannedOrgChangeRequest(name=mine.name)
    assert await office.ask(stub.GetPlannedOrgChange, asked, *by_head, staff="head", branch="north") == mine
    asked = pb.GetPlannedOrgChangeRequest(name=theirs.name)
    hidden = office.ask(stub.GetPlannedOrgChange, asked, *by_head, staff="head", branch="north")
    assert (await office.refusal(hidden))[0] == "NOT_FOUND"


async def test_a_planned_change_is_taken_back_once(office, stub) -> None:
    plan = (await update_staff(office, stub, "m1", "branch", 5, branch="branches/leaf")).planned_org_change
    request = pb.WithdrawPlannedOrgChangeRequest(name=plan.name, reason="no more")
    told = await office.ask(stub.WithdrawPlannedOrgChange, request)
    assert told.planned_org_change.state == PlannedOrgChange.STATE_WITHDRAWN
    again = pb.WithdrawPlannedOrgChangeRequest(name=plan.name, reason="no more")
    refused = await office.refusal(office.ask(stub.WithdrawPlannedOrgChange, again))
    assert refused[:2] == ("PLAN_ENDED", {"state": "WITHDRAWN"})


async def test_a_plan_that_cannot_be_made_on_its_day_has_failed_and_changed_nothing(office, stub) -> None:
    plan = (
        await update_staff(office, stub, "m1", "login branch", 1, login="new", branch="branches/leaf")
    ).planned_org_change
    await update_staff(office, stub, "m2", "login", login="new")
    await office.run("UPDATE planned_org_change SET effective_date = :day", day=today())
    await apply_all(office)
    told = await office.ask(stub.GetPlannedOrgChange, pb.GetPlannedOrgChangeRequest(name=plan.name))
    assert told.state == PlannedOrgChange.STATE_FAILED
    assert told.failure.startswith("LOGIN_TAKEN: ")
    assert (await staff_of(office, stub, "m1")).branch == "branches/north"


async def test_a_day_that_has_passed_is_refused(office, stub) -> None:
    told = await office.refusal(update_branch(office, stub, "leaf", "display_name", -1, display_name="x"))
    assert (told[0], told[2]) == ("FIELD_INVALID", ["effective_date"])


async def test_staff_are_made_and_what_they_cannot_be_is_refused(office, stub) -> None:
    good = Staff(display_name="Li", branch="branches/north", roles=[ROLE_MANAGER, ROLE_MANAGER], login="li")
    made = await office.ask(stub.CreateStaff, pb.CreateStaffRequest(staff_id="li", staff=good, reason=WHY))
    assert (made.name, list(made.roles), made.login) == ("staff/li", [ROLE_MANAGER], "li")
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"roles": [ROLE_SERVICE]}, "FIELD_INVALID", "staff.roles"),
        ({"branch": "branches/none"}, "REFERENCE_UNKNOWN", "staff.branch"),
        ({"branch": ""}, "FIELD_INVALID", "staff.branch"),
        ({"login": "mei"}, "LOGIN_TAKEN", "staff.login"),
        ({"login": "x" * 65}, "FIELD_INVALID", "staff.login"),
        ({"successor": "staff/l2"}, "FIELD_INVALID", "staff.successor"),
        ({"successor": "staff/none"}, "REFERENCE_UNKNOWN", "staff.successor"),
        ({"active_from_date": day(2), "active_until_date": day(1)}, "FIELD_INVALID", "staff.active_until_date"),
    ]
    for given, reason, field in cases:
        bad = Staff()
        bad.CopyFrom(good)
        bad.login = "l2"
        for name, value in given.items():
            bad.ClearField(name)
            bad.MergeFrom(Staff(**{name: value}))
        request = pb.CreateStaffRequest(staff_id="l2", staff=bad, reason=WHY)
        told = await office.refusal(office.ask(stub.CreateStaff, request))
        assert (told[0], told[2]) == (reason, [field])


async def test_nobody_changes_his_own_roles_and_only_administrators_change_anybody(office, stub) -> None:
    told = await office.refusal(update_staff(office, stub, "admin", "roles", roles=[ROLE_ADMIN, ROLE_BRANCH_HEAD]))
    assert (told[0], told[2]) == ("OWN_ACCOUNT", ["staff.roles"])
    seen = await staff_of(office, stub, "m1")
    request = pb.UpdateStaffRequest(staff=Staff(name=seen.name, etag=seen.etag, display_name="x"), reason=WHY)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.ask(stub.UpdateStaff, request, Role.BRANCH_HEAD, staff="head", branch="north")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_new_head_is_told_by_his_branch_and_lost_rights_end_sessions(office, stub) -> None:
    await office.run(
        "INSERT INTO session (session_id, staff_id, refresh_hash, used_hashes, access_expire_time, expire_time, ended)"
        " VALUES ('s1', 'head', '', '{}', now() + interval '1 hour', now() + interval '1 hour', false)"
    )
    before = await branch_of(office, stub, "south")
    changed = await update_staff(office, stub, "head", "branch", branch="branches/south")
    assert changed.staff.branch == "branches/south"
    after = await branch_of(office, stub, "south")
    assert after.head == "staff/head"
    assert after.etag != before.etag
    assert (await branch_of(office, stub, "north")).head == ""
    assert await office.run("SELECT ended FROM session") == [(True,)]


async def test_a_member_leaves_with_a_successor_and_without_sessions(office, stub) -> None:
    seen = await staff_of(office, stub, "m1")
    request = pb.DeactivateStaffRequest(name=seen.name, etag=seen.etag, successor="staff/m2", reason="retired")
    told = await office.ask(stub.DeactivateStaff, request)
    assert (told.staff.active_until_date, told.staff.successor) == (day(-1), "staff/m2")
    own = await staff_of(office, stub, "admin")
    mine = pb.DeactivateStaffRequest(name=own.name, etag=own.etag, reason="tired")
    assert (await office.refusal(office.ask(stub.DeactivateStaff, mine)))[0] == "OWN_ACCOUNT"


async def test_many_are_changed_all_or_none_and_every_bad_line_is_told(office, stub) -> None:
    def update(seen: Staff, **fields) -> pb.BatchUpdateStaffRequest.Update:
        return pb.BatchUpdateStaffRequest.Update(staff=Staff(name=seen.name, etag=seen.etag, **fields))

    m1, m2, admin = [await staff_of(office, stub, name) for name in ("m1", "m2", "admin")]
    swapped = pb.BatchUpdateStaffRequest(updates=[update(m1, login="min"), update(m2, login="mei")], reason=WHY)
    told = await office.ask(stub.BatchUpdateStaff, swapped)
    assert [one.login for one in told.staff] == ["min", "mei"]
    m1, m2 = told.staff
    bad = [
        update(m1, login="hua"),
        update(m2, branch="branches/none"),
        update(m2, display_name="twice"),
        update(Staff(name="staff/nobody", etag="1"), display_name="x"),
        update(admin, roles=[ROLE_ADMIN, ROLE_MANAGER]),
        update(Staff(name="staff/head", etag="old"), display_name="fine"),
    ]
    expected = [
        (0, "staff.login", "LOGIN_TAKEN"),
        (1, "staff.branch", "REFERENCE_UNKNOWN"),
        (2, "staff.name", "FIELD_INVALID"),
        (3, "staff.name", "NOT_FOUND"),
        (4, "staff.roles", "OWN_ACCOUNT"),
        (5, "staff.etag", "ETAG_OLD"),
    ]
    request = pb.BatchUpdateStaffRequest(updates=bad, reason=WHY, validate_only=True)
    lines = (await office.ask(stub.BatchUpdateStaff, request)).bad_lines
    assert [(line.index, line.field, line.reason) for line in lines] == expected
    request = pb.BatchUpdateStaffRequest(updates=bad, reason=WHY)
    reason, metadata, fields = await office.refusal(office.ask(stub.BatchUpdateStaff, request))
    assert (reason, metadata) == ("BATCH_REFUSED", {"bad_lines": "6"})
    assert fields == [f"updates[{index}].{field}" for index, field, _ in expected]
    assert (await staff_of(office, stub, "m2")).display_name == "Min"


async def test_the_log_is_paged_filtered_and_never_changed(office, stub) -> None:
    for name in ("A", "B", "C"):
        await update_branch(office, stub, "leaf", "display_name", display_name=name)
    request = pb.ListOrgChangeEntriesRequest(subject_id="leaf", actor="admin", page_size=2)
    first = await office.ask(stub.ListOrgChangeEntries, request, Role.AUDITOR, staff="auditor")
    names = [MessageToDict(entry.after)["display_name"] for entry in first.org_change_entries]
    assert names == ["C", "B"]
    request.page_token = first.next_page_token
    assert (await office.ask(stub.ListOrgChangeEntries, request, Role.AUDITOR, staff="auditor")).org_change_entries
    since = pb.ListOrgChangeEntriesRequest(create_time_min=wire.time_to_wire(clock.now() + timedelta(days=1)))
    assert not (await office.ask(stub.ListOrgChangeEntries, since)).org_change_entries
    for statement in (
        "UPDATE org_change_entry SET reason = 'x'",
        "DELETE FROM org_change_entry",
        "TRUNCATE org_change_entry",
    ):
        with pytest.raises(Exception, match="append-only"):
            await office.run(statement)


async def test_what_a_hand_at_the_database_changes_is_logged_too(office, stub) -> None:
    await office.run("UPDATE staff SET display_name = 'Changed', password_hash = '$argon2secret' WHERE staff_id = 'm1'")
    (entry,) = (await log_of(office, stub, subject=OrgChangeEntry.SUBJECT_STAFF, subject_id="m1"))[:1]
    assert entry.actor.startswith("database/")
    assert MessageToDict(entry.after) == {"display_name": "Changed", "password": "set"}
