from pathlib import Path

import pytest
from banyan.customer.v1 import key_mark_pb2, key_mark_service_pb2, key_mark_service_pb2_grpc

from chassis.caller import ANY_ROLE, Role
from chassis.errors import Kind, Refused, not_found
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.peers.key_marks import KEY_MARK_SERVICE, key_customer_asked


class Customers(key_mark_service_pb2_grpc.KeyMarkServiceServicer):
    """Knows a key customer and an ordinary one, and fails for a third."""

    async def GetKeyMark(self, request, context):
        del context
        match request.name:
            case "customers/key/keyMark" | "customers/plain/keyMark":
                return key_mark_pb2.KeyMark(name=request.name, key_customer="key" in request.name.split("/"))
            case "customers/broken/keyMark":
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
            case _:
                raise not_found()


class Bearing:
    """A channel that carries the caller's token, as the mesh's do."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def unary_unary(self, *arguments, **options):
        call = self._channel.unary_unary(*arguments, **options)
        return lambda request, **more: call(request, metadata=self._metadata, **more)


@pytest.fixture
async def is_key_customer(tmp_path: Path):
    signed_in = SignedIn(tmp_path)
    served = Served(KEY_MARK_SERVICE, key_mark_service_pb2_grpc.add_KeyMarkServiceServicer_to_server, Customers())
    service = key_mark_service_pb2.DESCRIPTOR.services_by_name["KeyMarkService"]
    allowed = {f"/{KEY_MARK_SERVICE}/{method.name}": ANY_ROLE for method in service.methods}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        yield key_customer_asked(Bearing(channel, signed_in.staff(Role.BRANCH_HEAD)))  # pyright: ignore[reportArgumentType] -- only one of its methods is called


@pytest.mark.parametrize(("customer", "expected"), [("key", True), ("plain", False), ("unknown", False)])
async def test_customer_svc_says_who_is_a_key_customer(is_key_customer, customer, expected) -> None:
    assert await is_key_customer(customer) is expected


async def test_nobody_can_say_while_customer_svc_fails(is_key_customer) -> None:
    with pytest.raises(Refused) as refused:
        await is_key_customer("broken")
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE")
