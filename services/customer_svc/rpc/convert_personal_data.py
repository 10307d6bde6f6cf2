"""Files of personal data and erasures between the wire and the values of customer_svc."""

from banyan.customer.v1 import personal_data_pb2 as pb

from chassis import names, wire
from services.customer_svc.domain.erasure import Erasure, State, Verdict
from services.customer_svc.domain.personal_data import PersonalExport

EXPORTS = "customers/*/personalDataExports/*"
ERASURES = "customers/*/erasures/*"


def export_to_wire(export: PersonalExport) -> pb.PersonalDataExport:
    return pb.PersonalDataExport(
        name=f"customers/{export.customer_id}/personalDataExports/{export.export_id}",
        reference=export.reference,
        requester=names.make("staff", export.requester_id),
        size_bytes=export.size_bytes,
        create_time=wire.time_to_wire(export.create_time),
        expire_time=wire.time_to_wire(export.expire_time),
    )


def erasure_to_wire(erasure: Erasure) -> pb.Erasure:
    return pb.Erasure(
        name=f"customers/{erasure.customer_id}/erasures/{erasure.erasure_id}",
        state=f"STATE_{erasure.state}",
        reference=erasure.reference,
        requester=names.make("staff", erasure.requester_id),
        decider=names.make("staff", erasure.decider_id),
        decision_reason=erasure.decision_reason,
        verdicts=map(verdict_to_wire, erasure.verdicts),
        create_time=wire.time_to_wire(erasure.create_time),
        update_time=wire.time_to_wire(erasure.update_time),
        execute_time=wire.time_to_wire(erasure.execute_time) if erasure.execute_time else None,
        erase_time=wire.time_to_wire(erasure.erase_time) if erasure.erase_time else None,
    )


def verdict_to_wire(verdict: Verdict) -> pb.Erasure.Verdict:
    return pb.Erasure.Verdict(
        part=f"ERASURE_PART_{verdict.part}",
        erased=verdict.erased,
        obstacles=[f"ERASURE_OBSTACLE_{obstacle}" for obstacle in verdict.obstacles],
        possible_date=wire.date_to_wire(verdict.possible_date),
        row_counts=verdict.row_counts,
    )


def state_from_wire(state: pb.Erasure.State) -> State | None:
    return State(pb.Erasure.State.Name(state).removeprefix("STATE_")) if state else None
