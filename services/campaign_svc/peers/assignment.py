"""What assignment_svc tells: owners, branches and revoked sessions."""

from collections.abc import AsyncIterator

import grpc
from banyan.assignment.v1 import (
    org_service_pb2,
    org_service_pb2_grpc,
    ownership_pb2,
    ownership_service_pb2,
    ownership_service_pb2_grpc,
    staff_pb2,
)

from chassis import names, wire
from chassis.acting import Acting
from chassis.acting_wire import acting_from_wire
from services.campaign_svc.domain.followed import OrgFact, OwnershipFact
from services.campaign_svc.domain.viewing import OwnerRow

# What the feed carries: jobs hand it on without looking into it.
OrgChange = org_service_pb2.OrgChange
OwnershipChange = ownership_service_pb2.OwnershipChange

ORG_SERVICE = "banyan.assignment.v1.OrgService"
OWNERSHIP_SERVICE = "banyan.assignment.v1.OwnershipService"


def watch_ownerships(
    channel: grpc.aio.Channel, resume_token: str
) -> AsyncIterator[ownership_service_pb2.WatchOwnershipChangesResponse]:
    stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
    return stub.WatchOwnershipChanges(ownership_service_pb2.WatchOwnershipChangesRequest(resume_token=resume_token))


def watch_org(channel: grpc.aio.Channel, resume_token: str) -> AsyncIterator[org_service_pb2.WatchOrgChangesResponse]:
    stub = org_service_pb2_grpc.OrgServiceStub(channel)
    return stub.WatchOrgChanges(org_service_pb2.WatchOrgChangesRequest(resume_token=resume_token))


def ownership_fact(change: ownership_service_pb2.OwnershipChange) -> OwnershipFact:
    (customer_id,) = names.parse("customers/*/ownership", change.ownership.name)
    if change.gone:
        return OwnershipFact(customer_id, ())
    private_manager_id = names.parse_optional("staff", change.ownership.private_manager, "private_manager")
    rows = tuple(_owner_row(owner, private_manager_id) for owner in change.ownership.owners)
    return OwnershipFact(customer_id, rows)


def org_fact(change: org_service_pb2.OrgChange) -> OrgFact | Acting:
    match change.WhichOneof("item"):
        case "branch":
            branch_id = names.parse_one("branches", change.branch.name)
            parent_id = names.parse_optional("branches", change.branch.parent, "parent")
            return OrgFact(branch_id=branch_id, parent_id=parent_id, gone=change.gone)
        case "revoked_session":
            session = change.revoked_session
            return OrgFact(
                session_id=names.parse_one("sessions", session.session),
                expire_time=wire.time_from_wire(session.expire_time, "expire_time"),
                gone=change.gone,
            )
        case "acting_manager":
            return acting_from_wire(change.acting_manager, staff_pb2.Role.Name, gone=change.gone)
        case _:
            return OrgFact()


def _owner_row(owner: ownership_pb2.Owner, private_manager_id: str | None) -> OwnerRow:
    """A row; the private manager of the whole stands with the primary one."""
    is_primary = owner.side == ownership_pb2.SIDE_PRIMARY
    return OwnerRow(
        branch_id=names.parse_one("branches", owner.branch),
        side="PRIMARY" if is_primary else "SECONDARY",
        manager_id=names.parse_optional("staff", owner.manager, "manager"),
        private_manager_id=private_manager_id if is_primary else None,
    )
