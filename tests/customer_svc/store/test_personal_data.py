"""That nothing of a person is forgotten: in what he is shown, and in what is erased."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    bindparam,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.personal_data import Part
from chassis.sql.personal_data import count_rows
from services.customer_svc.store.personal_data import ERASED_NAME, TABLES, count_by_part, erase, hold_still, read_all
from services.customer_svc.store.tables import METADATA, customers

VALUES = {
    Text: "x",
    BigInteger: 1,
    Integer: 1,
    SmallInteger: 1,
    Boolean: True,
    Date: date(2020, 1, 1),
    DateTime: datetime(2020, 1, 1, tzinfo=UTC),
    LargeBinary: b"x",
    JSONB: {},
    ARRAY: [],
}
# Columns whose values are checked, or name somebody else.
GIVEN: dict[str, dict[str, Any]] = {
    "duplicates": {"other_id": "d9", "state": "OPEN"},
    "erasures": {"state": "DONE"},
    "tag_changes": {"kind": "SET"},
    "key_mark_proposals": {"state": "ENDED"},
    "owners": {"side": "PRIMARY"},
    "merges": {"merged_id": "d9"},
    "merged_customers": {"customer_id": "c0", "survivor_id": "c1", "into_id": "c1"},
    "merge_rows": {"fate": "MOVED"},
    "relations": {"related_customer_id": "d9"},
    "manual_relations": {"related_customer_id": "d9"},
}
# What triggers write.
MADE = {"customer_search"}


def row_of(table: Table, customer_id: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "customer_id":
            values[column.name] = customer_id
        elif not column.nullable and column.name not in {"rev", "gone", "change_id"}:
            kinds = (VALUES[kind] for kind in VALUES if isinstance(column.type, kind))
            value = next(kinds)
            values[column.name] = f"x-{customer_id}" if column.primary_key and value == "x" else value
    return values | GIVEN.get(table.name, {})


@pytest.fixture
async def known(bank):
    """A person of whom every table has a row, and somebody else of whom every table has one."""
    async with bank.database.begin() as tx:
        for plan in TABLES:
            if plan.name not in MADE:
                table = METADATA.tables[plan.name]
                for customer_id in ("c1", "c2"):
                    values = row_of(table, customer_id)
                    if plan.name == "merged_customers" and customer_id == "c2":
                        values |= {"customer_id": "c3", "survivor_id": "c2", "into_id": "c2"}
                    names = ", ".join(values)
                    given = ", ".join(f":{name}" for name in values)
                    statement = text(f"INSERT INTO {plan.name} ({names}) VALUES ({given})")
                    kinds = (bindparam(name, type_=table.columns[name].type) for name in values)
                    await tx.execute(statement.bindparams(*kinds), values)
    return bank


def test_every_table_of_customers_is_told_or_left_out_and_kept_or_erased_on_purpose(customer_database) -> None:
    del customer_database  # by its migration every table is known
    personal = {
        table.name
        for table in METADATA.tables.values()
        if any(column.name.removeprefix("related_") == "customer_id" for column in table.columns)
    }
    assert personal - {"audit"} == {plan.name for plan in TABLES}
    assert len(TABLES) == len({plan.name for plan in TABLES})


def test_every_column_that_names_a_customer_is_followed() -> None:
    naming = {"customer_id", "related_customer_id", "other_id", "merged_id", "survivor_id"}
    for plan in TABLES:
        assert naming & set(METADATA.tables[plan.name].columns.keys()) == set(plan.owners), plan.name


async def test_a_person_is_shown_every_row_of_his_and_no_other(known) -> None:
    async with known.database.begin() as tx:
        found = await read_all(tx, ["c1"])
    assert set(found) == {plan.name for plan in TABLES if plan.told} | {"audit"}
    assert {name: len(rows) for name, rows in found.items() if len(rows) != 1} == {"audit": 0}
    assert not any("_hash" in row or '"rev"' in row for rows in found.values() for row in rows)
    assert "d9" not in found["duplicates"][0]


async def test_of_an_erased_person_only_what_must_be_remembered_stays(known) -> None:
    async with known.database.begin() as tx:
        assert await hold_still(tx, ["c1"])
        await erase(tx, ["c1"], frozenset(Part))
    async with known.database.read() as conn:
        left = await count_rows(conn, TABLES, ["c1"])
        others = await count_rows(conn, TABLES, ["c2"])
        placeholder = (await conn.execute(customers.select().where(customers.c.customer_id == "c1"))).one()
    assert set(left) == {plan.name for plan in TABLES if plan.part is None}
    assert set(others) == {plan.name for plan in TABLES}
    kept = {name for name, value in placeholder._asdict().items() if value not in (None, [])}
    assert kept == {"customer_id", "customer_type", "display_name", "state", "gone", "rev", "update_time"}
    assert (placeholder.display_name, placeholder.state, placeholder.gone) == (ERASED_NAME, "ERASED", True)


@pytest.mark.parametrize("parts", [frozenset({Part.MARKETING}), frozenset({Part.MARKETING, Part.CONTACT_DATA})])
async def test_only_the_parts_that_may_go_are_erased(known, parts: frozenset[Part]) -> None:
    async with known.database.begin() as tx:
        await erase(tx, ["c1"], parts)
    async with known.database.read() as conn:
        counts = await count_by_part(conn, ["c1"])
        root = (await conn.execute(customers.select().where(customers.c.customer_id == "c1"))).one()
    assert {part for part in Part if not counts[part]} == parts
    assert (root.gone, root.state) == (False, "x")


async def test_metadata_of_a_document_that_must_be_kept_stays(known) -> None:
    async with known.database.begin() as tx:
        await tx.exec_driver_sql("UPDATE attachments SET retained_until_date = '9999-12-31' WHERE customer_id = 'c1'")
        await erase(tx, ["c1"], frozenset(Part))
        assert "attachments" in await count_rows(tx, TABLES, ["c1"])
