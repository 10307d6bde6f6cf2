"""What the nightly batch derives of customers' business: figures by branch and by customer, balances by month.

Each table arrives whole: what it does not tell any more is not there any more.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
from sqlalchemy import BigInteger, Date, Integer, SmallInteger
from sqlalchemy.types import TypeEngine

from chassis.sql.bulk import BulkTable, Check
from chassis.sql.removals import Remaining, remaining
from chassis.sql.upsert import Upsert
from services.customer_svc.store import tables
from services.customer_svc.store.feed_columns import INTEGER_MAX, amount, day, ident, number, text
from services.customer_svc.store.figure_columns import FIGURES
from services.customer_svc.store.upserts import given, ran, whole_finish, whole_upsert, within

_SMALL_MAX = 2**15 - 1
LIFECYCLES = "PROSPECT,NEW,ACTIVE,DORMANT,LOST"


def _figure(name: str, kind: type[TypeEngine[object]] | TypeEngine[object]) -> pa.Field:
    """A figure as it arrives; several texts arrive as one, joined by `;`."""
    if kind is BigInteger:
        return amount(name)
    if kind is Date:
        return day(name)
    if kind in {Integer, SmallInteger}:
        return number(name, 0, INTEGER_MAX if kind is Integer else _SMALL_MAX)
    return text(name)


_FIGURES = [_figure(name, kind) for name, kind in FIGURES.items()]
CUSTOMER_BRANCH_FIGURES = pa.schema([ident("customer_id"), ident("branch_id"), *_FIGURES])
_VALUES = [
    number("tier", 1, 6),
    amount("tier_gap_minor"),
    amount("contribution_minor"),
    text("lifecycle", LIFECYCLES),
]
CUSTOMER_FIGURES = pa.schema([ident("customer_id"), *_FIGURES, *_VALUES])
MONTHLY_BALANCES = pa.schema(
    [
        ident("customer_id"),
        ident("branch_id"),
        day("month_date", required=True),
        amount("end_minor"),
        amount("average_minor"),
    ]
)


def figure_tables(known_customers: Check) -> Sequence[BulkTable]:
    """The tables of figures, in the order of their import."""
    months = ("customer_id", "branch_id", "month_date")
    return (
        _whole("monthly_balances", MONTHLY_BALANCES, months, known_customers),
        _branch_figures_table(known_customers),
        _totals_table(known_customers),
    )


def _whole(name: str, schema: pa.Schema, key: tuple[str, ...], check: Check) -> BulkTable:
    upsert = whole_upsert(tables.METADATA.tables[name], key, schema.names)
    return BulkTable(name, schema, key, upsert, check, finish=whole_finish(upsert))


def _branch_figures_table(check: Check) -> BulkTable:
    name, key = "customer_branch_figures", ("customer_id", "branch_id")
    return replace(_whole(name, CUSTOMER_BRANCH_FIGURES, key, check), remaining=remaining(name, key))


def _known_totals() -> Remaining:
    """Of customers of whom anything is told."""
    known = ", ".join(f"t.total_{name}" for name in FIGURES)
    return remaining("customers", ("customer_id",), f"NOT (({known}) IS NULL)")


def _totals_table(check: Check) -> BulkTable:
    upsert = _totals_upsert()
    # Who owns whom comes by a feed of its own, and by now most of it: what is searched holds both.
    filled, finish = ("customers", "customer_search", "owners"), whole_finish(upsert)
    name, key = "customer_figures", ("customer_id",)
    table = BulkTable(name, CUSTOMER_FIGURES, key, upsert, check, finish=finish, fills=filled)
    return replace(table, remaining=_known_totals())


def _totals_upsert() -> Upsert:
    """Puts figures on the customers, by which lists are ordered, and empties those of whom nothing is told.

    They do not move in the feed, nor is their update time another: figures change every night. Rows are locked in the
    order of ids, as every writer does, and both sides of the join are bounded: a batch would read the whole of one
    otherwise.
    """
    values = [field.name for field in _VALUES]
    stored = {name: f"total_{name}" for name in FIGURES} | {name: name for name in values}
    told = given(tables.customers, ["customer_id", *FIGURES], "total_") + ", " + ", ".join(values)
    return ran(f"""
WITH changed AS (
  SELECT c.customer_id, s.customer_id IS NOT NULL AS told, {", ".join(f"s.{name}" for name in stored)}
  FROM customers AS c
  LEFT JOIN (SELECT {told} FROM {{staging}} AS s WHERE {within("s")}) AS s ON s.customer_id = c.customer_id
  WHERE {within("c")}
    AND ({", ".join(f"c.{column}" for column in stored.values())})
      IS DISTINCT FROM ({", ".join(f"s.{name}" for name in stored)})
  ORDER BY c.customer_id FOR UPDATE OF c
),
written AS (
  UPDATE customers AS c SET {", ".join(f"{column} = changed.{name}" for name, column in stored.items())}
  FROM changed WHERE c.customer_id = changed.customer_id RETURNING changed.told
) SELECT 0, count(*) FILTER (WHERE told) FROM written""")  # noqa: S608 -- names of our own tables
