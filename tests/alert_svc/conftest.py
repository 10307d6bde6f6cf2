"""A database of alert_svc on the real PostgreSQL, empty for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import services.alert_svc.store
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.sql.testing import empty
from devstack.postgres import Postgres
from services.alert_svc.store.tables import metadata

MIGRATIONS = Path(services.alert_svc.store.__file__).parent / "migrations"
KEPT = {"alert_rules", "feed_epoch"}


@pytest.fixture(scope="session")
def alert_database_url(postgres: Postgres) -> str:
    url = postgres.create("alert")
    migrate(url, MIGRATIONS)
    return url


@pytest.fixture
async def database(alert_database_url: str) -> AsyncIterator[Database]:
    database = Database(alert_database_url)
    async with database.begin() as tx:
        await empty(tx, metadata.tables.keys() - KEPT)
    yield database
    await database.close()
