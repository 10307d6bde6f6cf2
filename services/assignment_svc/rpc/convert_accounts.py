"""Mappings, relations and leaves of staff between the wire and the values of assignment_svc."""

from banyan.assignment.v1 import leave_pb2, oidc_mapping_pb2, staff_pb2

from chassis import names, wire
from chassis.errors import invalid_field
from services.assignment_svc.store.accounts import StaffRelation
from services.assignment_svc.store.leaves import Leave, LeaveDraft
from services.assignment_svc.store.oidc_mappings import OidcMapping

_NOTE_LENGTH_MAX = 400


def mapping_to_wire(mapping: OidcMapping) -> oidc_mapping_pb2.OidcMapping:
    return oidc_mapping_pb2.OidcMapping(
        name=names.make("oidcMappings", mapping.mapping_id),
        issuer=mapping.issuer,
        subject=mapping.subject,
        staff=names.make("staff", mapping.staff_id),
        actor=mapping.actor,
        create_time=wire.time_to_wire(mapping.create_time),
    )


def relation_to_wire(relation: StaffRelation) -> staff_pb2.StaffRelation:
    return staff_pb2.StaffRelation(
        name=f"{names.make('staff', relation.staff_id)}/relations/{relation.customer_id}",
        customer=names.make("customers", relation.customer_id),
        kind=f"KIND_{relation.kind}",
        declare_time=wire.time_to_wire(relation.declare_time),
        actor=relation.actor,
    )


def leave_from_wire(sent: leave_pb2.Leave) -> LeaveDraft:
    if len(sent.note) > _NOTE_LENGTH_MAX:
        raise invalid_field("leave.note", f"must have at most {_NOTE_LENGTH_MAX} characters")
    return LeaveDraft(
        staff_id=names.parse_one("staff", sent.staff, "leave.staff"),
        kind=leave_pb2.Leave.Kind.Name(sent.kind).removeprefix("KIND_"),
        from_date=wire.date_from_wire(sent.from_date, "leave.from_date"),
        until_date=wire.date_from_wire(sent.until_date, "leave.until_date"),
        substitute_id=names.parse_optional("staff", sent.substitute, "leave.substitute"),
        note=sent.note.strip(),
    )


def leave_to_wire(leave: Leave) -> leave_pb2.Leave:
    draft = leave.draft
    return leave_pb2.Leave(
        name=names.make("leaves", leave.leave_id),
        staff=names.make("staff", draft.staff_id),
        kind=f"KIND_{draft.kind}",
        from_date=wire.date_to_wire(draft.from_date),
        until_date=wire.date_to_wire(draft.until_date),
        substitute=names.make("staff", draft.substitute_id),
        note=draft.note,
        state=f"STATE_{leave.state}",
        branch=names.make("branches", leave.branch_id),
        creator=names.make("staff", leave.creator),
        create_time=wire.time_to_wire(leave.create_time),
        decider=names.make("staff", leave.decider),
        decide_time=wire.time_to_wire(leave.decide_time),
        decide_reason=leave.decide_reason,
    )
