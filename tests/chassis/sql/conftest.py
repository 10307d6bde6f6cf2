import asyncio
import itertools

import pytest

from chassis.sql.engine import Database
from chassis.sql.testing import migrate_chassis

_numbers = itertools.count()


@pytest.fixture(scope="session")
async def database_url(postgres):
    """A database with the chassis' tables, shared by the tests of this folder."""
    url = await asyncio.to_thread(postgres.create, f"chassis_sql_{next(_numbers)}")
    await asyncio.to_thread(migrate_chassis, url)
    return url


@pytest.fixture(scope="session")
async def database(database_url):
    database = Database(database_url, application="test", pool=20)
    yield database
    await database.close()


@pytest.fixture
async def empty_url(postgres):
    return await asyncio.to_thread(postgres.create, f"chassis_sql_{next(_numbers)}")
