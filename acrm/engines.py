"""Where the batch's SQL runs. The only file that names an engine."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr import types as ir

# In process: nothing to install, nothing to reach.
LOCAL = "duckdb://"

_SQL_TYPE_OF: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def sql_type(wanted: pa.DataType) -> str:
    """The engine's name of a column type of the feed."""
    return _SQL_TYPE_OF[wanted]


def quoted(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


class Engine:
    """One connection: runs SQL text, reads Parquet as tables, writes expressions as Parquet."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a query; for answers that are known to be few."""
        return self._connection.execute(sql).fetchall()

    def number(self, sql: str) -> int:
        """The one integer that a query answers."""
        value = self.rows(sql)[0][0]
        assert isinstance(value, int)
        return value

    def take(self, name: str, rows: pa.Table) -> None:
        """Keeps an Arrow table as a table of the engine."""
        self._connection.register("taken", rows)
        self.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM taken")  # noqa: S608 - our own name
        self._connection.unregister("taken")

    def read(self, name: str, path: Path, schema: pa.Schema) -> ir.Table:
        """Makes a Parquet file a table of expressions; a file that is not there is an empty table."""
        columns = ", ".join(f"NULL::{sql_type(field.type)} AS {field.name}" for field in schema)
        source = f"SELECT * FROM read_parquet({quoted(str(path))})" if path.exists() else f"SELECT {columns} LIMIT 0"  # noqa: S608 - our own paths and names
        self.run(f"CREATE OR REPLACE VIEW {name} AS {source}")
        # A file tells what can be empty by what happens to be in it; expressions of unlike schemas do not unite.
        nullable = pa.schema([(field.name, field.type) for field in schema])
        return ibis.table(ibis.schema(nullable), name=name)

    def read_stage(self, name: str, path: Path) -> ir.Table:
        """Makes what `write_stage` wrote a table of expressions."""
        return self.read(name, path, pq.read_schema(path))

    def write_stage(self, expression: ir.Table, path: Path) -> int:
        """As `write`, of a result that only later stages read: its columns are those of the expression."""
        told = expression.schema().to_pyarrow()
        wide = [(field.name, pa.int64() if pa.types.is_integer(field.type) else field.type) for field in told]
        return self.write(expression, pa.schema(wide), path)

    def write(self, expression: ir.Table, schema: pa.Schema, path: Path) -> int:
        """Writes an expression as Parquet with exactly `schema`'s types, and returns the number of rows."""
        return self.write_sql(str(ibis.to_sql(expression, dialect="duckdb")), schema, path)

    def write_sql(self, select: str, schema: pa.Schema, path: Path) -> int:
        """As `write`, of a query.

        The casts stand in our own SQL: expressions drop those that they believe to be no-ops, and a SUM of BIGINT
        would land as a wider type. The file appears whole or not at all.
        """
        casts = ", ".join(f"CAST({field.name} AS {sql_type(field.type)}) AS {field.name}" for field in schema)
        unfinished = path.with_suffix(".unfinished")
        path.parent.mkdir(parents=True, exist_ok=True)
        target = quoted(str(unfinished))
        count = self.number(f"COPY (SELECT {casts} FROM ({select})) TO {target} (FORMAT parquet)")  # noqa: S608 - our own names
        unfinished.replace(path)
        return count


@contextmanager
def engine(url: str = LOCAL, folder: Path | None = None) -> Generator[Engine]:
    """Opens the engine of a URL; ValueError says which URLs are known.

    What does not fit into memory is for that time written below `folder`, or where the system keeps such files.
    """
    scheme = urlsplit(url).scheme
    if scheme != urlsplit(LOCAL).scheme:
        raise ValueError(f"no engine for {url!r}: use {LOCAL}")
    # By itself it would write into the working directory, which may be read-only and is no place for personal data.
    with TemporaryDirectory(prefix="spill-", dir=folder) as spill, duckdb.connect(":memory:") as connection:
        connection.execute(f"SET temp_directory = {quoted(spill)}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield Engine(connection)
