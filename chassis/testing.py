"""For tests of services: a real server in process with the whole chain, and tokens of whoever shall call."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import grpc

from chassis import clock, telemetry
from chassis.caller import Role
from chassis.server import App, Instance, Served
from chassis.settings import ServiceSettings
from chassis.tokens import STAFF_APPLICATION, KeyRing, Revocations, Signer, Verifier, make_key

APPLICATIONS = (STAFF_APPLICATION, "customer_svc", "campaign_svc", "alert_svc", "cli")

Metadata = tuple[tuple[str, str], ...]


class SignedIn:
    """Keys of all applications in a folder, made if they are not there, and the metadata of callers signed in by them.

    `await stub.GetCustomer(request, metadata=signed_in.staff(Role.MANAGER))`
    """

    def __init__(self, keys: Path) -> None:
        for application in APPLICATIONS:
            if not (keys / "private" / application).exists():
                # Old enough to sign at once.
                make_key(keys, application, clock.now() - timedelta(hours=1))
        self.keys = keys
        self.ring = KeyRing(keys)
        self.revocations = Revocations()
        self.verifier = Verifier(self.ring, self.revocations.is_revoked)

    def staff(
        self,
        *roles: Role,
        staff_id: str = "staff-1",
        branch_id: str = "branch-1",
        session_id: str = "session-1",
        expire_time: datetime | None = None,
    ) -> Metadata:
        """The metadata of a staff member's calls; his token is good for 15 min unless told otherwise."""
        at = clock.now()
        until = expire_time or at + timedelta(minutes=15)
        return bearer(self.signer(STAFF_APPLICATION).staff_token(staff_id, branch_id, roles, session_id, at, until))

    def service(self, application: str = "cli") -> Metadata:
        """The metadata of a service's own calls."""
        return bearer(self.signer(application).service_token(clock.now()))

    def signer(self, application: str) -> Signer:
        """Signs for an application."""
        return Signer(self.ring, application)


def bearer(token: str) -> Metadata:
    """The metadata that carries a token."""
    return (("authorization", f"Bearer {token}"),)


def app_of(
    services: Sequence[Served], allowed: Mapping[str, frozenset[Role]], signed_in: SignedIn, domain: str = "test.banyan"
) -> App:
    """An application of these services and nothing else."""
    return App("test_svc", domain, services, allowed, signed_in.verifier)


@asynccontextmanager
async def in_process(app: App, home: Path, **settings: object) -> AsyncGenerator[grpc.aio.Channel]:
    """A plain channel to a server in this process that serves the application behind the whole chain."""
    async with instance_in_process(app, home, **settings) as (_, channel):
        yield channel


@asynccontextmanager
async def instance_in_process(
    app: App, home: Path, **settings: object
) -> AsyncGenerator[tuple[Instance, grpc.aio.Channel]]:
    """As `in_process`, with the server's own side, to drain it or to look at its limits."""
    telemetry.log_through_stdlib()
    told = {"home": home, "keys": home, "database_url": "", **settings}
    instance = Instance(ServiceSettings.model_validate(told), app)
    port = instance.bind()
    await instance.start()
    instance.health.tell(serving=True)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield instance, channel
    finally:
        await instance.stop(0)
