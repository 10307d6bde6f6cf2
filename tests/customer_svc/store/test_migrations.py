import warnings

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.customer_svc.store.tables import METADATA

# Defaults, indexes and constraints are told by the migrations alone.
TOLD_BY_MIGRATIONS = {"remove_index", "add_index", "add_constraint", "remove_constraint"}


async def test_the_tables_are_those_that_the_migrations_made(customer_database) -> None:
    def differences(connection):
        options = {
            "include_name": lambda name, kind, _: kind != "table" or name in METADATA.tables,
            "compare_server_default": False,
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
            return compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)

    async with customer_database.read() as conn:
        found = await conn.run_sync(differences)
    assert [change for change in found if change[0] not in TOLD_BY_MIGRATIONS] == []
