"""Changes of branches and staff, their plans and their log between the wire and the values of assignment_svc."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from banyan.assignment.v1 import branch_pb2, org_change_pb2, staff_pb2
from banyan.assignment.v1 import org_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from chassis import clock, names, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field, not_found
from services.assignment_svc.domain.org_changes import (
    BranchPeriod,
    Entry,
    Node,
    Plan,
    PlanState,
    Subject,
)
from services.assignment_svc.domain.organisation import Branch, Staff
from services.assignment_svc.rpc import convert
from services.assignment_svc.store.org_changes import Asked, Telling, WantedPlans
from services.assignment_svc.usecases.change_branches import Edit
from services.assignment_svc.usecases.change_staff import BadLine

_ENTRY_DIGITS_MAX = 19
_COLLECTIONS = {Subject.BRANCH: "branches", Subject.STAFF: "staff"}
# Field → column and its value, of a message and the path that leads to it.
_Column = Callable[[Any, str], tuple[str, Any]]
_BRANCH: Mapping[str, _Column] = {
    "display_name": lambda sent, _: ("display_name", sent.display_name.strip()),
    "parent": lambda sent, path: ("parent_id", names.parse_optional("branches", sent.parent, f"{path}parent")),
    "legal_entity": lambda sent, _: ("legal_entity", sent.legal_entity.strip() or None),
    "open_date": lambda sent, path: ("open_date", wire.date_from_wire_or_none(sent.open_date, f"{path}open_date")),
    "close_date": lambda sent, path: ("close_date", wire.date_from_wire_or_none(sent.close_date, f"{path}close_date")),
}
_STAFF: Mapping[str, _Column] = {
    "display_name": lambda sent, _: ("display_name", sent.display_name.strip()),
    "branch": lambda sent, path: ("branch_id", names.parse_one("branches", sent.branch, f"{path}branch")),
    "roles": lambda sent, _: ("roles", _roles(sent.roles)),
    "login": lambda sent, _: ("login", sent.login or None),
    "active_from_date": lambda sent, path: (
        "active_from_date",
        wire.date_from_wire_or_none(sent.active_from_date, f"{path}active_from_date"),
    ),
    "active_until_date": lambda sent, path: (
        "active_until_date",
        wire.date_from_wire_or_none(sent.active_until_date, f"{path}active_until_date"),
    ),
    "successor": lambda sent, path: ("successor_id", names.parse_optional("staff", sent.successor, f"{path}successor")),
}
_FIELD_OF_COLUMN = {"parent_id": "parent", "branch_id": "branch", "successor_id": "successor"}


def telling_of(method: str, reason: str) -> Telling:
    """Who changes the organisation in this call, for the log."""
    return Telling(current_caller().staff_id, method, current_request_id(), reason)


def branch_from_wire(branch_id: str, sent: branch_pb2.Branch) -> Branch:
    """A new branch."""
    values = dict(column(sent, "branch.") for column in _BRANCH.values())
    return Branch(_id(branch_id, "branch_id"), **values, head_id=None, update_time=clock.now())


def staff_from_wire(staff_id: str, sent: staff_pb2.Staff) -> Staff:
    """A new staff member."""
    values = dict(column(sent, "staff.") for column in _STAFF.values())
    return Staff(_id(staff_id, "staff_id"), **values, update_time=clock.now())


def branch_edit_from_wire(request: pb.UpdateBranchRequest) -> Edit:
    sent = request.branch
    branch_id = names.parse_one("branches", sent.name, "branch.name")
    changes = _changes(sent, request.update_mask, _BRANCH, "branch.", "")
    return Edit(branch_id, _etag(sent.etag, "branch."), changes, effective_date_from_wire(request))


def staff_edit_from_wire(request: pb.UpdateStaffRequest) -> Edit:
    sent = request.staff
    staff_id = names.parse_one("staff", sent.name, "staff.name")
    changes = _changes(sent, request.update_mask, _STAFF, "staff.", "")
    return Edit(staff_id, _etag(sent.etag, "staff."), changes, effective_date_from_wire(request))


def batch_from_wire(request: pb.BatchUpdateStaffRequest) -> list[Edit]:
    edits: list[Edit] = []
    for index, update in enumerate(request.updates):
        path = f"updates[{index}]."
        staff_id = names.parse_one("staff", update.staff.name, f"{path}staff.name")
        changes = _changes(update.staff, update.update_mask, _STAFF, f"{path}staff.", path)
        edits.append(Edit(staff_id, update.staff.etag, changes))
    return edits


def effective_date_from_wire(request: pb.UpdateBranchRequest | pb.UpdateStaffRequest) -> date | None:
    return wire.date_from_wire_or_none(request.effective_date, "effective_date")


def _changes(sent: Message, mask: FieldMask, known: Mapping[str, _Column], path: str, mask_path: str) -> dict[str, Any]:
    """The columns that change (AIP-134): those of the mask; without one those that are set; `*` means all."""
    paths = list(mask.paths)
    if not paths:
        paths = [field.name for field, _ in sent.ListFields() if field.name in known]
    elif paths == ["*"]:
        paths = list(known)
    fields = sent.DESCRIPTOR.fields_by_name
    for index, name in enumerate(paths):
        if name not in fields:
            raise invalid_field(f"{mask_path}update_mask.paths[{index}]", f"{name[:100]} is no field")
    changes = dict(known[name](sent, path) for name in paths if name in known)
    if not changes:
        raise invalid_field(f"{mask_path}update_mask", "names nothing that can be changed")
    return changes


def _roles(sent: Sequence[int]) -> tuple[str, ...]:
    told = {staff_pb2.Role.Name(role).removeprefix("ROLE_") for role in sent}
    return tuple(sorted(told))


def _id(told: str, field: str) -> str:
    return names.parse("*", told, field)[0]


def _etag(etag: str, path: str) -> str:
    if not etag:
        raise invalid_field(f"{path}etag", "is required: the one that was read")
    return etag


def plan_to_wire(plan: Plan) -> org_change_pb2.PlannedOrgChange:
    """A plan with only what it changes."""
    sent = org_change_pb2.PlannedOrgChange(
        name=names.make("plannedOrgChanges", plan.plan_id),
        update_mask=FieldMask(paths=[_FIELD_OF_COLUMN.get(name, name) for name in plan.changes]),
        effective_date=wire.date_to_wire(plan.effective_date),
        state=f"STATE_{plan.state}",
        reason=plan.reason,
        actor=names.make("staff", plan.actor),
        create_time=wire.time_to_wire(plan.create_time),
        end_time=wire.time_to_wire(plan.end_time),
        failure=plan.failure,
    )
    changes = plan.changes
    if plan.subject is Subject.BRANCH:
        branch = branch_pb2.Branch(
            display_name=changes.get("display_name"),
            parent=names.make("branches", changes.get("parent_id")),
            legal_entity=changes.get("legal_entity") or "",
            open_date=wire.date_to_wire(changes.get("open_date")),
        )
        branch.name = names.make("branches", plan.subject_id)
        sent.branch.CopyFrom(branch)
    else:
        staff = staff_pb2.Staff(
            display_name=changes.get("display_name"),
            branch=names.make("branches", changes.get("branch_id")),
            roles=[f"ROLE_{role}" for role in changes.get("roles", ())],
            login=changes.get("login") or "",
            active_from_date=wire.date_to_wire(changes.get("active_from_date")),
            active_until_date=wire.date_to_wire(changes.get("active_until_date")),
            successor=names.make("staff", changes.get("successor_id")),
        )
        staff.name = names.make("staff", plan.subject_id)
        sent.staff.CopyFrom(staff)
    return sent


def wanted_plans_from_wire(request: pb.ListPlannedOrgChangesRequest) -> WantedPlans:
    """Which plans: the subject is `branches/…` or `staff/…`, or empty for all."""
    name = org_change_pb2.PlannedOrgChange.State.Name(request.state).removeprefix("STATE_")
    state = None if name == "UNSPECIFIED" else PlanState(name)
    if not request.subject:
        return WantedPlans(state=state)
    for kind, collection in _COLLECTIONS.items():
        if request.subject.startswith(f"{collection}/"):
            return WantedPlans(kind, names.parse_one(collection, request.subject, "subject"), state)
    raise invalid_field("subject", "must have the form branches/* or staff/*")


def asked_from_wire(request: pb.ListOrgChangeEntriesRequest) -> Asked:
    """Which entries of the log."""
    name = org_change_pb2.OrgChangeEntry.Subject.Name(request.subject).removeprefix("SUBJECT_")
    return Asked(
        subject=None if name == "UNSPECIFIED" else Subject(name),
        subject_id=request.subject_id,
        actor=request.actor,
        since=wire.time_from_wire(request.create_time_min, "create_time_min")
        if request.HasField("create_time_min")
        else None,
        until=wire.time_from_wire(request.create_time_max, "create_time_max")
        if request.HasField("create_time_max")
        else None,
    )


def entry_id_from_wire(name: str) -> int:
    told = names.parse_one("orgChangeEntries", name)
    if not (told.isdecimal() and len(told) < _ENTRY_DIGITS_MAX):
        raise not_found()
    return int(told)


def entry_to_wire(entry: Entry) -> org_change_pb2.OrgChangeEntry:
    return org_change_pb2.OrgChangeEntry(
        name=names.make("orgChangeEntries", str(entry.entry_id)),
        create_time=wire.time_to_wire(entry.create_time),
        actor=entry.actor,
        method=entry.method,
        request_id=entry.request_id,
        reason=entry.reason,
        subject=f"SUBJECT_{entry.subject}",
        subject_id=entry.subject_id,
        action=f"ACTION_{entry.action}",
        before=ParseDict(dict(entry.before), Struct()),
        after=ParseDict(dict(entry.after), Struct()),
    )


def period_to_wire(period: BranchPeriod) -> branch_pb2.BranchPeriod:
    return branch_pb2.BranchPeriod(
        branch=names.make("branches", period.branch_id),
        display_name=period.display_name,
        parent=names.make("branches", period.parent_id),
        legal_entity=period.legal_entity or "",
        from_date=wire.date_to_wire(period.from_date),
        until_date=wire.date_to_wire(period.until_date),
    )


def node_to_wire(node: Node) -> branch_pb2.BranchNode:
    return branch_pb2.BranchNode(branch=convert.branch_to_wire(node.branch), depth=node.depth, planned=node.planned)


def bad_line_to_wire(line: BadLine) -> pb.BatchUpdateStaffResponse.BadLine:
    return pb.BatchUpdateStaffResponse.BadLine(
        index=line.index, field=line.fault.field, reason=line.fault.reason, description=line.fault.description
    )
