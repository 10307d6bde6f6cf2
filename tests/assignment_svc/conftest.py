"""A migrated database of assignment_svc on the session's real PostgreSQL, and the service behind the whole chain."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from chassis.errors import Kind, Refused
from chassis.jobs import Jobs
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.testing import SignedIn, in_process
from devstack.postgres import Postgres
from services.assignment_svc.__main__ import Parts, Peers, app_of
from services.assignment_svc.settings import Settings
from services.assignment_svc.store import MIGRATIONS


@pytest.fixture(scope="session")
async def assignment_url(postgres: Postgres) -> str:
    url = postgres.create("assignment_svc")
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    return url


@pytest.fixture(scope="session")
async def database(assignment_url: str) -> AsyncIterator[Database]:
    opened = Database(assignment_url, application="test")
    yield opened
    await opened.close()


class KeyCustomers:
    """Stands for customer_svc: who is a key customer, or that nobody can say."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.reachable = True

    async def __call__(self, customer_id: str) -> bool:
        if not self.reachable:
            raise Refused(Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE", "nobody can say")
        return customer_id in self.ids


class PotentialTags:
    """Stands for customer_svc: the potential tags of customers, or that nobody can say."""

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = {}
        self.reachable = True

    async def __call__(self, customer_ids: Sequence[str]) -> dict[str, list[str]] | None:
        return {one: self.of[one] for one in customer_ids if one in self.of} if self.reachable else None


@dataclass(frozen=True)
class Service:
    """The service in process, and tokens of whoever shall call it."""

    parts: Parts
    channel: grpc.aio.Channel
    signed_in: SignedIn
    key_customers: KeyCustomers
    potential_tags: PotentialTags


@pytest.fixture(scope="session")
async def service(assignment_url: str, valkey_url: str) -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory(prefix="bny-") as folder:
        home = Path(folder)
        signed_in = SignedIn(home)
        parts = Parts(Settings(home=home, keys=home, database_url=assignment_url, valkey_url=valkey_url))
        jobs, key_customers, potential_tags = Jobs(), KeyCustomers(), PotentialTags()
        async with in_process(app_of(parts, Peers(key_customers, potential_tags)), home) as channel:
            jobs.start(parts.jobs())
            yield Service(parts, channel, signed_in, key_customers, potential_tags)
            await jobs.stop()
        await parts.close()
