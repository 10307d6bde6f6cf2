"""The ownership feed's messages, made straight from what is told: this runs for every customer and every follower."""

from datetime import date, datetime
from functools import lru_cache
from typing import Any

from banyan.assignment.v1 import ownership_pb2 as pb
from banyan.assignment.v1 import ownership_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from chassis import wire
from services.assignment_svc.store.ownership_feed import ToldOwner, ToldOwnership

# The stubs know an enum's numbers as plain ones.
_SIDES: dict[str, Any] = {name.removeprefix("SIDE_"): number for name, number in pb.Side.items()}
_RULES: dict[str, Any] = {name.removeprefix("ALLOCATION_RULE_"): number for name, number in pb.AllocationRule.items()}
_STATES: dict[str, Any] = {name.removeprefix("STATE_"): number for name, number in pb.Ownership.State.items()}
# Days, and the instants of batches, repeat. The messages are copied where they are put and never changed.
_KEPT_MAX = 4_096


def change_to_wire(told: ToldOwnership) -> ownership_service_pb2.OwnershipChange:
    """A customer's whole ownership for services, or that there is none any more."""
    name = f"customers/{told.customer_id}/ownership"
    if told.gone:
        return ownership_service_pb2.OwnershipChange(ownership=pb.Ownership(name=name), gone=True)
    change = ownership_service_pb2.OwnershipChange()
    ownership = change.ownership
    ownership.name = name
    ownership.state = _STATES[told.state]
    ownership.business_date.CopyFrom(_date(told.business_date))
    ownership.etag = f"{told.rev:x}"
    ownership.update_time.CopyFrom(_time(told.update_time))
    if told.private_manager_id:
        ownership.private_manager = f"staff/{told.private_manager_id}"
    add = ownership.owners.add
    for owner in told.owners:
        _fill(add(), owner)
    return change


def _fill(owner: pb.Owner, told: ToldOwner) -> None:
    branch_id, side, rule, manager_id, basis, amount, rival_id, rival_amount, by_margin, since_date, due_date = told
    owner.branch = "branches/" + branch_id
    owner.side = _SIDES[side]
    owner.rule = _RULES[rule]
    if manager_id:
        owner.manager = "staff/" + manager_id
    evidence = owner.evidence
    evidence.SetInParent()
    if basis:
        evidence.basis = basis
    if amount is not None:
        evidence.amount_minor = amount
    if rival_id:
        evidence.rival_branch = "branches/" + rival_id
    if rival_amount is not None:
        evidence.rival_amount_minor = rival_amount
    if by_margin:
        evidence.held_by_margin = True
    owner.since_date.CopyFrom(_date(since_date))
    if due_date is not None:
        owner.due_date.CopyFrom(_date(due_date))


@lru_cache(_KEPT_MAX)
def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


@lru_cache(_KEPT_MAX)
def _time(instant: datetime) -> Timestamp:
    told = wire.time_to_wire(instant)
    assert told is not None, "a row says when it changed"
    return told
