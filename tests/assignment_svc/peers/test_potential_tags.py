"""Potential tags come from customer_svc in pieces, and are missing rather than late when it fails."""

from pathlib import Path

import pytest
from banyan.customer.v1 import tag_service_pb2 as pb
from banyan.customer.v1 import tag_service_pb2_grpc

from chassis.caller import Caller, Role, caller_or_none, calling
from chassis.clock import now
from chassis.errors import Kind, Refused
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.peers.potential_tags import TAG_SERVICE, potential_tags_asked


class Tags(tag_service_pb2_grpc.TagServiceServicer):
    """Knows that every odd customer may leave, and fails when asked for one whom it cannot bear."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def BatchGetPotentialTags(self, request, context):
        del context
        self.sizes.append(len(request.customers))
        if "customers/broken" in request.customers:
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
        odd = [name for name in request.customers if int(name.removeprefix("customers/c")) % 2]
        return pb.BatchGetPotentialTagsResponse(
            potential_tags=[pb.PotentialTags(customer=name, tags=["tags/CHURN"]) for name in odd]
        )


class Bearing:
    """A channel that carries the service's own token, and notes in whose name it is called."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata
        self.callers: list[Caller | None] = []

    def unary_unary(self, *arguments, **options):
        call = self._channel.unary_unary(*arguments, **options)

        def bearing(request, **more):
            self.callers.append(caller_or_none())
            return call(request, metadata=self._metadata, **more)

        return bearing


@pytest.fixture
async def asked(tmp_path: Path):
    signed_in, tags = SignedIn(tmp_path), Tags()
    served = Served(TAG_SERVICE, tag_service_pb2_grpc.add_TagServiceServicer_to_server, tags)
    service = pb.DESCRIPTOR.services_by_name["TagService"]
    allowed = {f"/{TAG_SERVICE}/{method.name}": frozenset({Role.SERVICE}) for method in service.methods}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        bearing = Bearing(channel, signed_in.service())
        yield potential_tags_asked(bearing), tags, bearing  # pyright: ignore[reportArgumentType] -- only one of its methods is called


async def test_customers_are_asked_for_a_thousand_at_a_time_and_in_the_services_own_name(asked) -> None:
    tags_of, tags, bearing = asked
    manager = Caller("m1", "north", frozenset({Role.MANAGER}), "s", "staff", now(), "t")
    with calling(manager, "r"):
        told = await tags_of([f"c{n}" for n in range(2_500)])
    assert len(told) == 1_250
    assert told["c7"] == ["CHURN"]
    assert tags.sizes == [1_000, 1_000, 500]
    assert bearing.callers == [None, None, None]


async def test_nobody_is_told_tags_while_customer_svc_fails(asked) -> None:
    tags_of, _, _ = asked
    assert await tags_of(["broken"]) is None
    assert await tags_of([]) == {}
