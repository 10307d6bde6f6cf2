import asyncio
import subprocess
import sys
import warnings

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError

from chassis.sql.engine import Database
from chassis.sql.migrations import _is_ours, migrate
from chassis.sql.tables import chassis_tables
from chassis.sql.testing import migrate_chassis, write_migrations

SECOND = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute("CREATE TABLE left_behind (id integer)")
    op.execute("ALTER TABLE business_day ADD COLUMN note text")
    {last}
"""


async def test_migrations_that_start_together_run_once(empty_url):
    await asyncio.gather(*(asyncio.to_thread(migrate_chassis, empty_url) for _ in range(4)))
    database = Database(empty_url)
    async with database.read() as connection:
        versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    await database.close()
    assert versions == ["0001"]


async def test_what_follows_migrations_is_done_by_one_at_a_time(empty_url, tmp_path):
    write_migrations(tmp_path)
    under_way, most = 0, 0

    async def then():
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1

    await asyncio.gather(*(asyncio.to_thread(migrate, empty_url, tmp_path, None, then) for _ in range(3)))
    assert (under_way, most) == (0, 1)


async def test_tables_are_what_the_migration_makes(database):
    metadata = MetaData()
    chassis_tables(metadata)

    def differences(connection):
        context = MigrationContext.configure(
            connection, opts={"include_name": _is_ours, "compare_server_default": False}
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
            return compare_metadata(context, metadata)

    async with database.alone() as connection:
        found = await connection.run_sync(differences)
    # Other tests' tables stand here too.
    assert [difference for difference in found if difference[0] not in {"remove_table", "remove_index"}] == []


async def test_a_migration_that_fails_leaves_nothing(empty_url, tmp_path):
    await asyncio.to_thread(migrate_chassis, empty_url)
    write_migrations(tmp_path)
    (tmp_path / "versions" / "0002_second.py").write_text(SECOND.format(last="op.execute('SELECT 1/0')"))
    with pytest.raises(DBAPIError, match="division by zero"):
        await asyncio.to_thread(migrate, empty_url, tmp_path)
    database = Database(empty_url)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT to_regclass('left_behind')"))).scalar_one() is None
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "0001"
    await database.close()


async def test_a_migration_does_not_wait_long_for_a_table_in_use(empty_url, tmp_path):
    await asyncio.to_thread(migrate_chassis, empty_url)
    write_migrations(tmp_path)
    (tmp_path / "versions" / "0002_second.py").write_text(SECOND.format(last="pass"))
    database = Database(empty_url)
    async with database.begin() as tx:
        await tx.execute(text("SELECT * FROM business_day"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            async with asyncio.timeout(10):
                await asyncio.to_thread(migrate, empty_url, tmp_path)
    await asyncio.to_thread(migrate, empty_url, tmp_path)
    await database.close()


def test_a_process_that_only_serves_does_not_pay_for_what_migrates():
    program = "import sys, services.alert_svc.__main__; print({'alembic', 'mako'} & sys.modules.keys())"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
