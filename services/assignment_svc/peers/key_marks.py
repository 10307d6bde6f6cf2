"""Asks customer_svc who is a key customer, in the name of whoever asks us."""

from collections.abc import Awaitable, Callable

import grpc
from banyan.customer.v1 import key_mark_service_pb2, key_mark_service_pb2_grpc

from chassis.errors import Kind, Refused

KEY_MARK_SERVICE = "banyan.customer.v1.KeyMarkService"
ASK_SECONDS_MAX = 2.0

# Whether a customer is a key customer now; refuses if nobody can say.
IsKeyCustomer = Callable[[str], Awaitable[bool]]


def key_customer_asked(channel: grpc.aio.Channel) -> IsKeyCustomer:
    """Asks with the caller's own token: customer_svc decides by itself what he may know."""
    stub = key_mark_service_pb2_grpc.KeyMarkServiceStub(channel)

    async def is_key_customer(customer_id: str) -> bool:
        request = key_mark_service_pb2.GetKeyMarkRequest(name=f"customers/{customer_id}/keyMark")
        try:
            mark = await stub.GetKeyMark(request, timeout=ASK_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            # Not known there yet, or its owners are not: no key customer as far as anybody knows.
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return False
            message = "nobody can say now who is a key customer"
            raise Refused(Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE", message) from error
        return mark.key_customer

    return is_key_customer
