"""Facts that the feed still tells under the id of a merged customer."""

from collections.abc import AsyncIterator
from datetime import date

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.store.imports import FACTS_SCHEMA
from services.assignment_svc.usecases.import_rows import FeedImport

DAY = date(2024, 3, 1)


@pytest.fixture(autouse=True)
async def merged(database: Database) -> AsyncIterator[None]:
    """t and u are merged into s."""
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE branch, branch_facts, ownership, owner, merged_customers"))
        await tx.execute(text("UPDATE allocation_day SET facts_date = NULL, business_date = NULL"))
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('b1', 'B1'), ('b2', 'B2')"))
        await tx.execute(
            text(
                "INSERT INTO merged_customers (customer_id, survivor_id, into_id, merge_id)"
                " VALUES ('t', 's', 's', 'm1'), ('u', 's', 't', 'm2')"
            )
        )
    yield
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE merged_customers"))


def told(customer_id: str, branch_id: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = {
        **dict.fromkeys(FACTS_SCHEMA.names),
        "customer_id": customer_id,
        "branch_id": branch_id,
        "loan_live": False,
        "card_live": False,
    }
    row |= {"deposit_live": True, "deposit_sum_minor": 10, "customer_state": "ACTIVE"}
    return row | {"relation_since_date": DAY, "last_live_date": DAY} | more


async def send(database: Database, *rows: dict[str, object]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, FACTS_SCHEMA) as writer:
            writer.write_table(pa.Table.from_pylist(list(rows), schema=FACTS_SCHEMA))
        yield sink.getvalue().to_pybytes()

    await FeedImport(database, Wakeups(None)).run("branch_facts", DAY, chunks())


async def test_facts_under_old_ids_are_united_with_the_survivors(database: Database) -> None:
    loan = {"loan_live": True, "loan_first_disburse_date": date(2023, 1, 1), "loan_id": "l1"}
    await send(
        database,
        told("s", "b1", **loan, loan_outstanding_minor=5),
        told("t", "b1", **loan | {"loan_id": "l2"}, loan_outstanding_minor=9, relation_since_date=date(2001, 1, 1)),
        told("t", "b2"),
        told("u", "b1", deposit_sum_minor=7),
        told("u", "b2", deposit_sum_minor=None),
        told("x", "b1"),
    )
    asked = (
        "SELECT customer_id, branch_id, deposit_sum_minor, loan_id, relation_since_date FROM branch_facts ORDER BY 1, 2"
    )
    async with database.read() as conn:
        assert [tuple(row) for row in await conn.execute(text(asked))] == [
            ("s", "b1", 27, "l2", date(2001, 1, 1)),
            ("s", "b2", None, None, DAY),
            ("x", "b1", 10, None, DAY),
        ]
