"""A file of customers to be transferred: read, and what is wrong with its lines by themselves (domain.md 3)."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import Refused, invalid_field

BYTES_MAX = 1024 * 1024
LINES_MAX = 2_000
_COLUMNS = ("customer_id", "to_branch_id", "to_manager_id")
# By the field of a single request.
_COLUMN_OF = {"customer": "customer_id", "to_branch": "to_branch_id", "to_manager": "to_manager_id"}
_ID_LENGTH_MAX = 64


@dataclass(frozen=True)
class Line:
    """One customer to be transferred; `number` is that of the line in the file, the line of names being the first."""

    number: int
    customer_id: str
    to_branch_id: str | None
    to_manager_id: str | None


@dataclass(frozen=True)
class LineFault:
    """What is wrong with a line."""

    number: int
    field: str
    reason: str
    message: str


@dataclass(frozen=True)
class BulkTransfer:
    """A file that was taken, with how far its requests are."""

    bulk_transfer_id: str
    reason: str
    creator: str
    create_time: datetime
    lines: int
    pending: int
    approved: int
    refused: int


def read_lines(content: bytes) -> tuple[list[Line], list[LineFault]]:
    """The lines of a file, and what is wrong with them. Refuses what is no such file at all."""
    rows = _rows(content)
    lines: list[Line] = []
    faults: list[LineFault] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        values = {name: str(row.get(name) or "").strip() for name in _COLUMNS}
        faults += _faults(number, row, values, seen)
        seen.setdefault(values["customer_id"], number)
        lines.append(
            Line(number, values["customer_id"], values["to_branch_id"] or None, values["to_manager_id"] or None)
        )
    if not lines:
        raise invalid_field("content", "has no line but that of names")
    return lines, faults


def fault_of(number: int, error: Refused) -> LineFault:
    """A line that would be refused as a single request; what names no field is about the customer, or who is full."""
    field = error.metadata.get("field", "to_manager" if error.reason == "CAPACITY" else "customer")
    return LineFault(number, _COLUMN_OF.get(field, field), error.reason, str(error))


def _rows(content: bytes) -> Sequence[tuple[int, Mapping[str | None, str | list[str] | None]]]:
    if not 0 < len(content) <= BYTES_MAX:
        raise invalid_field("content", f"must have from 1 to {BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_field("content", "is not UTF-8") from error
    if "\0" in text:
        raise invalid_field("content", "has a byte that no text has")
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        names = [name.strip() for name in reader.fieldnames or ()]
        if "customer_id" not in names or len(names) < 2 or len(set(names)) < len(names) or set(names) - set(_COLUMNS):  # noqa: PLR2004 -- the customer and where to
            message = f"its first line must name customer_id and where to: columns of {', '.join(_COLUMNS)}, each once"
            raise invalid_field("content", message)
        reader.fieldnames = names
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise invalid_field("content", f"is not CSV: {error}") from error
    if len(rows) > LINES_MAX:
        raise invalid_field("content", f"has {len(rows)} lines, at most {LINES_MAX} are allowed")
    return rows


def _faults(
    number: int, row: Mapping[str | None, object], values: Mapping[str, str], seen: Mapping[str, int]
) -> Iterator[LineFault]:
    if None in row or any(value is None for value in row.values()):
        yield LineFault(number, "", "LINE_INVALID", "has not as many columns as the line of names")
    if not values["customer_id"]:
        yield LineFault(number, "customer_id", "LINE_INVALID", "is required")
    elif values["customer_id"] in seen:
        message = f"stands in line {seen[values['customer_id']]} too"
        yield LineFault(number, "customer_id", "LINE_INVALID", message)
    for name, value in values.items():
        if len(value) > _ID_LENGTH_MAX:
            yield LineFault(number, name, "LINE_INVALID", f"has more than {_ID_LENGTH_MAX} characters")
