"""What a column and a table of the feed are, and short ways to write them down (docs/feed.md is made from them)."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["id", "text", "code", "codes", "date", "amount", "number", "flag", "instant", "degrees"]

ARROW_OF: dict[Kind, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "code": pa.string(),
    "codes": pa.string(),
    "date": pa.date32(),
    "amount": pa.int64(),
    "number": pa.int64(),
    "flag": pa.bool_(),
    "instant": pa.timestamp("us", tz="UTC"),
    "degrees": pa.float64(),
}


@dataclass(frozen=True)
class Column:
    """One column. `codes` closes the list of values, `reference` names the table whose key the value must be."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    codes: tuple[str, ...] = ()
    reference: str = ""
    minimum: int | None = None
    maximum: int | None = None
    past: bool = False
    """The value may not be after the business date."""

    @property
    def type(self) -> pa.DataType:
        return ARROW_OF[self.kind]


@dataclass(frozen=True)
class Rule:
    """A condition between columns of one row: the row is bad where `broken` (SQL over typed columns) is true."""

    column: str
    broken: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One table: a row per `key`; each set of `unique` columns also has no value twice."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    unique: tuple[str, ...] = ()
    required: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that checked rows have and that the services take."""
        return pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in self.columns])

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


CLOSED_TOO_EARLY = Rule("close_date", "close_date < open_date", "is before open_date")


def ident(name: str, description: str, *, required: bool = False, reference: str = "") -> Column:
    return Column(name, "id", description, required=required, reference=reference)


def text(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "text", description, required=required)


def code(name: str, description: str, codes: str, *, required: bool = True) -> Column:
    return Column(name, "code", description, required=required, codes=tuple(codes.split()))


def day(name: str, description: str, *, required: bool = False, past: bool = True) -> Column:
    return Column(name, "date", description, required=required, past=past)


def amount(name: str, description: str, *, required: bool = False, minimum: int | None = 0) -> Column:
    return Column(name, "amount", description, required=required, minimum=minimum)


def number(name: str, description: str, *, minimum: int = 0, maximum: int | None = None) -> Column:
    return Column(name, "number", description, minimum=minimum, maximum=maximum)


def flag(name: str, description: str) -> Column:
    return Column(name, "flag", description, required=True)


def instant(name: str, description: str, *, required: bool = True) -> Column:
    return Column(name, "instant", description, required=required, past=True)


def degrees(name: str, description: str, most: int) -> Column:
    """An angle on the globe, from `-most` to `most`."""
    return Column(name, "degrees", description, required=True, minimum=-most, maximum=most)
