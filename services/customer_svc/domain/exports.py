"""Exports of customers: which columns there are, what a viewer sees in each, how many rows he may take along.

The columns are those that a search shows of a customer, taken from the view of him: what is hidden from the viewer is
empty there, and contact data is masked, so that nobody exports what he does not see.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType

from services.customer_svc.domain.business import Totals
from services.customer_svc.domain.customer import Identity, Value, View
from services.customer_svc.domain.figure_names import STORED
from services.customer_svc.domain.figures import COMPUTED
from services.customer_svc.domain.indicators import Figure, with_computed

PURPOSE_LENGTH_MAX = 500
KEPT = timedelta(hours=24)
EXPORTS_OF_ONE_MAX = 50
WATERMARK = "exported_by"

# What a spreadsheet takes for a formula, or skips before one.
_RUN = ("=", "+", "-", "@", "\t", "\r")
_MANAGERS = frozenset({"MANAGER", "PRIVATE_MANAGER"})

Cell = str | int | date | datetime | None


class Format(StrEnum):
    """How a file is written."""

    CSV = "CSV"
    PARQUET = "PARQUET"


class ColumnKind(Enum):
    """What a column's values are."""

    TEXT = "TEXT"
    INTEGER = "INTEGER"
    MONEY = "MONEY"
    """Minor units of the bank's currency."""
    DATE = "DATE"
    TIME = "TIME"


@dataclass(frozen=True)
class Column:
    """A column of a file: its name, and how its value is found in what the viewer sees of a customer."""

    name: str
    kind: ColumnKind
    value: Callable[[View], Cell]


@dataclass(frozen=True)
class ExportPolicy:
    """How many customers one export may hold (domain.md 13), by who makes it."""

    rows_max_manager: int
    rows_max_head: int
    rows_max_head_office: int


@dataclass(frozen=True)
class Order:
    """An export as its maker ordered it."""

    purpose: str
    format: Format
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """An export as it is stored."""

    export_id: str
    creator_id: str
    order: Order
    row_count: int
    size_bytes: int
    create_time: datetime
    expire_time: datetime

    @property
    def file_name(self) -> str:
        """What to call the file: the day and the first part of the id tell files of one day apart."""
        suffix = "csv" if self.order.format is Format.CSV else "parquet"
        day = self.create_time.astimezone(UTC).strftime("%Y%m%d")
        return f"customers-{day}-{self.export_id.partition('-')[0]}.{suffix}"

    @property
    def content_type(self) -> str:
        """The media type of the file."""
        return "text/csv; charset=utf-8" if self.order.format is Format.CSV else "application/vnd.apache.parquet"

    @property
    def watermark(self) -> str:
        """Who made it when: what stands in each row."""
        return f"{self.creator_id} {self.create_time.astimezone(UTC).isoformat(timespec='seconds')} {self.export_id}"


class Place(StrEnum):
    """Whose business a figure's column tells of: that at the maker's own branch, or at the whole bank."""

    OWN = "own"
    TOTAL = "total"


def figure_places(columns: Sequence[str]) -> frozenset[Place]:
    """Where figures must be read for these columns; what every search shows needs none."""
    return frozenset(place for place, names in _FIGURE_COLUMNS.items() if not names.isdisjoint(columns))


def with_figures(view: View, place: Place, figures: Mapping[str, Figure]) -> View:
    """The same view with the figures of a place, stored and computed ones, as columns show them."""
    values = {_figure_column(place, name): value for name, value in with_computed(figures).items()}
    return replace(view, figures={**view.figures, **values})


def rows_max(policy: ExportPolicy, roles: frozenset[str], *, is_top: bool) -> int | None:
    """How many customers somebody may export at once; None for who may not at all."""
    if "BRANCH_HEAD" in roles:
        return policy.rows_max_head_office if is_top else policy.rows_max_head
    return policy.rows_max_manager if roles & _MANAGERS else None


def unknown_columns(names: Sequence[str]) -> list[str]:
    """Those that exports do not have, in their order."""
    return [name for name in names if name not in COLUMNS]


def safe_text(text: str) -> str:
    """A text that no spreadsheet runs: what it would take for a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_RUN) else text


def _columns() -> Iterator[Column]:
    yield Column("customer", ColumnKind.TEXT, lambda view: view.identity.customer_id)
    for each in fields(Identity):
        if each.name != "customer_id":
            yield Column(each.name, _kind(each.name), _of_identity(each.name))
    yield Column("view_level", ColumnKind.TEXT, lambda view: view.level.name)
    yield Column("masked_fields", ColumnKind.TEXT, lambda view: ";".join(view.masked_fields))
    yield Column("primary_branch", ColumnKind.TEXT, _primary_branch)
    yield Column("primary_manager", ColumnKind.TEXT, _primary_manager)
    yield Column("own.branch", ColumnKind.TEXT, lambda view: view.own.branch_id if view.own else None)
    for prefix, of in (("own", _own), ("total", _total)):
        for each in fields(Totals):
            name = f"{prefix}.{each.name.removesuffix('_minor')}"
            yield Column(name, _kind(each.name), _of_totals(of, each.name))
    for place in Place:
        for name in _FIGURES:
            column = _figure_column(place, name)
            yield Column(column, _kind(name), _of_figures(column))
    for each in fields(Value):
        yield Column(each.name.removesuffix("_minor"), _kind(each.name), _of_value(each.name))
    yield Column("business_date", ColumnKind.DATE, lambda view: view.business_date)


def _kind(name: str) -> ColumnKind:
    """By the endings that names of money, days, instants and numbers have everywhere."""
    endings = {
        "_minor": ColumnKind.MONEY,
        "_date": ColumnKind.DATE,
        "_time": ColumnKind.TIME,
        "_count": ColumnKind.INTEGER,
        "_days": ColumnKind.INTEGER,
        "_grade": ColumnKind.INTEGER,
        "_rating": ColumnKind.INTEGER,
        "_percent": ColumnKind.INTEGER,
        "tier": ColumnKind.INTEGER,
    }
    return next((kind for ending, kind in endings.items() if name.endswith(ending)), ColumnKind.TEXT)


def _of_identity(name: str) -> Callable[[View], Cell]:
    return lambda view: _plain(getattr(view.identity, name))


def _of_totals(of: Callable[[View], Totals | None], name: str) -> Callable[[View], Cell]:
    return lambda view: _plain(getattr(totals, name)) if (totals := of(view)) is not None else None


def _of_figures(column: str) -> Callable[[View], Cell]:
    return lambda view: _plain(view.figures.get(column))


def _figure_column(place: Place, name: str) -> str:
    return f"{place}.{name.removesuffix('_minor')}"


def _of_value(name: str) -> Callable[[View], Cell]:
    return lambda view: _plain(getattr(view.value, name)) if view.value is not None else None


def _own(view: View) -> Totals | None:
    return view.own.totals if view.own else None


def _total(view: View) -> Totals | None:
    return view.total


def _primary_branch(view: View) -> str | None:
    return next((owner.branch_id for owner in view.owners if owner.side == "PRIMARY"), None)


def _primary_manager(view: View) -> str | None:
    return next((owner.manager_id for owner in view.owners if owner.side == "PRIMARY"), None)


def _plain(value: object) -> Cell:
    """A value as a cell has it: several as one text."""
    match value:
        case IntEnum():
            return value.name
        case None | str() | int() | date():
            return value
        case tuple() | list() | frozenset():
            return ";".join(map(str, value))
        case _:
            return str(value)


# Sums that every search shows are told by those.
_FIGURES = tuple(name for name in (*STORED, *COMPUTED) if name not in {each.name for each in fields(Totals)})
_FIGURE_COLUMNS = {place: frozenset(_figure_column(place, name) for name in _FIGURES) for place in Place}
COLUMNS: Mapping[str, Column] = MappingProxyType({column.name: column for column in _columns()})
