"""What can be said about a row without knowing any other: required, well-formed, one of the codes."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
from pyarrow import compute

from chassis.errors import VIOLATIONS_MAX, invalid_field
from chassis.names import ID_PATTERN

# Its functions are made when it is imported, unseen by type checkers.
pc: Any = compute

# Metadata of a pyarrow field: its codes, separated by commas.
CODES = b"codes"
# Metadata of a pyarrow field: what joins several codes in one text.
SEPARATOR = b"separator"
# Metadata of a pyarrow field of text: its greatest length, if that is less than of any text.
LENGTH_MAX = b"length_max"
# Metadata of a pyarrow field of text: what is wrong with a value may be told, the value may not.
SECRET = b"secret"
# Metadata of a pyarrow field of whole numbers: both ends of what it takes, joined by two dots.
RANGE = b"range"
TEXT_LENGTH_MAX = 4_000
_VALUE_LENGTH_MAX = 100

_FIRST_DAY, _LAST_DAY = dt.date(1, 1, 1), dt.date(9999, 12, 31)
_FIRST_TIME = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_LAST_TIME = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Bad:
    """A value that no row may hold; `offset` counts from the batch's first row."""

    offset: int
    column: str
    value: str
    problem: str


@dataclass(frozen=True)
class Found:
    """How many rows of a batch are bad, and the first of their faults."""

    count: int
    bad: list[Bad]


def check(batch: pa.RecordBatch, schema: pa.Schema) -> Found:
    """Finds the rows of a batch that break the schema's promises; the batch has the schema's columns and types."""
    faults: list[tuple[str, str, pa.Array]] = []
    for field, column in zip(schema, batch.columns, strict=True):
        for problem, mask in _masks(field, column):
            if pc.any(mask).as_py():
                faults.append((field.name, problem, mask))
    if not faults:
        return Found(0, [])
    rows = reduce(pc.or_, (mask for _, _, mask in faults))
    told = {field.name for field in schema if SECRET not in (field.metadata or {})}
    bad = [
        Bad(offset, name, _shown(batch.column(name), offset) if name in told else "", problem)
        for name, problem, mask in faults
        for offset in pc.indices_nonzero(mask).slice(0, VIOLATIONS_MAX).to_pylist()
    ]
    bad.sort(key=lambda fault: (fault.offset, fault.column))
    return Found(pc.sum(rows).as_py(), bad[:VIOLATIONS_MAX])


def _shown(column: pa.Array, offset: int) -> str:
    """A text, shortened; other values may be none that Python can hold."""
    return str(column[offset].as_py() or "")[:_VALUE_LENGTH_MAX] if pa.types.is_string(column.type) else ""


def _masks(field: pa.Field, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """Each promise of a column in words, with the rows that break it."""
    if not field.nullable:
        yield "is required", pc.is_null(column)
    if pa.types.is_string(field.type):
        for problem, wrong in _text_masks(field, column):
            yield problem, pc.fill_null(wrong, fill_value=False)
    elif RANGE in (field.metadata or {}):
        least, most = map(int, field.metadata[RANGE].decode().split(".."))
        yield f"is not between {least} and {most}", _outside(column, pa.scalar(least), pa.scalar(most))
    elif pa.types.is_date(field.type):
        yield "is no day of the years 1 to 9999", _outside(column, pa.scalar(_FIRST_DAY), pa.scalar(_LAST_DAY))
    elif pa.types.is_timestamp(field.type):
        ends = (pa.scalar(time, field.type) for time in (_FIRST_TIME, _LAST_TIME))
        yield "is no time of the years 1 to 9999", _outside(column, *ends)


def _text_masks(field: pa.Field, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    metadata = field.metadata or {}
    if CODES in metadata:
        codes = metadata[CODES].decode().split(",")
        separator = metadata.get(SEPARATOR, b"").decode()
        if separator:
            one = "(?:" + "|".join(map(re.escape, codes)) + ")"
            pattern = rf"\A{one}(?:{re.escape(separator)}{one})*\z"
            right = pc.match_substring_regex(column, pattern)
        else:
            right = pc.or_(pc.is_in(column, pa.array(codes)), pc.is_null(column))
        yield f"must be of {', '.join(codes)}", pc.invert(right)
    elif field.name.endswith("_id"):
        yield f"must be an id of {ID_PATTERN}", pc.invert(pc.match_substring_regex(column, rf"\A{ID_PATTERN}\z"))
    else:
        yield "holds a NUL character", pc.match_substring(column, "\0")
        if SECRET in metadata:
            yield "holds a control character", pc.match_substring_regex(column, r"\p{Cc}")
        length_max = int(metadata.get(LENGTH_MAX, TEXT_LENGTH_MAX))
        yield f"is longer than {length_max} characters", pc.greater(pc.utf8_length(column), length_max)


def _outside(column: pa.Array, first: pa.Scalar, last: pa.Scalar) -> pa.Array:
    outside = pc.or_(pc.less(column, first), pc.greater(column, last))
    return pc.fill_null(outside, fill_value=False)


def invalid_text(batch: pa.RecordBatch) -> Found:
    """Finds texts that are not UTF-8. Refuses a batch whose buffers contradict each other; nothing may read those."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise invalid_field("arrow", f"holds a broken batch: {error}"[:500], "ROW_INVALID") from error
        bad = sorted(_not_utf8(batch), key=lambda fault: (fault.offset, fault.column))
        return Found(len({fault.offset for fault in bad}), bad[:VIOLATIONS_MAX])
    return Found(0, [])


def _not_utf8(batch: pa.RecordBatch) -> Iterator[Bad]:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            binary = pa.binary() if pa.types.is_string(column.type) else pa.large_binary()
            for offset in _undecodable(column.view(binary).to_pylist()):
                yield Bad(offset, name, "", "is not UTF-8")


def _undecodable(values: Iterable[bytes | None]) -> Iterator[int]:
    for offset, value in enumerate(values):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            yield offset
