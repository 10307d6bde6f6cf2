"""Asks customer_svc who has a name and an id number, in the service's own name: whoever asks may not know it."""

import unicodedata
from collections.abc import Awaitable, Callable

import grpc
from banyan.customer.v1 import customer_condition_pb2, customer_service_pb2, customer_service_pb2_grpc

from chassis import names
from chassis.caller import calling, current_request_id
from chassis.errors import Kind, Refused

CUSTOMER_SERVICE = "banyan.customer.v1.CustomerService"
ASK_SECONDS_MAX = 3.0
# More people than this have no number in common.
_FOUND_MAX = 20

# The one customer with a name and the number of an id document, None if there is not exactly one; refuses if nobody
# can say.
FindCustomer = Callable[[str, str], Awaitable[str | None]]


def customer_found(channel: grpc.aio.Channel) -> FindCustomer:
    """Finds by the number, which customer_svc looks up by its hash, and compares the names."""
    stub = customer_service_pb2_grpc.CustomerServiceStub(channel)

    async def find_customer(display_name: str, id_number: str) -> str | None:
        condition = customer_condition_pb2.CustomerCondition(
            identity=customer_condition_pb2.IdentityCondition(id_number=id_number)
        )
        request = customer_service_pb2.SearchCustomersRequest(conditions=[condition], page_size=_FOUND_MAX)
        try:
            with calling(None, current_request_id()):
                answer = await stub.SearchCustomers(request, timeout=ASK_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            # It refuses a number that nobody can have.
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return None
            message = "nobody can say now who is meant"
            raise Refused(Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE", message) from error
        same = [one.name for one in answer.customers if _same(one.display_name) == _same(display_name)]
        return names.parse_one("customers", same[0]) if len(same) == 1 else None

    return find_customer


def _same(name: str) -> str:
    """What ways to write a name have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
