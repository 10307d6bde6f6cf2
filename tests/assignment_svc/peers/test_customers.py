"""customer_svc finds by the number of an id document; the name must be the same too."""

from pathlib import Path

import pytest
from banyan.customer.v1 import customer_pb2, customer_service_pb2, customer_service_pb2_grpc

from chassis.caller import ANY_ROLE, caller_or_none
from chassis.errors import Kind, Refused, invalid_field
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.peers.customers import CUSTOMER_SERVICE, customer_found

PEOPLE = {"1": [("c1", "王小明")], "2": [("c2", "Li Na"), ("c3", "李娜")], "3": [("c4", "张三"), ("c5", "张 三")]}


class Customers(customer_service_pb2_grpc.CustomerServiceServicer):
    """Knows some people by their numbers, says that one number is none, and fails for another."""

    async def SearchCustomers(self, request, context):
        del context
        caller = caller_or_none()
        assert caller is not None
        assert caller.is_service
        (condition,) = request.conditions
        match condition.identity.id_number:
            case "wrong":
                raise invalid_field("id_number", "is none")
            case "broken":
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
            case number:
                found = PEOPLE.get(number, [])
        told = [customer_pb2.Customer(name=f"customers/{one}", display_name=name) for one, name in found]
        return customer_service_pb2.SearchCustomersResponse(customers=told)


class Bearing:
    """A channel that carries the service's token, as the mesh's do."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, kind):
        def opened(*arguments, **options):
            call = getattr(self._channel, kind)(*arguments, **options)
            return lambda request, **more: call(request, metadata=self._metadata, **more)

        return opened


@pytest.fixture
async def find(tmp_path: Path):
    signed_in = SignedIn(tmp_path)
    served = Served(CUSTOMER_SERVICE, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server, Customers())
    service = customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"]
    allowed = {f"/{CUSTOMER_SERVICE}/{method.name}": ANY_ROLE for method in service.methods}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        yield customer_found(Bearing(channel, signed_in.service()))  # pyright: ignore[reportArgumentType] -- as a channel as far as it is used


@pytest.mark.parametrize(
    ("name", "number", "found"),
    [
        ("王小明", "1", "c1"),
        (" 王 小明", "1", "c1"),
        ("王小", "1", None),
        ("\uff4c\uff49 \uff2e\uff21", "2", "c2"),
        ("李娜", "2", "c3"),
        ("张三", "3", None),
        ("王小明", "9", None),
        ("王小明", "wrong", None),
    ],
)
async def test_the_one_with_the_number_and_the_name_is_found(find, name, number, found) -> None:
    assert await find(name, number) == found


async def test_nobody_can_say_while_customer_svc_fails(find) -> None:
    with pytest.raises(Refused) as refused:
        await find("王小明", "broken")
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE")
