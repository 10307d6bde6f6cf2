"""A migrated database of assignment_svc on the session's real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import services.assignment_svc.store
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from devstack.postgres import Postgres

MIGRATIONS = Path(services.assignment_svc.store.__file__).parent / "migrations"


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
