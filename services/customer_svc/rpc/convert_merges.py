"""Duplicates and merges between the wire and the values of customer_svc."""

from collections.abc import Sequence
from dataclasses import dataclass

from banyan.customer.v1 import merge_pb2 as pb

from chassis import names, wire
from chassis.errors import invalid_field
from services.customer_svc.domain.merges import (
    MERGE_ORDER,
    Counts,
    Draft,
    Duplicate,
    DuplicateCustomer,
    Event,
    Merge,
    MergeOwner,
    State,
)
from services.customer_svc.usecases.merges import etag_of


@dataclass(frozen=True)
class Preview:
    """What a merge would move; None is what could not be asked."""

    counts: Counts
    contact_count: int | None
    survivor_owners: Sequence[MergeOwner]
    merged_owners: Sequence[MergeOwner]
    owners_after: Sequence[MergeOwner] | None


def draft_from_wire(merge: pb.Merge) -> Draft:
    return Draft(
        names.parse_one("customers", merge.survivor, "merge.survivor"),
        names.parse_one("customers", merge.merged_customer, "merge.merged_customer"),
        merge.reason,
    )


def state_from_wire(state: pb.Merge.State.ValueType) -> State | None:
    """The state asked for; None for any."""
    name = pb.Merge.State.Name(state).removeprefix("STATE_")
    return None if name == "UNSPECIFIED" else State(name)


def duplicate_state_from_wire(state: pb.Duplicate.State.ValueType) -> str:
    """The state asked for; open pairs if none is."""
    name = pb.Duplicate.State.Name(state).removeprefix("STATE_")
    return "OPEN" if name == "UNSPECIFIED" else name


def draft_to_wire(draft: Draft) -> pb.Merge:
    """What was proposed and not stored."""
    return pb.Merge(
        survivor=names.make("customers", draft.survivor_id),
        merged_customer=names.make("customers", draft.merged_id),
        reason=draft.reason,
    )


def merge_to_wire(merge: Merge) -> pb.Merge:
    told = pb.Merge(
        name=names.make("merges", merge.merge_id),
        state=f"STATE_{merge.state}",
        events=map(_event_to_wire, merge.events),
        etag=etag_of(merge),
    )
    told.MergeFrom(draft_to_wire(Draft(merge.survivor_id, merge.merged_id, merge.reason)))
    told.waiting_branches.extend(names.make("branches", one) for one in sorted(merge.waiting))
    if merge.state not in {State.PROPOSED, State.REJECTED, State.CANCELLED}:
        done = {step.part: step.done_time for step in merge.steps}
        told.steps.extend(
            pb.MergeStep(part=f"PART_{part}", done_time=wire.time_to_wire(done.get(part))) for part in MERGE_ORDER
        )
    times = {
        "create_time": merge.create_time,
        "update_time": merge.update_time,
        "undo_until_time": merge.undo_until_time,
    }
    for name, instant in times.items():
        if instant is not None:
            getattr(told, name).CopyFrom(wire.time_to_wire(instant))
    return told


def preview_to_wire(preview: Preview) -> pb.MergePreview:
    return pb.MergePreview(
        **vars(preview.counts),
        contact_count=preview.contact_count,
        survivor_owners=map(_owner_to_wire, preview.survivor_owners),
        merged_owners=map(_owner_to_wire, preview.merged_owners),
        owners_after=map(_owner_to_wire, preview.owners_after or ()),
        ownership_unknown=preview.owners_after is None,
    )


def duplicate_to_wire(pair: Duplicate) -> pb.Duplicate:
    return pb.Duplicate(
        name=names.make("duplicates", pair.duplicate_id),
        customers=map(_duplicate_customer_to_wire, pair.customers),
        matches=[f"MATCH_{match}" for match in pair.matches],
        score=pair.score,
        state=f"STATE_{pair.state}",
        dismiss_reason=pair.dismiss_reason,
        update_time=wire.time_to_wire(pair.update_time),
    )


def merged_to_wire(merged: tuple[str, str]) -> pb.MergedCustomer:
    customer_id, survivor_id = merged
    return pb.MergedCustomer(
        merged_customer=names.make("customers", customer_id), survivor=names.make("customers", survivor_id)
    )


def check_given(reason: str, field: str = "reason") -> str:
    """A reason that says something."""
    if not reason.strip():
        raise invalid_field(field, "must say why")
    return reason


def _event_to_wire(event: Event) -> pb.MergeEvent:
    return pb.MergeEvent(
        verb=f"VERB_{event.verb}",
        actor=names.make("staff", event.actor_id),
        branch=names.make("branches", event.branch_id),
        event_time=wire.time_to_wire(event.event_time),
        reason=event.reason,
    )


def _owner_to_wire(owner: MergeOwner) -> pb.MergeOwner:
    return pb.MergeOwner(
        branch=names.make("branches", owner.branch_id),
        primary=owner.primary,
        manager=names.make("staff", owner.manager_id),
    )


def _duplicate_customer_to_wire(customer: DuplicateCustomer) -> pb.DuplicateCustomer:
    return pb.DuplicateCustomer(
        customer=names.make("customers", customer.customer_id),
        display_name=customer.display_name or "",
        birth_date=wire.date_to_wire(customer.birth_date),
        customer_since_date=wire.date_to_wire(customer.customer_since_date),
        primary_branch=names.make("branches", customer.primary_branch_id),
    )
