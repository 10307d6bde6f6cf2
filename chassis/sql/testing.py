"""For tests: a database that holds the chassis' own tables and nothing of a service."""

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.migrations import migrate

_ENV = """
from sqlalchemy import MetaData

from chassis.sql.migrations import run_env

run_env(MetaData())
"""

_FIRST = """
from alembic import op

from chassis.sql.schema import create_chassis

revision = "0001"
down_revision = None


def upgrade():
    create_chassis(op)
"""


def write_migrations(folder: Path) -> None:
    """Writes the migrations of a service that has only the chassis' tables."""
    (folder / "versions").mkdir()
    (folder / "env.py").write_text(_ENV)
    (folder / "versions" / "0001_first.py").write_text(_FIRST)


def migrate_chassis(url: str) -> None:
    """Creates the chassis' tables in an empty database. Blocks."""
    with TemporaryDirectory() as folder:
        write_migrations(Path(folder))
        migrate(url, Path(folder))


async def empty(tx: AsyncConnection, tables: Collection[str]) -> None:
    """Empties tables, those too that are append-only while the bank works."""
    kept = sorted({"audit", "audit_seal"} & set(tables))
    for table in kept:
        await tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    if tables:
        await tx.execute(text(f"TRUNCATE {', '.join(sorted(tables))}"))
    for table in kept:
        await tx.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
