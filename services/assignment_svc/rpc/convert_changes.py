"""Changes by hand, claims and loads between the wire and the values of assignment_svc."""

from banyan.assignment.v1 import ownership_change_pb2, ownership_pb2
from banyan.assignment.v1 import ownership_change_service_pb2 as pb

from chassis import names, wire
from services.assignment_svc.domain.changes import KeptChange
from services.assignment_svc.rpc.convert import view_to_wire
from services.assignment_svc.store.claims import Load
from services.assignment_svc.usecases.claims import Offered
from services.assignment_svc.usecases.read_ownership import View


def change_name(customer_id: str, change_id: str | None) -> str:
    return f"customers/{customer_id}/manualChanges/{change_id}" if change_id else ""


def view_or_name(customer_id: str, view: View | None) -> ownership_pb2.Ownership:
    """What the caller sees of an ownership; its name alone if he no longer sees anything of it."""
    return view_to_wire(view or View(customer_id, None, (), None, None, None, None))


def change_to_wire(kept: KeptChange) -> ownership_change_pb2.ManualChange:
    change = kept.change
    return ownership_change_pb2.ManualChange(
        name=change_name(change.customer_id, change.change_id),
        kind=f"KIND_{change.kind}",
        branch=names.make("branches", change.branch_id),
        from_manager=names.make("staff", change.from_manager_id),
        to_manager=names.make("staff", change.to_manager_id),
        from_branch=names.make("branches", change.from_branch_id),
        to_branch=names.make("branches", change.to_branch_id),
        reason=change.reason,
        actor=change.actor,
        create_time=wire.time_to_wire(kept.create_time),
        undone_by=change_name(change.customer_id, kept.undone_by),
    )


def offered_to_wire(offered: Offered) -> pb.ClaimableCustomer:
    band = offered.band
    return pb.ClaimableCustomer(
        customer=names.make("customers", offered.customer_id),
        side=f"SIDE_{offered.side}",
        deposit_band=pb.DepositBand(rank=band.rank, min_minor=band.min_minor, max_minor=band.max_minor),
        has_loan=offered.has_loan,
        has_card=offered.has_card,
        tags=[names.make("tags", tag) for tag in offered.tags],
    )


def load_to_wire(load: Load, customers_max: int) -> pb.ManagerLoad:
    return pb.ManagerLoad(
        manager=names.make("staff", load.staff_id),
        primary_count=load.primary_count,
        secondary_count=load.secondary_count,
        customers_max=customers_max,
        over_capacity=load.total > customers_max,
    )
