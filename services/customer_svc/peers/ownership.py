"""Who owns whom, as assignment_svc tells it: every change, and one customer's owners now."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from functools import lru_cache

import grpc
from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2, ownership_service_pb2_grpc
from google.type.date_pb2 import Date

from chassis import names, wire
from chassis.caller import calling, current_request_id
from services.customer_svc.domain.customer import Owner

# What the feed carries: jobs hand it on without looking into it.
OwnershipChange = ownership_service_pb2.OwnershipChange

OWNERSHIP_SERVICE = "banyan.assignment.v1.OwnershipService"

# There are many customers of one branch, one manager and one day: what their names say is kept.
_KEPT_MAX = 65_536
# Above it, what is followed is too old to decide by.
LAG_SECONDS_MAX = 60.0
# Asking must not take all the time that the caller gives.
ASK_SECONDS_MAX = 1.0

# A customer's owners from their source; None if what is followed is good enough, or the source cannot be reached.
OwnersNow = Callable[[str], Awaitable[Sequence[Owner] | None]]


def watch_ownership(
    channel: grpc.aio.Channel, resume_token: str
) -> AsyncIterator[ownership_service_pb2.WatchOwnershipChangesResponse]:
    """Every customer's owners, then each change."""
    stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
    return stub.WatchOwnershipChanges(ownership_service_pb2.WatchOwnershipChangesRequest(resume_token=resume_token))


def owners_when_lagging(channel: grpc.aio.Channel, lag_seconds: Callable[[], float]) -> OwnersNow:
    """Asks assignment_svc for one customer's owners whenever the follower lags by more than a minute."""

    async def owners_now(customer_id: str) -> Sequence[Owner] | None:
        if lag_seconds() <= LAG_SECONDS_MAX:
            return None
        return await read_owners(channel, customer_id)

    return owners_now


async def read_owners(channel: grpc.aio.Channel, customer_id: str) -> Sequence[Owner] | None:
    """One customer's owners now, none if nobody owns him; None if assignment_svc cannot be reached in time.

    Asks as the service itself: to decide what the caller sees, all rows are needed, not those that he sees.
    """
    stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
    request = ownership_service_pb2.GetOwnershipRequest(name=f"customers/{customer_id}/ownership")
    try:
        with calling(None, current_request_id()):
            ownership: ownership_pb2.Ownership = await stub.GetOwnership(request, timeout=ASK_SECONDS_MAX)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return ()
        return None
    return owners_from_wire(ownership)


def change_from_wire(change: ownership_service_pb2.OwnershipChange) -> tuple[str, Sequence[Owner]]:
    """A customer with his owners; none if nobody owns him any more."""
    (customer_id,) = names.parse("customers/*/ownership", change.ownership.name)
    return customer_id, () if change.gone else owners_from_wire(change.ownership)


def owners_from_wire(ownership: ownership_pb2.Ownership) -> Sequence[Owner]:
    """All rows; the private manager of the whole stands with the primary one."""
    private_manager_id = names.parse_optional("staff", ownership.private_manager, "private_manager")
    return [_owner_from_wire(owner, private_manager_id) for owner in ownership.owners]


def _owner_from_wire(owner: ownership_pb2.Owner, private_manager_id: str | None) -> Owner:
    is_primary = owner.side == ownership_pb2.SIDE_PRIMARY
    since = owner.since_date
    return Owner(
        branch_id=_branch_id(owner.branch),
        side="PRIMARY" if is_primary else "SECONDARY",
        manager_id=_manager_id(owner.manager),
        since_date=_day(since.year, since.month, since.day),
        private_manager_id=private_manager_id if is_primary else None,
    )


@lru_cache(_KEPT_MAX)
def _branch_id(name: str) -> str:
    return names.parse_one("branches", name)


@lru_cache(_KEPT_MAX)
def _manager_id(name: str) -> str | None:
    return names.parse_optional("staff", name, "manager")


@lru_cache(_KEPT_MAX)
def _day(year: int, month: int, day: int) -> date | None:
    return wire.date_from_wire_or_none(Date(year=year, month=month, day=day), "since_date")
