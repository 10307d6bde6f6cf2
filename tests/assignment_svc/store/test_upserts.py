"""Where the feed and people meet: what people changed stays until the feed tells something else of it."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.store.imports import BRANCHES_SCHEMA, STAFF_SCHEMA
from services.assignment_svc.usecases.import_rows import FeedImport

DAY = date(2024, 3, 1)
FIRST, SECOND = "$argon2id$first", "$argon2id$second"
BRANCHES: tuple[dict[str, Any], ...] = (
    {"branch_id": "b1", "display_name": "One"},
    {"branch_id": "b2", "display_name": "Two", "parent_id": "b1"},
)
MEI: dict[str, Any] = {"staff_id": "m1", "display_name": "Mei", "branch_id": "b1", "roles": "MANAGER", "login": "mei"}
MIN: dict[str, Any] = {"staff_id": "m2", "display_name": "Min", "branch_id": "b1", "roles": "TELLER", "login": "min"}


class Office:
    """Imports of branches and staff, and hands at the same rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._importer = FeedImport(database, Wakeups(None))

    async def tell(self, table: str, *rows: dict[str, Any]) -> tuple[int, int]:
        schema = {"branches": BRANCHES_SCHEMA, "staff": STAFF_SCHEMA}[table]
        whole = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole)

        async def chunks() -> AsyncIterator[bytes]:
            yield sink.getvalue().to_pybytes()

        counts = await self._importer.run(table, DAY, chunks())
        return counts.inserted, counts.updated

    async def run(self, statement: str) -> list[Any]:
        async def work(tx: AsyncConnection) -> list[Any]:
            found = await tx.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

        return await self._database.repeat(work)


@pytest.fixture
async def office(database: Database) -> Office:
    made = Office(database)
    await made.run("TRUNCATE branch, staff, session, branch_period")
    await made.tell("branches", *BRANCHES)
    await made.tell("staff", MEI, MIN)
    return made


async def test_the_same_feed_undoes_nothing_and_writes_nothing(office: Office) -> None:
    await office.run("UPDATE staff SET branch_id = 'b2', login = 'mei2', roles = '{LOBBY}' WHERE staff_id = 'm1'")
    await office.run("UPDATE branch SET display_name = 'Uno', parent_id = NULL WHERE branch_id = 'b2'")
    assert await office.tell("staff", MEI, MIN) == (0, 0)
    assert await office.tell("branches", *BRANCHES) == (0, 0)
    assert await office.run("SELECT branch_id, login, roles FROM staff WHERE staff_id = 'm1'") == [
        ("b2", "mei2", ["LOBBY"])
    ]
    assert await office.run("SELECT display_name, parent_id FROM branch WHERE branch_id = 'b2'") == [("Uno", None)]


async def test_a_column_that_the_feed_tells_anew_is_the_feeds_and_no_other(office: Office) -> None:
    await office.run("UPDATE staff SET branch_id = 'b2', display_name = 'Mei L' WHERE staff_id = 'm1'")
    await office.tell("staff", MEI | {"display_name": "Mei Lan"}, MIN)
    assert await office.run("SELECT branch_id, display_name FROM staff WHERE staff_id = 'm1'") == [("b2", "Mei Lan")]
    await office.tell("staff", MEI | {"login": None})
    assert await office.run("SELECT login, display_name FROM staff WHERE staff_id = 'm1'") == [(None, "Mei")]


async def test_a_row_made_by_hand_takes_what_the_feed_tells_of_it_first_and_keeps_the_rest(office: Office) -> None:
    await office.run(
        "INSERT INTO staff (staff_id, display_name, branch_id, roles, login, password_hash, password_once)"
        f" VALUES ('m3', 'Ma', 'b1', '{{ADMIN}}', 'ma', '{FIRST}', true)"
    )
    await office.tell("staff", {"staff_id": "m3", "display_name": "Ma Li", "branch_id": "b2", "roles": "TELLER"})
    assert await office.run(
        "SELECT display_name, branch_id, roles, login, password_hash, password_once FROM staff WHERE staff_id = 'm3'"
    ) == [("Ma Li", "b2", ["TELLER"], "ma", FIRST, True)]


async def test_a_password_set_by_hand_goes_only_for_a_new_one(office: Office) -> None:
    query = "SELECT password_hash, password_once FROM staff WHERE staff_id = 'm1'"
    await office.tell("staff", MEI | {"password_hash": FIRST})
    await office.run("UPDATE staff SET password_hash = '$argon2id$hand', password_once = true WHERE staff_id = 'm1'")
    await office.tell("staff", MEI | {"password_hash": FIRST})
    await office.tell("staff", MEI)
    await office.tell("staff", MEI | {"password_hash": FIRST})
    assert await office.run(query) == [("$argon2id$hand", True)]
    await office.tell("staff", MEI | {"password_hash": SECOND})
    assert await office.run(query) == [(SECOND, False)]


async def test_logins_and_parents_are_checked_as_they_will_be(office: Office) -> None:
    await office.run("UPDATE staff SET login = 'lan' WHERE staff_id = 'm1'")
    with pytest.raises(Refused):
        await office.tell("staff", MEI, MIN | {"login": "lan"})
    await office.tell("staff", MEI, MIN | {"login": "mei"})
    assert await office.run("SELECT login FROM staff ORDER BY staff_id") == [("lan",), ("mei",)]
    await office.run("UPDATE branch SET parent_id = NULL WHERE branch_id = 'b2'")
    await office.tell("branches", BRANCHES[0] | {"parent_id": "b2"}, BRANCHES[1])
    assert await office.run("SELECT parent_id FROM branch ORDER BY branch_id") == [("b2",), (None,)]


async def test_what_the_feed_changes_is_in_the_log_and_in_the_history(office: Office) -> None:
    await office.tell("branches", BRANCHES[0], BRANCHES[1] | {"display_name": "Deux"})
    newest = "SELECT actor, action, before, after FROM org_change_entry ORDER BY entry_id DESC LIMIT 1"
    assert await office.run(newest) == [("feed", "CHANGED", {"display_name": "Two"}, {"display_name": "Deux"})]
    periods = "SELECT display_name, until_date IS NULL FROM branch_period WHERE branch_id = 'b2' ORDER BY period_id"
    assert await office.run(periods) == [("Two", False), ("Deux", True)]
