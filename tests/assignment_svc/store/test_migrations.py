"""That the tables are those that the migrations made, with their indexes."""

import warnings
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from chassis.sql.engine import Database
from services.assignment_svc.store.schema import METADATA

# Of constraints and indexes the migrations say more than the tables can.
TOLD_BY_MIGRATIONS = {"remove_index", "add_constraint", "remove_constraint"}


async def test_the_tables_are_those_that_the_migrations_made(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {
            "include_name": lambda name, kind, _: kind != "table" or name in METADATA.tables,
            "compare_server_default": False,
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))

    async with database.read() as conn:
        found = await conn.run_sync(differences)
    assert [change for change in found if change[0] not in TOLD_BY_MIGRATIONS] == []
