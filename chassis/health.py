"""grpc.health.v1: whether the process, and each of its services, takes calls; with Watch, as gRPC clients like it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from chassis.errors import not_found

NAME = "grpc.health.v1.Health"
_Status = HealthCheckResponse.ServingStatus


class Health(HealthServicer):
    """One state for all services of a process, the empty name standing for the process itself."""

    def __init__(self, services: Sequence[str]) -> None:
        self._names = {"", *services}
        self._status = _Status.NOT_SERVING
        self._left = False
        self._changed = asyncio.Event()

    def tell(self, *, serving: bool) -> None:
        """Changes the state and wakes who watches it; does nothing once the process has left."""
        status = _Status.SERVING if serving else _Status.NOT_SERVING
        if self._left or status == self._status:
            return
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()

    def leave(self) -> None:
        """Tells NOT_SERVING for good, since the process is being stopped."""
        self.tell(serving=False)
        self._left = True

    async def Check(  # noqa: N802 -- gRPC's name
        self,
        request: HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 -- gRPC's signature
    ) -> HealthCheckResponse:
        if request.service not in self._names:
            raise not_found()
        return HealthCheckResponse(status=self._status)

    async def Watch(  # noqa: N802 -- gRPC's name
        self,
        request: HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 -- gRPC's signature
    ) -> AsyncGenerator[HealthCheckResponse]:
        told: int | None = None
        while True:
            changed = self._changed
            status = self._status if request.service in self._names else _Status.SERVICE_UNKNOWN
            if status != told:
                yield HealthCheckResponse(status=status)
                told = status
            await changed.wait()
