"""Requests, delegations and days of the calendar between the wire and the values of assignment_svc."""

from datetime import datetime

from banyan.assignment.v1 import bank_holiday_pb2, delegation_pb2, ownership_request_pb2

from chassis import names, wire
from chassis.errors import invalid_fields
from chassis.paging import KeyPart
from services.assignment_svc.domain.approvals import Approval
from services.assignment_svc.domain.request_faults import faults_of
from services.assignment_svc.domain.requests import Event, Kind, State
from services.assignment_svc.store.delegations import Delegation
from services.assignment_svc.store.holidays import BankHoliday
from services.assignment_svc.store.request_lists import Place
from services.assignment_svc.store.requests import Transition
from services.assignment_svc.usecases.request_plans import Wish
from services.assignment_svc.usecases.request_views import View

_WORD = "ownership_request"


def kind_from_wire(kind: int) -> Kind:
    return Kind(ownership_request_pb2.OwnershipRequest.Kind.Name(kind).removeprefix("KIND_"))


def state_from_wire(state: int) -> str | None:
    """None for unspecified."""
    return ownership_request_pb2.OwnershipRequest.State.Name(state).removeprefix("STATE_") if state else None


def wish_from_wire(asked: ownership_request_pb2.OwnershipRequest, own_branch_id: str, etag: str) -> Wish:
    """What somebody of a branch asks for. Refuses with every field that is wrong; the number is left out."""
    kind = kind_from_wire(asked.kind)
    end_date = wire.date_from_wire_or_none(asked.end_date, f"{_WORD}.end_date")
    written = {
        "customer": asked.customer,
        "display_name": asked.display_name,
        "id_number": asked.id_number,
        "to_branch": asked.to_branch,
        "to_manager": asked.to_manager,
        "loan": asked.loan,
        "end_date": end_date.isoformat() if end_date else "",
        "reason": asked.reason,
    }
    faults = faults_of(kind, written, names.make("branches", own_branch_id))
    if faults:
        raise invalid_fields(faults)
    return Wish(
        kind=kind,
        reason=asked.reason.strip(),
        customer_id=names.parse_optional("customers", asked.customer, f"{_WORD}.customer") or "",
        to_branch_id=names.parse_optional("branches", asked.to_branch, f"{_WORD}.to_branch"),
        to_manager_id=names.parse_optional("staff", asked.to_manager, f"{_WORD}.to_manager"),
        loan_id=asked.loan.strip() or None,
        end_date=end_date,
        ownership_etag=etag,
        display_name=asked.display_name.strip(),
    )


def request_to_wire(view: View) -> ownership_request_pb2.OwnershipRequest:
    request = view.request
    return ownership_request_pb2.OwnershipRequest(
        name=names.make("ownershipRequests", request.request_id),
        kind=f"KIND_{request.kind}",
        customer=names.make("customers", request.customer_id),
        display_name=request.display_name,
        masked_id_number=request.masked_id_number,
        from_branch=names.make("branches", request.from_branch_id),
        from_manager=names.make("staff", request.from_manager_id),
        to_branch=names.make("branches", request.to_branch_id),
        to_manager=names.make("staff", request.to_manager_id),
        loan=request.loan_id,
        end_date=wire.date_to_wire(request.end_date),
        reason=request.reason,
        state=f"STATE_{view.state}",
        level=request.level,
        due_time=wire.time_to_wire(view.due_time),
        creator=names.make("staff", request.creator),
        create_time=wire.time_to_wire(request.create_time),
        etag=view.etag,
        approvals=map(_approval_to_wire, request.approvals),
        transitions=map(_transition_to_wire, view.transitions),
        waits_for_caller=view.waits_for_viewer,
    )


def place_to_key(place: Place) -> list[KeyPart]:
    return [place.decided, place.due_time.isoformat(), place.request_id]


def place_from_key(key: tuple[KeyPart, ...] | None) -> Place | None:
    return Place(bool(key[0]), datetime.fromisoformat(str(key[1])), str(key[2])) if key else None


def delegation_to_wire(delegation: Delegation) -> delegation_pb2.Delegation:
    return delegation_pb2.Delegation(
        name=names.make("delegations", delegation.delegation_id),
        head=names.make("staff", delegation.head_id),
        branch=names.make("branches", delegation.branch_id),
        delegate=names.make("staff", delegation.delegate_id),
        from_date=wire.date_to_wire(delegation.from_date),
        until_date=wire.date_to_wire(delegation.until_date),
        reason=delegation.reason,
        create_time=wire.time_to_wire(delegation.create_time),
        end_time=wire.time_to_wire(delegation.end_time),
        end_actor=names.make("staff", delegation.end_actor),
    )


def holiday_to_wire(holiday: BankHoliday) -> bank_holiday_pb2.BankHoliday:
    return bank_holiday_pb2.BankHoliday(
        name=names.make("bankHolidays", holiday.day.isoformat()),
        day_date=wire.date_to_wire(holiday.day),
        working=holiday.is_working,
        display_name=holiday.display_name,
    )


def _approval_to_wire(approval: Approval) -> ownership_request_pb2.Approval:
    return ownership_request_pb2.Approval(
        side=f"SIDE_{approval.side}",
        branch=names.make("branches", approval.branch_id),
        desk_branch=names.make("branches", approval.desk_branch_id),
        state=f"STATE_{approval.answer}",
        staff=names.make("staff", approval.staff_id),
        on_behalf_of=names.make("staff", approval.on_behalf_of),
        reason=approval.reason,
        answer_time=wire.time_to_wire(approval.answer_time),
    )


def _transition_to_wire(transition: Transition) -> ownership_request_pb2.RequestTransition:
    """The giver's no to a pull is to him as any other."""
    event = Event.REFUSE if transition.event is Event.HUSH else transition.event
    before = f"STATE_{_told(transition.from_state)}" if transition.from_state else "STATE_UNSPECIFIED"
    return ownership_request_pb2.RequestTransition(
        event=f"EVENT_{event}",
        from_state=before,
        to_state=f"STATE_{_told(transition.to_state)}",
        actor=transition.actor,
        reason=transition.reason,
        create_time=wire.time_to_wire(transition.create_time),
    )


def _told(state: State) -> State:
    return State.REFUSED if state is State.SILENT else state
