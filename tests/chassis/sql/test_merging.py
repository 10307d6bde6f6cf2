import random

import pytest
from sqlalchemy import text

from chassis.sql import merging
from chassis.sql.merge_tables import MERGE_TABLES
from chassis.sql.merging import MergedTable, Merging

TABLES = (
    MergedTable("visit", ("visit_id",), touch="touched = true"),
    MergedTable("kin", ("kin_id", "kind"), leaves_out="t.kin_id = :survivor_id"),
    MergedTable("kin", ("customer_id", "kind"), owner="kin_id", leaves_out="t.customer_id = :survivor_id"),
    MergedTable("wish", ("channel",), combine={"state": "least(o.state, t.state)"}),
    MergedTable("figure", ("branch_id",), combine={"amount": "o.amount + t.amount"}, derived=True),
)
IMAGES = """
SELECT 'visit' AS name, to_jsonb(x) - 'touched' AS image FROM visit x UNION ALL SELECT 'kin', to_jsonb(x) FROM kin x
UNION ALL SELECT 'wish', to_jsonb(x) FROM wish x UNION ALL SELECT 'figure', to_jsonb(x) FROM figure x
"""


@pytest.fixture(scope="session")
async def merge_database(database):
    statements = [
        *MERGE_TABLES,
        (
            "CREATE TABLE visit (customer_id text, visit_id text, note bytea, at timestamptz, touched boolean,"
            " PRIMARY KEY (customer_id, visit_id))"
        ),
        "CREATE TABLE kin (customer_id text, kin_id text, kind text, PRIMARY KEY (customer_id, kin_id, kind))",
        "CREATE TABLE wish (customer_id text, channel text, state int, PRIMARY KEY (customer_id, channel))",
        "CREATE TABLE figure (customer_id text, branch_id text, amount bigint, PRIMARY KEY (customer_id, branch_id))",
    ]
    async with database.begin() as tx:
        for statement in statements:
            await tx.execute(text(statement))
    return database


@pytest.fixture
async def tx(merge_database):
    async with merge_database.alone() as connection:
        transaction = await connection.begin()
        yield connection
        await transaction.rollback()


async def fill(tx, chance):
    people = ["A", "B", "C", "D"]
    for number in range(12):
        await tx.execute(
            text("INSERT INTO visit VALUES (:who, :id, '\\x00ff', '2026-01-02 03:04:05.678901+00', false)"),
            {"who": chance.choice(people), "id": f"v{number}"},
        )
    for statement, values in (
        ("INSERT INTO kin VALUES (:who, :other, :kind) ON CONFLICT DO NOTHING", ("x", "y")),
        ("INSERT INTO wish VALUES (:who, :kind, :number) ON CONFLICT DO NOTHING", ("SMS", "CALL", "MAIL")),
        ("INSERT INTO figure VALUES (:who, :kind, :number) ON CONFLICT DO NOTHING", ("b1", "b2", "b3")),
    ):
        for _ in range(10):
            who, other = chance.sample(people, 2)
            given = {"who": who, "other": other, "kind": chance.choice(values), "number": chance.randrange(100)}
            await tx.execute(text(statement), {name: given[name] for name in given if f":{name}" in statement})


async def images(tx):
    return sorted((row.name, str(sorted(row.image.items()))) for row in await tx.execute(text(IMAGES)))


async def merge(tx, name, survivor, merged):
    one = Merging(name, survivor, merged)
    assert await merging.add_merged(tx, one)
    await merging.unite(tx, TABLES, one)
    return one


async def undo(tx, one):
    assert await merging.remove_merged(tx, one)
    await merging.divide(tx, TABLES, one)


async def test_nothing_is_lost_or_doubled_and_an_undo_is_the_identity(tx, seed):
    chance = random.Random(seed)
    await fill(tx, chance)
    before = await images(tx)
    total = "SELECT (SELECT sum(amount) FROM figure), (SELECT count(*) FROM visit)"
    sums = (await tx.execute(text(total))).one()
    first = await merge(tx, "m1", "A", "B")
    between = await images(tx)
    second = await merge(tx, "m2", "C", "A")
    assert (await tx.execute(text(total))).one() == sums
    gone = "SELECT count(*) FROM visit WHERE customer_id IN ('A', 'B')"
    assert (await tx.execute(text(gone))).scalar_one() == 0
    assert (await tx.execute(text("SELECT count(*) FROM kin WHERE customer_id = kin_id"))).scalar_one() == 0
    await undo(tx, second)
    assert await images(tx) == between
    await undo(tx, first)
    assert await images(tx) == before
    assert (await tx.execute(text("SELECT count(*) FROM merge_rows WHERE label <> 'undone'"))).scalar_one() == 0


async def test_chains_end_at_the_living_customer(tx):
    first = await merge(tx, "m1", "B", "A")
    second = await merge(tx, "m2", "C", "B")
    assert [await merging.survivor_of(tx, one) for one in "ABC"] == ["C", "C", None]
    await undo(tx, second)
    assert [await merging.survivor_of(tx, one) for one in "ABC"] == ["B", None, None]
    assert not await merging.remove_merged(tx, second)
    # A call that was late does not bring it back.
    assert not await merging.add_merged(tx, second)
    assert not await merging.add_merged(tx, first)


async def test_what_changed_since_stays_where_it_is_or_goes_back_with_its_row(tx):
    await tx.execute(text("INSERT INTO visit VALUES ('B', 'v1'), ('A', 'v2')"))
    await tx.execute(text("INSERT INTO wish VALUES ('A', 'SMS', 5), ('B', 'SMS', 3)"))
    one = await merge(tx, "m1", "A", "B")
    await tx.execute(text("UPDATE visit SET note = 'new' WHERE visit_id = 'v1'"))
    await tx.execute(text("INSERT INTO visit VALUES ('A', 'v3')"))
    await tx.execute(text("UPDATE wish SET state = 9"))
    await undo(tx, one)
    visits = (await tx.execute(text("SELECT customer_id, visit_id, note FROM visit ORDER BY visit_id"))).all()
    assert visits == [("B", "v1", b"new"), ("A", "v2", None), ("A", "v3", None)]
    wishes = (await tx.execute(text("SELECT customer_id, state FROM wish ORDER BY customer_id"))).all()
    assert wishes == [("A", 9), ("B", 3)]
