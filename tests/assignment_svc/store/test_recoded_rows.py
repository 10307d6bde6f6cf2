"""Facts that still tell of a branch which handed its customers on."""

import io
from collections.abc import AsyncIterator
from datetime import date

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.store import branch_moves
from services.assignment_svc.store.branch_moves import Move
from services.assignment_svc.store.imports import FACTS_SCHEMA
from services.assignment_svc.usecases.import_rows import FeedImport

DAY = date(2024, 3, 1)


@pytest.fixture(autouse=True)
async def empty(database: Database):
    statement = "TRUNCATE branch, branch_facts, branch_alias, customer_branch_alias, ownership, owner, owner_period"
    async with database.begin() as tx:
        await tx.execute(text(statement))
        await tx.execute(text("UPDATE allocation_day SET facts_date = NULL, business_date = NULL, seen_rev = '0'"))
        names = ", ".join(f"('{branch_id}', 'B')" for branch_id in ("a", "b", "c", "d"))
        await tx.execute(text(f"INSERT INTO branch (branch_id, display_name) VALUES {names}"))
    yield
    async with database.begin() as tx:
        await tx.execute(text(statement))


def facts(customer_id: str, branch_id: str, amount: int) -> dict[str, object]:
    nothing = {"loan_live": False, "card_live": False, "deposit_live": True, "relation_since_date": date(2020, 1, 1)}
    who = {"customer_id": customer_id, "branch_id": branch_id, "last_live_date": DAY, "customer_state": "ACTIVE"}
    return {**nothing, **who, "deposit_sum_minor": amount}


async def stored(database: Database, *rows: dict[str, object]) -> dict[tuple[str, str], int]:
    whole = [{name: row.get(name) for name in FACTS_SCHEMA.names} for row in rows]
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, FACTS_SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(whole, schema=FACTS_SCHEMA))

    async def chunks() -> AsyncIterator[bytes]:
        yield sink.getvalue()

    await FeedImport(database, Wakeups(None)).run("branch_facts", DAY, chunks())
    async with database.read() as conn:
        found = await conn.execute(text("SELECT customer_id, branch_id, deposit_sum_minor FROM branch_facts"))
        return {(row.customer_id, row.branch_id): row.deposit_sum_minor for row in found}


async def test_what_is_told_of_a_merged_branch_counts_for_its_target(database: Database) -> None:
    async with database.begin() as tx:
        await branch_moves.recode_branch(tx, Move("a", "b"))
    found = await stored(database, facts("c1", "a", 1), facts("c2", "a", 10), facts("c2", "b", 5), facts("c3", "c", 7))
    assert found == {("c1", "b"): 1, ("c2", "b"): 15, ("c3", "c"): 7}


async def test_a_target_may_have_been_merged_since(database: Database) -> None:
    async with database.begin() as tx:
        await branch_moves.recode_branch(tx, Move("a", "b"))
        await branch_moves.recode_branch(tx, Move("b", "c"))
    found = await stored(database, facts("c1", "a", 1), facts("c1", "b", 2), facts("c1", "c", 4), facts("c2", "a", 8))
    assert found == {("c1", "c"): 7, ("c2", "c"): 8}


async def test_of_a_split_only_those_who_moved_are_recoded(database: Database) -> None:
    async with database.begin() as tx:
        await branch_moves.recode_customers(tx, Move("a", "b", ("anna",)), ["c1"])
    assert await stored(database, facts("c1", "a", 1), facts("c2", "a", 2)) == {("c1", "b"): 1, ("c2", "a"): 2}


async def test_who_moves_back_and_forth_is_recoded_in_no_circle(database: Database) -> None:
    async with database.begin() as tx:
        await branch_moves.recode_branch(tx, Move("a", "b"))
        await branch_moves.recode_customers(tx, Move("b", "c", ("anna",)), ["c1"])
        await branch_moves.recode_customers(tx, Move("c", "b", ("anna",)), ["c1"])
        await branch_moves.recode_customers(tx, Move("b", "d", ("anna",)), ["c1", "c2"])
        await branch_moves.recode_branch(tx, Move("d", "b"))
    found = await stored(database, *(facts(f"c{n}", b, 1) for n in (1, 2) for b in ("a", "b", "c", "d")))
    assert found == {("c1", "b"): 4, ("c2", "b"): 3, ("c2", "c"): 1}
