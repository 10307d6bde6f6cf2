"""A migrated database of assignment_svc on the session's real PostgreSQL, and the service behind the whole chain."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from chassis.jobs import Jobs
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.testing import SignedIn, in_process
from devstack.postgres import Postgres
from services.assignment_svc.__main__ import Parts, app_of
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


@dataclass(frozen=True)
class Service:
    """The service in process, and tokens of whoever shall call it."""

    parts: Parts
    channel: grpc.aio.Channel
    signed_in: SignedIn


@pytest.fixture(scope="session")
async def service(assignment_url: str, valkey_url: str) -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory(prefix="bny-") as folder:
        home = Path(folder)
        signed_in = SignedIn(home)
        parts = Parts(Settings(home=home, keys=home, database_url=assignment_url, valkey_url=valkey_url))
        jobs = Jobs()
        async with in_process(app_of(parts), home) as channel:
            jobs.start(parts.jobs())
            yield Service(parts, channel, signed_in)
            await jobs.stop()
        await parts.close()
