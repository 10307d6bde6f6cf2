"""Branches, staff and facts from the feed: what is stored, what is refused, and what a second import leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from chassis.feed import Wakeups
from chassis.sql.bulk import BulkCounts
from chassis.sql.engine import Database
from services.assignment_svc.store import allocation, org
from services.assignment_svc.store.imports import BRANCHES_SCHEMA, FACTS_SCHEMA, STAFF_SCHEMA
from services.assignment_svc.store.personal_data import end_ownership
from services.assignment_svc.usecases import import_rows
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.import_rows import FeedImport

DAY = date(2024, 3, 1)
NEXT = DAY + timedelta(days=1)
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA"
SCHEMAS = {"branches": BRANCHES_SCHEMA, "staff": STAFF_SCHEMA, "branch_facts": FACTS_SCHEMA}


@pytest.fixture(autouse=True)
async def empty(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(
            text("TRUNCATE branch, staff, branch_facts, ownership, owner, owner_period, staff_duty, erased_customers")
        )
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, policy_version = 0, seen_rev = '0'"
            )
        )


@pytest.fixture
def importer(database: Database) -> FeedImport:
    return FeedImport(database, Wakeups(None))


async def goes_on(_done: int, _total: int) -> bool:
    return True


def arrow(table: str, *rows: dict[str, object]) -> bytes:
    schema = SCHEMAS[table]
    whole = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return sink.getvalue().to_pybytes()


async def send(importer: FeedImport, table: str, *rows: dict[str, object], day: date = DAY) -> BulkCounts:
    async def chunks() -> AsyncIterator[bytes]:
        yield arrow(table, *rows)

    return await importer.run(table, day, chunks())


async def slowly(passed: asyncio.Event, *rows: dict[str, object]) -> AsyncIterator[bytes]:
    """Facts of which the second half waits."""
    whole = arrow("branch_facts", *rows)
    yield whole[:100]
    await passed.wait()
    yield whole[100:]


def branch(branch_id: str, parent_id: str | None = None) -> dict[str, object]:
    return {"branch_id": branch_id, "display_name": f"Branch {branch_id}", "parent_id": parent_id}


def member(staff_id: str, **given: object) -> dict[str, object]:
    return {"staff_id": staff_id, "display_name": staff_id, "branch_id": "b1", "roles": "MANAGER", **given}


def facts(customer_id: str, **given: object) -> dict[str, object]:
    nothing = {"loan_live": False, "card_live": False, "deposit_live": True, "relation_since_date": date(2020, 1, 1)}
    where = {"customer_id": customer_id, "branch_id": "b1", "last_live_date": DAY, "customer_state": "ACTIVE"}
    return {**nothing, **where, **given}


async def refusal(importer: FeedImport, table: str, *rows: dict[str, object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await send(importer, table, *rows)
    return caught.value


async def test_a_second_import_of_the_same_rows_writes_nothing(importer: FeedImport) -> None:
    await send(importer, "branches", branch("b1"), branch("b2", "b1"))
    assert await send(importer, "branches", branch("b1"), branch("b2", "b1")) == BulkCounts(2, 0, 0, 2)
    rows = [member("s1", login="one", password_hash=HASH), member("s2", roles="BRANCH_HEAD;MANAGER")]
    assert await send(importer, "staff", *rows) == BulkCounts(2, 2, 0, 0)
    assert await send(importer, "staff", *rows) == BulkCounts(2, 0, 0, 2)
    assert await send(importer, "branch_facts", facts("c1")) == BulkCounts(1, 1, 0, 0)
    assert await send(importer, "branch_facts", facts("c1")) == BulkCounts(1, 0, 0, 1)


async def test_nothing_is_taken_of_the_erased_nor_of_who_was_merged_into_them(
    importer: FeedImport, database: Database
) -> None:
    await send(importer, "branches", branch("b1"))
    async with database.begin() as tx:
        await end_ownership(tx, "c1", False)  # noqa: FBT003 -- as the servicer calls it
        await end_ownership(tx, "c2", True)  # noqa: FBT003 -- as the servicer calls it
        merged = (
            "INSERT INTO merged_customers (customer_id, survivor_id, into_id, merge_id) VALUES ('c3', 'c2', 'c2', 'm')"
        )
        await tx.execute(text(merged))
    try:
        counts = await send(importer, "branch_facts", *(facts(f"c{number}") for number in range(1, 5)))
    finally:
        async with database.begin() as tx:
            await tx.execute(text("DELETE FROM merged_customers"))
            await tx.execute(text("DELETE FROM erased_customers"))
    assert counts.inserted == 2
    async with database.read() as conn:
        stored = await conn.execute(text("SELECT customer_id FROM branch_facts ORDER BY 1"))
        assert stored.scalars().all() == ["c1", "c4"]


async def test_facts_that_would_end_more_than_half_are_refused_unless_that_is_meant(
    importer: FeedImport, database: Database
) -> None:
    await send(importer, "branches", branch("b1"))
    many = [facts(f"c{number}") for number in range(1_001)]
    await send(importer, "branch_facts", *many)
    ended = [{**row, "deposit_live": False} for row in many[:600]]
    for rows, left in (([], 0), (many[:500], 500), ([*ended, *many[600:]], 401)):
        refused = await refusal(importer, "branch_facts", *rows)
        told = {"table": "branch_facts", "stored": "1001", "remaining": str(left)}
        assert (refused.kind, refused.reason, refused.metadata) == (Kind.PRECONDITION, "MASS_REMOVAL", told)
    async with database.read() as conn:
        assert (await allocation.progress(conn)).facts_date == DAY, "what is there still counts"
    await send(importer, "branch_facts", *many[:501])

    async def nothing() -> AsyncIterator[bytes]:
        yield arrow("branch_facts")

    # What is left are fewer than a bank that has something to lose.
    await importer.run("branch_facts", DAY, nothing())
    await send(importer, "branch_facts", *many)
    await importer.run("branch_facts", DAY, nothing(), allow_removals=True)
    async with database.read() as conn:
        live = await conn.execute(text("SELECT count(*) FROM branch_facts WHERE deposit_live"))
        assert live.scalar_one() == 0


async def test_a_live_branch_is_not_written_again_because_a_day_went_by(importer: FeedImport) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "branch_facts", facts("c1"))
    moved = facts("c1", last_live_date=date(2024, 3, 2))
    assert (await send(importer, "branch_facts", moved, day=date(2024, 3, 2))).unchanged == 1
    ended = facts("c1", last_live_date=date(2024, 3, 2), deposit_live=False)
    assert (await send(importer, "branch_facts", ended, day=date(2024, 3, 3))).updated == 1


@pytest.mark.parametrize(
    ("rows", "cyclic"),
    [
        pytest.param([branch("b1", "b1")], ["b1"], id="its own parent"),
        pytest.param([branch("b1", "b3"), branch("b2", "b1"), branch("b3", "b2")], ["b1", "b2", "b3"], id="a circle"),
        pytest.param([branch("b1", "b2"), branch("b2", "b1"), branch("b3", "b1")], ["b1", "b2"], id="and one below"),
    ],
)
async def test_a_circle_of_branches_is_refused(
    importer: FeedImport, rows: list[dict[str, object]], cyclic: list[str]
) -> None:
    refused = await refusal(importer, "branches", *rows)
    assert (refused.kind, refused.reason) == (Kind.INVALID, "BRANCH_CYCLE")
    assert len(refused.violations) == len(cyclic)


async def test_a_circle_through_stored_branches_is_refused(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"), branch("b2", "b1"))
    assert (await refusal(importer, "branches", branch("b1", "b2"))).reason == "BRANCH_CYCLE"
    async with database.read() as conn:
        assert await org.parents(conn) == {"b1": None, "b2": "b1"}


@pytest.mark.parametrize(
    ("table", "row", "field", "reason"),
    [
        ("branches", branch("b2", "nowhere"), "parent_id", "REFERENCE_UNKNOWN"),
        ("staff", member("s1", branch_id="nowhere"), "branch_id", "REFERENCE_UNKNOWN"),
        ("staff", member("s1", successor_id="nobody"), "successor_id", "REFERENCE_UNKNOWN"),
        ("staff", member("s1", login="taken"), "login", "ROW_INVALID"),
        ("staff", member("s1", login="x" * 65), "login", "ROW_INVALID"),
        ("staff", member("s1", roles="MANAGER;SERVICE"), "roles", "ROW_INVALID"),
        ("staff", member("s1", password_hash="secret"), "password_hash", "ROW_INVALID"),
        ("branch_facts", facts("c1", branch_id="nowhere"), "branch_id", "REFERENCE_UNKNOWN"),
        ("branch_facts", facts("c1", loan_live=True, loan_id="l1"), "loan_first_disburse_date", "ROW_INVALID"),
        ("branch_facts", facts("c1", loan_live=True, loan_first_disburse_date=DAY), "loan_id", "ROW_INVALID"),
        ("branch_facts", facts("c1", card_live=True, card_id="k1"), "card_first_open_date", "ROW_INVALID"),
        ("branch_facts", facts("c1", customer_state="ASLEEP"), "customer_state", "ROW_INVALID"),
    ],
)
async def test_a_bad_row_is_named_and_nothing_is_stored(
    importer: FeedImport, table: str, row: dict[str, object], field: str, reason: str
) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "staff", member("s9", login="taken"))
    refused = await refusal(importer, table, row)
    assert (refused.kind, refused.reason, refused.violations[0].field) == (Kind.INVALID, reason, f"rows[0].{field}")
    assert "secret" not in refused.metadata.values()


async def test_a_login_may_move_from_one_member_to_another(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "staff", member("s1", login="one"), member("s2", login="two"))
    await send(importer, "staff", member("s1", login="two"), member("s2", login="one"))
    async with database.read() as conn:
        assert [one.login for one in await org.list_staff(conn, None, "", 9)] == ["two", "one"]


async def test_a_feed_without_hashes_takes_no_password_away(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "staff", member("s1", login="one", password_hash=HASH))
    await send(importer, "staff", member("s1", login="one", display_name="Renamed"))
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT password_hash FROM staff"))).scalar_one() == HASH


async def test_a_branch_changes_with_its_head(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"), branch("b2"))
    async with database.read() as conn:
        before = [(rev, key) for rev, key, _ in await org.read_page(conn, 0, "", 9)]
        await send(importer, "staff", member("s1", roles="BRANCH_HEAD"))
        page = await org.read_page(conn, *before[-1], 9)
        assert [key for _, key, _ in page] == ["branch/b1", "staff/s1"]
        heads = {branch.branch_id: branch.head_id for branch in await org.list_branches(conn, None, "", 9)}
        assert heads == {"b1": "s1", "b2": None}


async def test_facts_count_only_while_all_of_them_are_there(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "branch_facts", facts("c1"))
    await refusal(importer, "branch_facts", facts("c1", branch_id="nowhere"))
    async with database.read() as conn:
        assert (await allocation.progress(conn)).facts_date == DAY


async def known_facts(database: Database) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        asked = "SELECT customer_id, branch_id, deposit_live, deposit_sum_minor, last_live_date FROM branch_facts"
        return [tuple(row) for row in await conn.execute(text(f"{asked} ORDER BY customer_id, branch_id"))]


async def test_business_of_which_newer_facts_tell_nothing_is_live_no_more(
    importer: FeedImport, database: Database
) -> None:
    await send(importer, "branches", branch("b1"), branch("b2"))
    await send(importer, "branch_facts", facts("c1", deposit_sum_minor=7), facts("c2", deposit_sum_minor=7))
    await allocate_ownerships(database, DAY, goes_on)
    moved = [facts("c1", branch_id="b2", deposit_sum_minor=7), facts("c2", deposit_sum_minor=7)]
    for _ in range(2):
        await send(importer, "branch_facts", *moved, day=NEXT)
        assert await known_facts(database) == [
            ("c1", "b1", False, 0, DAY),
            ("c1", "b2", True, 7, None),
            ("c2", "b1", True, 7, None),
        ]
    report = await allocate_ownerships(database, NEXT, goes_on)
    assert report.counts.customers == 1
    async with database.read() as conn:
        owners = await conn.execute(text("SELECT branch_id, rule, due_date FROM owner WHERE customer_id = 'c1'"))
        assert {tuple(row) for row in owners} == {
            ("b1", "RUN_OFF", DAY + timedelta(days=91)),
            ("b2", "DEPOSIT", None),
        }
    assert (await send(importer, "branch_facts", *moved, day=NEXT)).unchanged == 2
    assert (await allocate_ownerships(database, NEXT, goes_on)).counts.customers == 0


async def test_a_loan_that_moves_to_another_branch_is_lived_with_there_alone(
    importer: FeedImport, database: Database
) -> None:
    await send(importer, "branches", branch("b1"), branch("b2"))
    loan = {"loan_live": True, "loan_id": "l1", "loan_outstanding_minor": 9, "loan_first_disburse_date": DAY}
    await send(importer, "branch_facts", facts("c1", **loan))
    await allocate_ownerships(database, DAY, goes_on)
    await send(importer, "branch_facts", facts("c1", branch_id="b2", **loan), day=NEXT)
    await allocate_ownerships(database, NEXT, goes_on)
    async with database.read() as conn:
        owners = await conn.execute(text("SELECT branch_id, side, basis, amount_minor FROM owner"))
        assert {tuple(row) for row in owners} == {("b1", "SECONDARY", None, None), ("b2", "PRIMARY", "l1", 9)}


async def test_facts_that_arrive_slower_than_a_newer_night_are_refused(
    importer: FeedImport, database: Database
) -> None:
    await send(importer, "branches", branch("b1"))
    old = importer.run("branch_facts", DAY, slowly(passed := asyncio.Event(), facts("c1", deposit_sum_minor=1)))
    late = asyncio.create_task(old)
    await asyncio.sleep(0.1)
    newer = FeedImport(database, Wakeups(None))
    await send(newer, "branch_facts", facts("c1", deposit_sum_minor=2), day=NEXT)
    await allocate_ownerships(database, NEXT, goes_on)
    passed.set()
    with pytest.raises(Refused) as caught:
        await late
    assert caught.value.reason == "BUSINESS_DATE_PAST"
    assert await known_facts(database) == [("c1", "b1", True, 2, None)]
    async with database.read() as conn:
        assert (await allocation.progress(conn)).facts_date == NEXT


async def test_facts_of_an_import_that_broke_off_never_count(
    importer: FeedImport, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(importer, "branches", branch("b1"))
    await send(importer, "branch_facts", facts("c1"), facts("c2"))

    async def dies(*_args: object) -> None:
        raise RuntimeError("the process died")

    monkeypatch.setattr(import_rows, "end_missing_facts", dies)
    with pytest.raises(RuntimeError, match="died"):
        await send(importer, "branch_facts", facts("c1", deposit_sum_minor=2), day=NEXT)
    for night in (DAY, NEXT):
        with pytest.raises(Refused, match="no facts"):
            await allocate_ownerships(database, night, goes_on)


async def test_facts_before_the_last_night_are_refused(importer: FeedImport, database: Database) -> None:
    await send(importer, "branches", branch("b1"))
    async with database.begin() as tx:
        await tx.execute(text("UPDATE allocation_day SET business_date = '2024-03-02'"))
    refused = await refusal(importer, "branch_facts", facts("c1"))
    assert (refused.kind, refused.reason) == (Kind.PRECONDITION, "BUSINESS_DATE_PAST")
    assert refused.metadata == {"last_business_date": "2024-03-02"}
