"""Organisation, sessions and ownership between the wire and the values of assignment_svc."""

from banyan.assignment.v1 import (
    acting_manager_pb2,
    branch_pb2,
    org_service_pb2,
    ownership_pb2,
    session_pb2,
    staff_pb2,
)

from chassis import names, wire
from services.assignment_svc.domain.acting import ActingManager, OrgThing
from services.assignment_svc.domain.changes import row_etag
from services.assignment_svc.domain.organisation import Branch, RevokedSession, Staff
from services.assignment_svc.domain.ownership import Evidence, Owner, Side
from services.assignment_svc.domain.sessions import Session
from services.assignment_svc.store.ownerships import Period
from services.assignment_svc.store.private_managers import PrivateManagerPeriod
from services.assignment_svc.usecases.read_ownership import View
from services.assignment_svc.usecases.sessions import SignIn


def branch_to_wire(branch: Branch) -> branch_pb2.Branch:
    return branch_pb2.Branch(
        name=names.make("branches", branch.branch_id),
        display_name=branch.display_name,
        parent=names.make("branches", branch.parent_id),
        legal_entity=branch.legal_entity or "",
        open_date=wire.date_to_wire(branch.open_date),
        close_date=wire.date_to_wire(branch.close_date),
        head=names.make("staff", branch.head_id),
        update_time=wire.time_to_wire(branch.update_time),
        etag=branch.etag,
    )


def staff_to_wire(staff: Staff) -> staff_pb2.Staff:
    return staff_pb2.Staff(
        name=names.make("staff", staff.staff_id),
        display_name=staff.display_name,
        branch=names.make("branches", staff.branch_id),
        roles=[f"ROLE_{role}" for role in staff.roles],
        login=staff.login or "",
        active_from_date=wire.date_to_wire(staff.active_from_date),
        active_until_date=wire.date_to_wire(staff.active_until_date),
        successor=names.make("staff", staff.successor_id),
        update_time=wire.time_to_wire(staff.update_time),
        etag=staff.etag,
    )


def org_item_to_wire(item: OrgThing) -> org_service_pb2.OrgChange:
    match item:
        case Branch(gone=True):
            return org_service_pb2.OrgChange(
                branch=branch_pb2.Branch(name=names.make("branches", item.branch_id)), gone=True
            )
        case Branch():
            return org_service_pb2.OrgChange(branch=branch_to_wire(item))
        case Staff(gone=True):
            return org_service_pb2.OrgChange(staff=staff_pb2.Staff(name=names.make("staff", item.staff_id)), gone=True)
        case Staff():
            return org_service_pb2.OrgChange(staff=staff_to_wire(item))
        case RevokedSession():
            session = org_service_pb2.RevokedSession(
                session=names.make("sessions", item.session_id), expire_time=wire.time_to_wire(item.expire_time)
            )
            return org_service_pb2.OrgChange(revoked_session=session)
        case ActingManager():
            return org_service_pb2.OrgChange(acting_manager=acting_manager_to_wire(item), gone=item.over)


def acting_manager_to_wire(acting: ActingManager) -> acting_manager_pb2.ActingManager:
    arranged = acting.arranged
    return acting_manager_pb2.ActingManager(
        name=f"branches/{arranged.branch_id}/actingManagers/{acting.acting_manager_id}",
        acting=names.make("staff", arranged.acting_id),
        covered=names.make("staff", arranged.covered_id),
        role=f"ROLE_{arranged.role}",
        from_date=wire.date_to_wire(arranged.from_date),
        until_date=wire.date_to_wire(arranged.until_date),
        reason=arranged.reason,
        creator=names.make("staff", acting.creator),
        create_time=wire.time_to_wire(acting.create_time),
        end_time=wire.time_to_wire(acting.end_time),
        end_actor=acting.end_actor,
        end_reason=acting.end_reason,
    )


def session_to_wire(session: Session, staff: Staff) -> session_pb2.Session:
    """A session without its tokens."""
    return session_pb2.Session(
        name=names.make("sessions", session.session_id),
        staff=staff_to_wire(staff),
        access_expire_time=wire.time_to_wire(session.access_expire_time),
        expire_time=wire.time_to_wire(session.expire_time),
        create_time=wire.time_to_wire(session.create_time),
    )


def sign_in_to_wire(signed_in: SignIn, access_token: str) -> session_pb2.Session:
    """A session with its tokens."""
    told = session_to_wire(signed_in.session, signed_in.staff)
    told.access_token = access_token
    told.refresh_token = signed_in.refresh_token
    return told


def view_to_wire(view: View) -> ownership_pb2.Ownership:
    owners = [_owner_with_etag(owner) for owner in view.owners]
    if view.primary_branch_id and all(owner.branch_id != view.primary_branch_id for owner in view.owners):
        primary = ownership_pb2.Owner(
            branch=names.make("branches", view.primary_branch_id), side=ownership_pb2.SIDE_PRIMARY
        )
        owners.insert(0, primary)
    return ownership_pb2.Ownership(
        name=f"{names.make('customers', view.customer_id)}/ownership",
        state=f"STATE_{view.state or 'UNSPECIFIED'}",
        owners=owners,
        business_date=wire.date_to_wire(view.business_date),
        etag="" if view.rev is None else f"{view.rev:x}",
        update_time=wire.time_to_wire(view.update_time),
        private_manager=names.make("staff", view.private_manager_id),
    )


def owner_to_wire(owner: Owner) -> ownership_pb2.Owner:
    return ownership_pb2.Owner(
        branch=names.make("branches", owner.branch_id),
        side=f"SIDE_{owner.side}",
        manager=names.make("staff", owner.manager_id),
        rule=f"ALLOCATION_RULE_{owner.rule}",
        evidence=_evidence_to_wire(owner.evidence),
        since_date=wire.date_to_wire(owner.since_date),
        due_date=wire.date_to_wire(owner.due_date),
    )


def _owner_with_etag(owner: Owner) -> ownership_pb2.Owner:
    told = owner_to_wire(owner)
    told.etag = row_etag(owner)
    return told


def period_to_wire(period: Period) -> ownership_pb2.OwnershipPeriod:
    return ownership_pb2.OwnershipPeriod(
        owner=owner_to_wire(period.owner),
        from_date=wire.date_to_wire(period.owner.from_date),
        until_date=wire.date_to_wire(period.until_date),
        actor=period.actor,
        create_time=wire.time_to_wire(period.create_time),
    )


def private_period_to_wire(period: PrivateManagerPeriod) -> ownership_pb2.PrivateManagerPeriod:
    return ownership_pb2.PrivateManagerPeriod(
        private_manager=names.make("staff", period.staff_id),
        create_time=wire.time_to_wire(period.create_time),
        actor=period.actor,
        reason=period.reason,
        end_time=wire.time_to_wire(period.end_time),
        end_actor=period.end_actor,
        end_reason=period.end_reason,
    )


def side_from_wire(side: int) -> Side | None:
    name = ownership_pb2.Side.Name(side).removeprefix("SIDE_")
    return None if name == "UNSPECIFIED" else Side(name)


def _evidence_to_wire(evidence: Evidence) -> ownership_pb2.Evidence:
    return ownership_pb2.Evidence(
        basis=evidence.basis or "",
        amount_minor=evidence.amount_minor,
        rival_branch=names.make("branches", evidence.rival_branch_id),
        rival_amount_minor=evidence.rival_amount_minor,
        held_by_margin=evidence.held_by_margin,
    )
