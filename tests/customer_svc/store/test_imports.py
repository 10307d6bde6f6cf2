import asyncio
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from chassis.data_keys import DataKeys
from chassis.errors import Kind, Refused
from services.customer_svc.store.imports import bulk_tables

KNOWN = [{"customer_id": "c1", "display_name": "王一"}, {"customer_id": "c2", "display_name": "王二"}]

TABLES = [table.name for table in bulk_tables(DataKeys(Path()))]


async def revs(bank) -> dict[str, int]:
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, rev FROM customers ORDER BY customer_id"))
        return {row[0]: row[1] for row in rows}


async def changed(bank, before: dict[str, int]) -> set[str]:
    return {customer_id for customer_id, rev in (await revs(bank)).items() if rev != before.get(customer_id)}


@pytest.fixture
async def filled(bank):
    await bank.load("customers", KNOWN)
    return bank


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("accounts", {"account_id": "a1", "customer_id": "nobody", "branch_id": "b1"}),
        ("loans", {"loan_id": "l1", "customer_id": "nobody", "branch_id": "b1"}),
        ("cards", {"card_id": "k1", "customer_id": "nobody", "branch_id": "b1"}),
        (
            "holdings",
            {"customer_id": "nobody", "branch_id": "b1", "product_code": "p", "open_date": date(2020, 1, 1)},
        ),
        ("customer_branch_figures", {"customer_id": "nobody", "branch_id": "b1"}),
        ("customer_figures", {"customer_id": "nobody"}),
        ("monthly_balances", {"customer_id": "nobody", "branch_id": "b1", "month_date": date(2026, 6, 1)}),
        ("relations", {"customer_id": "nobody", "related_customer_id": "c1", "kind": "disponent"}),
    ],
)
async def test_a_row_of_an_unknown_customer_is_refused_by_row_and_field(filled, table: str, row) -> None:
    with pytest.raises(Refused) as refused:
        await filled.load(table, [row])
    assert refused.value.reason == "REFERENCE_UNKNOWN"
    assert refused.value.metadata["field"] == "customer_id"
    assert refused.value.metadata["value"] == "nobody"
    assert refused.value.violations[0].field == "rows[0].customer_id"
    async with filled.database.read() as conn:
        query = "SELECT count(total_account_count) FROM customers" if table == "customer_figures" else None
        assert (await conn.execute(text(query or f"SELECT count(*) FROM {table}"))).scalar_one() == 0


async def test_one_bad_row_keeps_all_others_out(filled) -> None:
    good = {"account_id": "a1", "customer_id": "c1", "branch_id": "b1"}
    with pytest.raises(Refused) as refused:
        await filled.load("accounts", [good, good | {"account_id": "a2", "customer_id": "nobody"}])
    assert refused.value.metadata["row"] == "1"
    async with filled.database.read() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM accounts"))).scalar_one() == 0


async def test_an_unknown_related_person_is_refused(filled) -> None:
    with pytest.raises(Refused) as refused:
        await filled.load("relations", [{"customer_id": "c1", "related_customer_id": "x", "kind": "guarantor"}])
    assert refused.value.violations[0].field == "rows[0].related_customer_id"


async def test_a_second_import_of_the_same_rows_writes_nothing(filled) -> None:
    before = await revs(filled)
    counts = await filled.load("customers", KNOWN)
    assert (counts.received, counts.inserted, counts.updated, counts.unchanged) == (2, 0, 0, 2)
    assert await changed(filled, before) == set()


async def test_a_customer_who_changed_moves_in_the_feed(filled) -> None:
    before = await revs(filled)
    counts = await filled.load("customers", [KNOWN[0] | {"display_name": "王三"}, {"customer_id": "c3"}])
    assert (counts.inserted, counts.updated) == (1, 1)
    assert await changed(filled, before) == {"c1", "c3"}


async def test_what_the_feed_tells_of_an_account_moves_its_customer(filled) -> None:
    account = {"account_id": "a1", "customer_id": "c1", "branch_id": "b1", "balance_minor": 5}
    before = await revs(filled)
    await filled.load("accounts", [account])
    assert await changed(filled, before) == {"c1"}

    before = await revs(filled)
    counts = await filled.load("accounts", [account | {"balance_minor": 6}])
    assert counts.updated == 1
    assert await changed(filled, before) == set(), "nobody follows balances"

    await filled.load("accounts", [account | {"customer_id": "c2"}])
    assert await changed(filled, before) == {"c1", "c2"}, "both of an account that changed hands"


async def test_a_settled_loan_moves_its_customer(filled) -> None:
    loan = {"loan_id": "l1", "customer_id": "c2", "branch_id": "b1", "outstanding_minor": 10}
    await filled.load("loans", [loan])
    before = await revs(filled)
    await filled.load("loans", [loan | {"outstanding_minor": 9}])
    assert await changed(filled, before) == set()
    await filled.load("loans", [loan | {"state": "SETTLED"}])
    assert await changed(filled, before) == {"c2"}


@pytest.mark.parametrize(
    ("table", "row", "field"),
    [
        ("customers", {"customer_id": "c9", "customer_type": "ALIEN"}, "customer_type"),
        ("customers", {"customer_id": "c 9"}, "customer_id"),
        ("accounts", {"account_id": "a", "customer_id": "c1", "branch_id": "b1", "kind": "X"}, "kind"),
        ("accounts", {"account_id": "a", "customer_id": "c1", "branch_id": None}, "branch_id"),
        ("loans", {"loan_id": "l", "customer_id": "c1", "branch_id": "b1", "state": "GONE"}, "state"),
        ("relations", {"customer_id": "c1", "related_customer_id": "c2", "kind": "friend"}, "kind"),
        ("customers", {"customer_id": "c9", "risk_rating": 6}, "risk_rating"),
        ("loans", {"loan_id": "l", "customer_id": "c1", "branch_id": "b1", "collateral": "HOUSE"}, "collateral"),
        ("cards", {"card_id": "k", "customer_id": "c1", "branch_id": "b1", "overdue_days": -1}, "overdue_days"),
        ("customer_figures", {"customer_id": "c1", "card_count": 2**31}, "card_count"),
        ("customer_figures", {"customer_id": "c1", "lifecycle": "BORN"}, "lifecycle"),
        ("products", {"product_id": "p", "display_name": "P", "category": None}, "category"),
    ],
)
async def test_a_row_that_breaks_its_schema_is_refused(filled, table: str, row, field: str) -> None:
    with pytest.raises(Refused) as refused:
        await filled.load(table, [row])
    assert refused.value.reason == "ROW_INVALID"
    assert refused.value.violations[0].field == f"rows[0].{field}"


async def name_of_c1(bank) -> str | None:
    async with bank.database.read() as conn:
        return (await conn.execute(text("SELECT display_name FROM customers WHERE customer_id = 'c1'"))).scalar_one()


@pytest.mark.parametrize("table", TABLES)
async def test_rows_of_an_older_day_are_refused_by_every_table(filled, table: str) -> None:
    await filled.load("customers", [], date(2026, 7, 2))
    with pytest.raises(Refused) as refused:
        await filled.load(table, [], date(2026, 7, 1))
    assert (refused.value.kind, refused.value.reason) == (Kind.PRECONDITION, "BUSINESS_DATE_PAST")
    assert refused.value.metadata == {"last_business_date": "2026-07-02"}
    await filled.load(table, [], date(2026, 7, 2))


async def test_an_older_day_that_is_sent_slowly_does_not_overwrite_a_newer_one(filled) -> None:
    gate = asyncio.Event()
    older = asyncio.create_task(
        filled.load("customers", [KNOWN[0] | {"display_name": "older"}], date(2026, 7, 1), gate)
    )
    await filled.load("customers", [KNOWN[0] | {"display_name": "newer"}], date(2026, 7, 2))
    gate.set()
    with pytest.raises(Refused):
        await older
    assert await name_of_c1(filled) == "newer"
    again = await filled.load("customers", [KNOWN[0] | {"display_name": "corrected"}], date(2026, 7, 2))
    assert again.updated == 1, "the same day is taken again"


async def test_duplicate_ids_are_refused(filled) -> None:
    with pytest.raises(Refused) as refused:
        await filled.load("customers", [{"customer_id": "c7"}, {"customer_id": "c7"}])
    assert refused.value.reason == "ROW_INVALID"
