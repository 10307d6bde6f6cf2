"""Asks assignment_svc to end a private manager's care."""

import uuid

import grpc
from banyan.assignment.v1 import ownership_service_pb2, ownership_service_pb2_grpc

from chassis.caller import calling

ASK_SECONDS_MAX = 5.0


async def end_private_manager(channel: grpc.aio.Channel, customer_id: str, staff_id: str, reason: str) -> bool:
    """Ends the care of this one private manager, as the service itself; whether it is over now.

    Asked again it changes nothing, so whoever got no answer asks again.
    """
    stub = ownership_service_pb2_grpc.OwnershipServiceStub(channel)
    request = ownership_service_pb2.RemovePrivateManagerRequest(
        name=f"customers/{customer_id}/ownership",
        reason=reason,
        private_manager=f"staff/{staff_id}",
        request_id=str(uuid.uuid4()),
    )
    try:
        with calling(None, ""):
            await stub.RemovePrivateManager(request, timeout=ASK_SECONDS_MAX)
    except grpc.aio.AioRpcError as error:
        # An ownership that is gone has no private manager either.
        return error.code() is grpc.StatusCode.NOT_FOUND
    return True
