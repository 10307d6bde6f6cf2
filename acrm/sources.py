# ruff: noqa: S608 - every name in these statements is ours, every value is quoted
"""The feed's door: checks a folder of files, reports every bad row, and leaves clean Parquet behind (docs/feed.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from acrm import checks, readers
from acrm.business_tables import ACCOUNTS
from acrm.columns import Table
from acrm.engines import LOCAL, Engine, engine, quoted
from acrm.readers import Fault
from acrm.tables import BRANCHES, FEED

# A report names so many faults; the rejects files name all.
FAULTS_SHOWN_MAX = 100

_FAULT_SCHEMA = pa.schema(
    [(name, pa.int64() if name == "line" else pa.string()) for name in Fault.__dataclass_fields__]
)


@dataclass(frozen=True)
class FeedReport:
    """What a feed holds: its good rows by table, and what is wrong with the others."""

    row_counts: Mapping[str, int]
    """Clean rows by table; empty if nothing may be imported."""
    fault_count: int
    faults: Sequence[Fault]
    """The first 100."""
    rejects: Path
    """The folder with a CSV for each table that has faults."""

    @property
    def accepted(self) -> bool:
        return bool(self.row_counts)


def check_feed(
    folder: Path, clean: Path, business_date: date, *, rejects: Path, skip_bad_rows: bool = False
) -> FeedReport:
    """Checks every row of the feed in `folder` and writes each table to `clean` as Parquet.

    Nothing is written to `clean` if any row is bad, unless bad rows are to be skipped; a file that cannot be read at
    all, a missing or an unknown column refuse the feed in any case. A row that refers to a bad row is bad.
    """
    found = readers.find_files(folder, FEED)
    with TemporaryDirectory(prefix="banyan-feed-") as gathered, engine(LOCAL, Path(gathered)) as local:
        faults = list(found.faults)
        for table in FEED.values() if not faults else ():
            files = found.files.get(table.name, [])
            path = Path(gathered) / f"{table.name}.parquet"
            if files:
                faults += readers.gather(table, files, folder, path)
            local.run(checks.typed_view(table, f"read_parquet({quoted(str(path))})" if files else _nothing(table)))
        local.take("fault", pa.Table.from_pylist([fault.__dict__ for fault in faults], schema=_FAULT_SCHEMA))
        whole_files = [fault for fault in faults if fault.line == 0]
        if not whole_files:
            _check_rows(local, business_date)
        fault_count = local.number("SELECT count(*) FROM fault")
        accepted = not whole_files and (skip_bad_rows or fault_count == 0)
        return FeedReport(
            row_counts=_write_clean(local, clean) if accepted else {},
            fault_count=fault_count,
            faults=_shown_faults(local),
            rejects=_write_rejects(local, rejects),
        )


def _nothing(table: Table) -> str:
    """A source without rows, for a table that the feed lacks."""
    columns = ", ".join(f"NULL::VARCHAR AS {column.name}" for column in table.columns)
    return f"(SELECT ''::VARCHAR AS file, 0::BIGINT AS line, {columns} LIMIT 0)"


def _check_rows(local: Engine, business_date: date) -> None:
    for table in FEED.values():
        _add_faults(local, table, checks.row_faults(table, business_date))
        _add_faults(local, table, checks.duplicate_faults(table, table.key))
        for column in table.unique:
            _add_faults(local, table, checks.duplicate_faults(table, [column]))
        if table is BRANCHES:
            _add_faults(local, table, checks.circle_faults(table))
        while _add_reference_faults(local, table):
            pass  # a row that refers to a rejected row of its own table is found in the next round
        if table is ACCOUNTS:
            _add_faults(local, table, checks.balance_faults(table))


def _add_reference_faults(local: Engine, table: Table) -> bool:
    """Adds the faults of a table's references; True if another round may find more."""
    again = False
    for column in table.columns:
        if column.reference:
            added = _add_faults(local, table, checks.reference_faults(table, column, FEED[column.reference]))
            again |= added > 0 and column.reference == table.name
    return again


def _add_faults(local: Engine, table: Table, select: str) -> int:
    before = local.number("SELECT count(*) FROM fault")
    local.run(f"""INSERT INTO fault SELECT {quoted(table.name)}, file, line, "column", reason, value FROM ({select})""")
    return local.number("SELECT count(*) FROM fault") - before


def _write_clean(local: Engine, clean: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in FEED.values():
        select = f"SELECT * FROM {checks.good_rows(table)}"
        counts[table.name] = local.write_sql(select, table.schema, clean / f"{table.name}.parquet")
    return counts


def _shown_faults(local: Engine) -> list[Fault]:
    # A bad row makes those bad that refer to it; in the feed's order the cause comes first.
    order = ", ".join(quoted(name) for name in FEED)
    rows = local.rows(
        f"""SELECT * FROM fault ORDER BY list_position([{order}], "table"), file, line, "column"
        LIMIT {FAULTS_SHOWN_MAX}"""
    )
    return [Fault(*row) for row in rows]  # pyright: ignore[reportArgumentType] - the table has the fields of Fault


def _write_rejects(local: Engine, rejects: Path) -> Path:
    """Writes the faults of each table to a CSV of its own; files of an earlier check go."""
    for name in FEED:
        (rejects / f"{name}.csv").unlink(missing_ok=True)
    for (name,) in local.rows('SELECT DISTINCT "table" FROM fault'):
        rejects.mkdir(parents=True, exist_ok=True)
        target = quoted(str(rejects / f"{name}.csv"))
        local.run(
            f"""COPY (SELECT file, line, "column", reason, value FROM fault WHERE "table" = {quoted(str(name))}
            ORDER BY file, line, "column") TO {target} (FORMAT csv, HEADER)"""
        )
    return rejects
