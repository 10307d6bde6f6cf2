"""A database of campaign_svc on the real PostgreSQL, empty for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import services.campaign_svc.store
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.sql.testing import empty
from devstack.postgres import Postgres
from services.campaign_svc.store.tables import metadata

MIGRATIONS = Path(services.campaign_svc.store.__file__).parent / "migrations"
KEPT = {"contact_policies", "feed_epoch"}


@pytest.fixture(scope="session")
def campaign_database_url(postgres: Postgres) -> str:
    url = postgres.create("campaign")
    migrate(url, MIGRATIONS)
    return url


@pytest.fixture
async def database(campaign_database_url: str) -> AsyncIterator[Database]:
    database = Database(campaign_database_url)
    async with database.begin() as tx:
        await empty(tx, metadata.tables.keys() - KEPT)
    yield database
    await database.close()
