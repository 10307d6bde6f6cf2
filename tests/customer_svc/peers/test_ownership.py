from dataclasses import replace
from datetime import date
from pathlib import Path

import grpc
import pytest
from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2, ownership_service_pb2_grpc
from google.type.date_pb2 import Date

from chassis.caller import ANY_ROLE
from chassis.errors import Kind, Refused, not_found
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.domain.customer import Owner
from services.customer_svc.peers import ownership

SERVICE = ownership.OWNERSHIP_SERVICE
METHODS = list(ownership_service_pb2.DESCRIPTOR.services_by_name["OwnershipService"].methods_by_name)
OWNERS = [
    ownership_pb2.Owner(
        branch="branches/b1",
        side=ownership_pb2.SIDE_PRIMARY,
        manager="staff/m1",
        since_date=Date(year=2026, month=1, day=2),
    ),
    ownership_pb2.Owner(branch="branches/b2", side=ownership_pb2.SIDE_SECONDARY),
]
UNDERSTOOD = [Owner("b1", "PRIMARY", "m1", date(2026, 1, 2)), Owner("b2", "SECONDARY", None, None)]


class Assignment(ownership_service_pb2_grpc.OwnershipServiceServicer):
    """Knows one customer, and fails for another."""

    async def GetOwnership(self, request, context):
        del context
        match request.name:
            case "customers/c1/ownership":
                return ownership_pb2.Ownership(name=request.name, owners=OWNERS)
            case "customers/broken/ownership":
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
            case _:
                raise not_found()


class Signing:
    """A channel that carries a service's token, as the mesh's do."""

    def __init__(self, channel: grpc.aio.Channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, name: str):
        make = getattr(self._channel, name)

        def made(*arguments, **options):
            call = make(*arguments, **options)
            return lambda request, **more: call(request, metadata=self._metadata, **more)

        return made


@pytest.fixture
async def assignment(tmp_path: Path):
    signed_in = SignedIn(tmp_path)
    served = Served(SERVICE, ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server, Assignment())
    allowed = {f"/{SERVICE}/{method}": ANY_ROLE for method in METHODS}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        yield Signing(channel, signed_in.service("customer_svc"))


@pytest.mark.parametrize(("lag", "expected"), [(0.0, None), (60.0, None), (60.1, UNDERSTOOD)])
async def test_the_source_is_asked_only_when_what_is_followed_is_old(assignment, lag: float, expected) -> None:
    assert await ownership.owners_when_lagging(assignment, lambda: lag)("c1") == expected


async def test_nobody_owns_a_customer_whom_the_source_does_not_know(assignment) -> None:
    assert await ownership.read_owners(assignment, "nobody") == ()


async def test_a_source_that_fails_leaves_what_is_followed(assignment) -> None:
    assert await ownership.read_owners(assignment, "broken") is None


def test_a_change_is_a_customer_with_all_his_owners() -> None:
    told = ownership_pb2.Ownership(name="customers/c1/ownership", owners=OWNERS)
    change = ownership_service_pb2.OwnershipChange(ownership=told)
    assert ownership.change_from_wire(change) == ("c1", UNDERSTOOD)


def test_an_ownership_that_is_gone_has_no_owners() -> None:
    told = ownership_pb2.Ownership(name="customers/c1/ownership")
    assert ownership.change_from_wire(ownership_service_pb2.OwnershipChange(ownership=told, gone=True)) == ("c1", ())


def test_the_private_manager_of_the_whole_stands_with_the_primary_row() -> None:
    told = ownership_pb2.Ownership(name="customers/c1/ownership", owners=OWNERS, private_manager="staff/pm")
    change = ownership_service_pb2.OwnershipChange(ownership=told)
    rows = [replace(UNDERSTOOD[0], private_manager_id="pm"), UNDERSTOOD[1]]
    assert ownership.change_from_wire(change) == ("c1", rows)
