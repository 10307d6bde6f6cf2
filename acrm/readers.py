"""Finds the files of a feed and brings each table into one form: Parquet with the columns `file` and `line`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from acrm.columns import Table

FORMATS = (".parquet", ".csv")
BATCH_ROWS = 131_072

Lines = npt.NDArray[np.int64]
Batches = Iterator[tuple[Lines, pa.RecordBatch]]


@dataclass(frozen=True)
class Fault:
    """Something wrong. `line` is a CSV's line or a Parquet file's row, from 1; 0 for the file as a whole."""

    table: str
    file: str
    line: int
    column: str
    reason: str
    value: str = ""


@dataclass
class Found:
    """The files of each table, and what is wrong with the folder itself."""

    files: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])
    faults: list[Fault] = field(default_factory=list[Fault])


def find_files(folder: Path, tables: dict[str, Table]) -> Found:
    """Finds `customers.parquet`, `customers.csv` or the parts in `customers/` for each table."""
    found = Found()
    for path in sorted(folder.iterdir()):
        is_part_folder = path.is_dir() and path.name in tables
        if path.suffix in FORMATS and path.stem not in tables:
            found.faults.append(Fault(path.stem, path.name, 0, "", "is no table of the feed"))
        elif is_part_folder or path.suffix in FORMATS:
            parts = sorted(p for p in path.iterdir() if p.suffix in FORMATS) if is_part_folder else [path]
            found.files.setdefault(path.stem, []).extend(parts)
    for name, files in found.files.items():
        if len({(file.parent, file.suffix) for file in files}) > 1:
            names = ", ".join(str(file.relative_to(folder)) for file in files)
            found.faults.append(Fault(name, files[0].name, 0, "", f"is given twice: {names}"))
    for name, table in tables.items():
        if table.required and not found.files.get(name):
            found.faults.append(Fault(name, "", 0, "", f"{name}.parquet or {name}.csv is missing"))
    return found


def gather(table: Table, files: Sequence[Path], folder: Path, target: Path) -> list[Fault]:
    """Copies a table's files into one Parquet file, with file, line and the columns (those of a CSV as text).

    Faults are those of the files themselves: their columns, their types, lines of the wrong width.
    """
    schema = pa.schema(
        [pa.field("file", pa.string()), pa.field("line", pa.int64())]
        + [pa.field(c.name, pa.string() if files[0].suffix == ".csv" else c.type) for c in table.columns]
    )
    faults: list[Fault] = []
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for path in files:
            name = str(path.relative_to(folder))
            read = _read_csv if path.suffix == ".csv" else _read_parquet
            for lines, batch in read(table, path, name, faults):
                columns = {column: batch.column(column) for column in batch.schema.names}
                writer.write_table(_laid_out(schema, name, lines, columns))
    return faults


def _laid_out(schema: pa.Schema, name: str, lines: Lines, columns: dict[str, pa.Array]) -> pa.Table:
    """A batch in the common form; columns that the file lacks are empty."""
    count = len(lines)
    arrays = [pa.repeat(pa.scalar(name), count), pa.array(lines)]
    for wanted in schema.names[2:]:
        given = columns.get(wanted)
        arrays.append(pa.nulls(count, schema.field(wanted).type) if given is None else given)
    return pa.Table.from_arrays(arrays, schema=schema)


def _header_faults(table: Table, name: str, header: Sequence[str]) -> list[Fault]:
    known = {column.name for column in table.columns}
    faults = [Fault(table.name, name, 0, c, "is no column of this table") for c in header if c not in known]
    faults += [Fault(table.name, name, 0, c, "stands there twice") for c in sorted(set(header)) if header.count(c) > 1]
    missing = [c.name for c in table.columns if c.required and c.name not in header]
    return faults + [Fault(table.name, name, 0, c, "is missing") for c in missing]


def _read_csv(table: Table, path: Path, name: str, faults: list[Fault]) -> Batches:
    """The rows of a CSV as text with their lines; a line of the wrong width is left out and reported."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline().strip().replace('"', "").split(",")
    if wrong := _header_faults(table, name, header):
        faults += wrong
        return
    count = _LineCount(table.name, name, faults)
    try:
        with pcsv.open_csv(
            path,
            # One thread, so that the handler of bad lines is told their numbers.
            read_options=pcsv.ReadOptions(use_threads=False, block_size=8 << 20),
            parse_options=pcsv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=count.skip
            ),
            convert_options=pcsv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.binary()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        ) as reader:
            for batch in reader:
                numbers = count.number(batch)
                kept = ~np.logical_and.reduce([_mask(column.is_null()) for column in batch.columns])
                yield _decoded(table, name, numbers[kept], batch.filter(pa.array(kept)), faults)
    except pa.ArrowInvalid as error:
        faults.append(Fault(table.name, name, count.last_line + 1, "", f"cannot be read from here on: {error}"[:300]))


def _decoded(
    table: Table, name: str, lines: Lines, batch: pa.RecordBatch, faults: list[Fault]
) -> tuple[Lines, pa.RecordBatch]:
    """A batch of bytes as text, without the rows that are not UTF-8, which are reported."""
    kept = np.ones(len(lines), dtype=bool)
    for column in batch.schema.names:
        values = batch.column(column)
        try:
            values.cast(pa.string())
        except pa.ArrowInvalid:
            wrong = [row for row, value in enumerate(values.to_pylist()) if value and not _is_text(value)]
            faults += [Fault(table.name, name, int(lines[row]), column, "is not UTF-8") for row in wrong]
            kept[wrong] = False
    batch = batch.filter(pa.array(kept))
    return lines[kept], batch.cast(pa.schema([(column, pa.string()) for column in batch.schema.names]))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mask(flags: pa.Array) -> npt.NDArray[np.bool_]:
    return flags.to_numpy(zero_copy_only=False)


class _LineCount:
    """Tells the line of each row of a CSV, past lines that were left out and values that hold line breaks."""

    def __init__(self, table: str, name: str, faults: list[Fault]) -> None:
        self._table = table
        self._name = name
        self._faults = faults
        self._skipped: list[int] = []
        self._rows = 1  # the header's
        self._breaks = 0
        self.last_line = 1

    def skip(self, row: pcsv.InvalidRow) -> str:
        line = (row.number or 0) + self._breaks
        self._skipped.append(row.number or 0)
        reason = f"has {row.actual_columns} values instead of {row.expected_columns}"
        self._faults.append(Fault(self._table, self._name, line, "", reason, row.text[:100]))
        return "skip"

    def number(self, batch: pa.RecordBatch) -> Lines:
        ordinals = np.arange(self._rows + 1, self._rows + 1 + batch.num_rows, dtype=np.int64)
        for skipped in [number for number in self._skipped if number <= ordinals[-1] + len(self._skipped)]:
            at_or_after = ordinals >= skipped
            if at_or_after.any():
                ordinals[at_or_after] += 1
                self._skipped.remove(skipped)
        breaks = np.zeros(batch.num_rows, dtype=np.int64)
        for column in batch.columns:
            found = pc.call_function("count_substring", [column], pc.MatchSubstringOptions("\n"))
            breaks += found.fill_null(0).to_numpy(zero_copy_only=False)
        lines = ordinals + self._breaks + np.cumsum(breaks) - breaks
        self._rows = int(ordinals[-1])
        self._breaks += int(breaks.sum())
        self.last_line = self._rows + self._breaks
        return lines


def _read_parquet(table: Table, path: Path, name: str, faults: list[Fault]) -> Batches:
    """The rows of a Parquet file with their numbers; a column of another type is reported once."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        faults.append(Fault(table.name, name, 0, "", f"cannot be read: {error}"[:300]))
        return
    with file:
        given = file.schema_arrow
        wrong = _header_faults(table, name, given.names)
        wrong += [
            Fault(table.name, name, 0, c.name, f"has the type {given.field(c.name).type} instead of {c.type}")
            for c in table.columns
            if c.name in given.names and not _fits(given.field(c.name).type, c.type)
        ]
        faults += wrong
        first = 1
        try:
            for batch in [] if wrong else file.iter_batches(BATCH_ROWS):
                columns = [batch.column(n).cast(table.column(n).type) for n in batch.schema.names]
                yield (
                    np.arange(first, first + batch.num_rows, dtype=np.int64),
                    pa.RecordBatch.from_arrays(columns, names=batch.schema.names),
                )
                first += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            faults.append(Fault(table.name, name, 0, "", f"cannot be read from row {first} on: {error}"[:300]))


def _fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of one type is, losslessly, one of the other."""
    if pa.types.is_dictionary(given):
        given = given.value_type
    if pa.types.is_null(given):
        return True
    if pa.types.is_string(wanted):
        return pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given)
    if pa.types.is_int64(wanted):
        return pa.types.is_integer(given) and not pa.types.is_uint64(given)
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(given) and given.tz is not None and given.unit != "ns"
    return given == wanted
