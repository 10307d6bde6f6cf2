"""A customer's owners so far, as assignment_svc shows them to the caller."""

from collections.abc import Sequence

import grpc
from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2, ownership_service_pb2_grpc

from chassis import names, wire
from services.customer_svc.domain.parts import OwnershipPeriod

# More has nobody: rows change a few times a year.
PERIODS_MAX = 500


async def list_periods(
    channel: grpc.aio.Channel, customer_id: str, limit: int, seconds: float
) -> Sequence[OwnershipPeriod]:
    """The rows that a customer has and had, the youngest first."""
    stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
    request = ownership_service_pb2.ListOwnershipPeriodsRequest(parent=f"customers/{customer_id}", page_size=limit)
    answer: ownership_service_pb2.ListOwnershipPeriodsResponse = await stub.ListOwnershipPeriods(
        request, timeout=seconds
    )
    return [_period(period) for period in answer.ownership_periods]


def _period(period: ownership_pb2.OwnershipPeriod) -> OwnershipPeriod:
    owner = period.owner
    return OwnershipPeriod(
        branch_id=names.parse_one("branches", owner.branch),
        side="PRIMARY" if owner.side == ownership_pb2.SIDE_PRIMARY else "SECONDARY",
        manager_id=names.parse_optional("staff", owner.manager, "manager"),
        rule=ownership_pb2.AllocationRule.Name(owner.rule).removeprefix("ALLOCATION_RULE_").replace("UNSPECIFIED", ""),
        since_date=wire.date_from_wire_or_none(owner.since_date, "since_date"),
        from_date=wire.date_from_wire(period.from_date, "from_date"),
        until_date=wire.date_from_wire_or_none(period.until_date, "until_date"),
        actor=period.actor,
        create_time=wire.time_from_wire(period.create_time, "create_time"),
    )
