"""Branches, staff and revoked sessions, as assignment_svc tells them."""

from collections.abc import AsyncIterator

import grpc
from banyan.assignment.v1 import branch_pb2, org_service_pb2, org_service_pb2_grpc, staff_pb2

from chassis import names, wire
from chassis.acting_wire import acting_from_wire
from services.customer_svc.domain.org import Branch, Gone, OrgItem, RevokedSession, Staff

# What the feed carries: jobs hand it on without looking into it.
OrgChange = org_service_pb2.OrgChange

ORG_SERVICE = "banyan.assignment.v1.OrgService"


def watch_org(channel: grpc.aio.Channel, resume_token: str) -> AsyncIterator[org_service_pb2.WatchOrgChangesResponse]:
    """The whole organisation, then each change."""
    stub = org_service_pb2_grpc.OrgServiceStub(channel)
    return stub.WatchOrgChanges(org_service_pb2.WatchOrgChangesRequest(resume_token=resume_token))


def change_from_wire(change: org_service_pb2.OrgChange) -> OrgItem | None:
    """What changed, as it is now; None for a kind that this version does not know, or that needs no forgetting."""
    match change.WhichOneof("item"):
        case "branch":
            return _branch(change.branch, gone=change.gone)
        case "staff":
            return _staff(change.staff, gone=change.gone)
        case "revoked_session" if not change.gone:
            session = change.revoked_session
            expire_time = wire.time_from_wire(session.expire_time, "expire_time")
            return RevokedSession(names.parse_one("sessions", session.session), expire_time)
        case "acting_manager":
            return acting_from_wire(change.acting_manager, staff_pb2.Role.Name, gone=change.gone)
        case _:
            return None


def _branch(branch: branch_pb2.Branch, *, gone: bool) -> OrgItem:
    branch_id = names.parse_one("branches", branch.name)
    if gone:
        return Gone(branch_id=branch_id)
    return Branch(branch_id, names.parse_optional("branches", branch.parent, "parent"), branch.display_name)


def _staff(staff: staff_pb2.Staff, *, gone: bool) -> OrgItem:
    staff_id = names.parse_one("staff", staff.name)
    if gone:
        return Gone(staff_id=staff_id)
    return Staff(
        staff_id,
        names.parse_one("branches", staff.branch),
        staff.display_name,
        frozenset(staff_pb2.Role.Name(role).removeprefix("ROLE_") for role in staff.roles),
        wire.date_from_wire_or_none(staff.active_from_date, "active_from_date"),
        wire.date_from_wire_or_none(staff.active_until_date, "active_until_date"),
    )
