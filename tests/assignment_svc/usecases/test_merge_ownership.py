"""Making one customer of two in assignment_svc, and two again: by examples and over random small worlds."""

import random
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from services.assignment_svc.store import allocation
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.merge_ownership import merge_ownership, undo_merge_ownership

Row = dict[str, object]
NIGHT = date(2024, 3, 1)
ONE = Merging("m1", "s", "t")
TABLES = ("branch_facts", "owner", "owner_period", "ownership", "ownership_hold", "officer_override")
# What tells when something was written differs, for it was written again.
IMAGE = "to_jsonb(x) - 'rev' - 'update_time' - 'create_time' - 'period_id'"


@pytest.fixture(autouse=True)
async def empty(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {', '.join(TABLES)}, staff, staff_duty, merged_customers, merge_rows"))
        await tx.execute(text("TRUNCATE merge_notice, allocation_candidate"))
        await tx.execute(text("UPDATE allocation_day SET policy_version = 0, seen_rev = '0', business_date = NULL"))


async def put(database: Database, table: str, *rows: Row) -> None:
    async with database.begin() as tx:
        for row in rows:
            asked = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
            await tx.execute(text(asked), row)


def has(customer_id: str, branch_id: str, deposit: int | None = None, more: Row | None = None) -> Row:
    """Facts of a customer at a branch."""
    live = deposit is not None
    row: Row = {
        "customer_id": customer_id,
        "branch_id": branch_id,
        "loan_live": False,
        "card_live": False,
        "deposit_live": live,
        "deposit_sum_minor": deposit or 0,
        "relation_since_date": date(2020, 1, 1),
        "customer_state": "ACTIVE",
    }
    if not (live or more):
        row["last_live_date"] = NIGHT - timedelta(days=10)
    return row | (more or {})


def lends(amount: int | None, loan_id: str) -> Row:
    day = date(2021, 1, 1)
    return {
        "loan_live": True,
        "loan_id": loan_id,
        "loan_outstanding_minor": amount,
        "loan_first_disburse_date": day,
        "loan_officer_id": "officer",
    }


async def night(database: Database, day: date = NIGHT) -> None:
    async def goes_on(_done: int, _total: int) -> bool:
        return True

    async with database.begin() as tx:
        await allocation.set_facts_date(tx, day)
    await allocate_ownerships(database, day, goes_on)


async def merge(database: Database, one: Merging = ONE) -> tuple[str, ...]:
    return (await merge_ownership(database, one, validate_only=False)).told_branch_ids


async def undo(database: Database, one: Merging = ONE) -> None:
    await database.repeat(lambda tx: undo_merge_ownership(tx, one))


async def images(database: Database, *without: str) -> list[str]:
    async with database.read() as conn:
        parts = [f"SELECT '{one}' || ({IMAGE})::text FROM {one} x" for one in TABLES if one not in without]
        return sorted((await conn.execute(text(" UNION ALL ".join(parts)))).scalars())


async def owners(database: Database) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        asked = "SELECT customer_id, branch_id, side, rule, amount_minor FROM owner ORDER BY 1, 3, 2"
        return [tuple(row) for row in await conn.execute(text(asked))]


async def test_facts_of_one_branch_are_added_and_the_survivors_primary_is_the_incumbent(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b1", 10), has("t", "b2", 115))
    await night(database)
    await merge(database)
    # 115 is not 20 % above 110.
    assert await owners(database) == [
        ("s", "b1", "PRIMARY", "DEPOSIT", 110),
        ("s", "b2", "SECONDARY", "SECONDARY", 115),
    ]
    async with database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, gone FROM ownership ORDER BY 1"))
        assert [tuple(row) for row in rows] == [("s", False), ("t", True)]
        past = await conn.execute(text("SELECT customer_id, branch_id FROM owner_period ORDER BY 1, 2"))
        assert [tuple(row) for row in past] == [("s", "b1"), ("t", "b1"), ("t", "b2")]


async def test_a_larger_loan_of_the_other_takes_the_primary_side(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100, lends(5, "l1")), has("t", "b1", None, lends(7, "l2")))
    await put(database, "branch_facts", has("t", "b2", None, lends(50, "l3")), has("s", "b3", 900))
    await night(database)
    await merge(database)
    assert await owners(database) == [
        ("s", "b2", "PRIMARY", "LOAN", 50),
        ("s", "b1", "SECONDARY", "SECONDARY", 7),
        ("s", "b3", "SECONDARY", "SECONDARY", 900),
    ]


async def test_a_dry_run_says_what_would_be_and_stores_nothing(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 500))
    await night(database)
    before = await images(database)
    would_be = await merge_ownership(database, ONE, validate_only=True)
    assert [owner.branch_id for owner in would_be.ownership.owners] == ["b2", "b1"]
    assert await images(database) == before


async def test_a_survivor_without_business_takes_the_others_primary(database: Database) -> None:
    await put(database, "branch_facts", has("t", "b2", 5))
    await night(database)
    await merge(database)
    assert await owners(database) == [("s", "b2", "PRIMARY", "DEPOSIT", 5)]
    await undo(database)
    assert await owners(database) == [("t", "b2", "PRIMARY", "DEPOSIT", 5)]


async def test_of_two_locks_the_older_stays_and_both_branches_are_told(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 500))
    for customer_id, branch_id, since in (("s", "b1", NIGHT), ("t", "b2", NIGHT - timedelta(days=9))):
        lock: Row = {"customer_id": customer_id, "hold_id": f"h-{branch_id}", "kind": "LOCK"}
        lock |= {"branch_id": branch_id, "from_date": since, "until_date": NIGHT + timedelta(days=90), "reason": "r"}
        await put(database, "ownership_hold", lock)
    await night(database)
    before = await images(database)
    assert await merge(database) == ("b1", "b2")
    assert [row[:4] for row in await owners(database)] == [
        ("s", "b2", "PRIMARY", "HELD"),
        ("s", "b1", "SECONDARY", "SECONDARY"),
    ]
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT hold_id FROM ownership_hold"))).scalars().all() == ["h-b2"]
        assert (await conn.execute(text("SELECT branch_id FROM merge_notice ORDER BY 1"))).scalars().all() == [
            "b1",
            "b2",
        ]
    await undo(database)
    assert await images(database) == before


async def test_the_others_pending_transfer_holds_nobody_any_more(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 100))
    hold: Row = {"customer_id": "t", "hold_id": "r1", "kind": "TRANSFER", "branch_id": "b2", "from_date": NIGHT}
    await put(database, "ownership_hold", hold | {"reason": "r"})
    await night(database)
    await merge(database)
    # The survivor's primary branch is the incumbent.
    assert [row[:4] for row in await owners(database)] == [
        ("s", "b1", "PRIMARY", "DEPOSIT"),
        ("s", "b2", "SECONDARY", "SECONDARY"),
    ]
    await undo(database)
    assert [row[:4] for row in await owners(database)] == [
        ("s", "b1", "PRIMARY", "DEPOSIT"),
        ("t", "b2", "PRIMARY", "DEPOSIT"),
    ]


async def test_an_undo_gives_back_to_the_branch_that_took_what_another_had(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b1", 300), has("t", "b2", 50))
    await night(database)
    await merge(database)
    async with database.begin() as tx:
        await tx.execute(text("INSERT INTO branch_alias VALUES ('b1', 'b3')"))
    await undo(database)
    assert await owners(database) == [
        ("s", "b3", "PRIMARY", "DEPOSIT", 100),
        ("t", "b3", "PRIMARY", "DEPOSIT", 300),
        ("t", "b2", "SECONDARY", "SECONDARY", 50),
    ]
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE branch_alias"))


async def test_a_manager_named_at_a_branch_that_only_the_other_had_stays(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 50))
    who: Row = {"display_name": "N", "branch_id": "b2", "roles": ["MANAGER"]}
    await put(database, "staff", {"staff_id": "named"} | who)
    await night(database)
    async with database.begin() as tx:
        await tx.execute(text("UPDATE owner SET named_manager_id = 'named' WHERE branch_id = 'b2'"))
        await tx.execute(text("UPDATE branch_facts SET rev = pg_current_xact_id()"))
    await night(database)
    await merge(database)
    async with database.read() as conn:
        named = await conn.execute(text("SELECT manager_id FROM owner WHERE customer_id = 's' AND branch_id = 'b2'"))
        assert named.scalar_one() == "named"


async def test_a_second_call_changes_nothing_and_a_night_keeps_a_merge_waiting(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 500))
    await night(database)
    await merge(database)
    once = await images(database)
    await merge(database)
    await night(database)
    assert await images(database) == once
    async with database.alone() as connection:
        async with connection.begin():
            assert await allocation.try_lock(connection)
        with pytest.raises(Refused) as caught:
            await undo(database)
        assert caught.value.kind is Kind.UNAVAILABLE
    await undo(database)
    await undo(database)


def world(chance: random.Random) -> list[Row]:
    rows: list[Row] = []
    for customer_id in ("s", "t", "u"):
        for branch_id in chance.sample(["b1", "b2", "b3", "b4"], chance.randrange(4)):
            loan = lends(chance.choice([None, 5, 50, 500]), f"l-{customer_id}-{branch_id}")
            facts = has(customer_id, branch_id, chance.choice([None, 0, 100, 110, 130]))
            rows.append(facts | loan | {"last_live_date": None} if chance.random() < 0.4 else facts)
    return rows


async def test_merge_and_undo_are_the_identity_and_every_living_customer_has_one_primary(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(6):
        await empty_again(database)
        await put(database, "branch_facts", *world(chance))
        await night(database)
        before = await images(database)
        later = Merging("m2", "u", "s")
        await merge(database)
        await one_primary(database)
        between = await images(database)
        await merge(database, later)
        await one_primary(database)
        await undo(database, later)
        assert living(await images(database)) == living(between)
        await undo(database)
        await one_primary(database)
        assert living(await images(database)) == before


def living(found: list[str]) -> list[str]:
    """Without the tombstones, which nobody sees."""
    return [one for one in found if '"gone": true' not in one]


async def empty_again(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {', '.join(TABLES)}, merged_customers, merge_rows"))
        await tx.execute(text("UPDATE allocation_day SET policy_version = 0, seen_rev = '0', business_date = NULL"))


async def one_primary(database: Database) -> None:
    async with database.read() as conn:
        broken = await conn.execute(
            text("""
SELECT o.customer_id, count(w.customer_id) FILTER (WHERE w.side = 'PRIMARY')
FROM ownership o LEFT JOIN owner w USING (customer_id)
GROUP BY o.customer_id, o.gone HAVING count(w.customer_id) FILTER (WHERE w.side = 'PRIMARY') <> (NOT o.gone)::int""")
        )
        assert broken.all() == []


async def test_a_merge_that_is_undone_after_a_night_keeps_the_history_of_what_was(database: Database) -> None:
    await put(database, "branch_facts", has("s", "b1", 100), has("t", "b2", 500))
    await night(database)
    before = await images(database, "owner_period", "ownership", "owner")
    was = await owners(database)
    await merge(database)
    await night(database, NIGHT + timedelta(days=1))
    await undo(database)
    await one_primary(database)
    assert await owners(database) == was
    assert await images(database, "owner_period", "ownership", "owner") == before
    async with database.read() as conn:
        asked = "SELECT branch_id, side, until_date - from_date FROM owner_period WHERE customer_id = 's' ORDER BY 1, 3"
        assert [tuple(row) for row in await conn.execute(text(asked))] == [
            ("b1", "PRIMARY", 0),
            ("b1", "SECONDARY", 1),
            # Corrected the same day: until allocation has looked, a row that was handed on is secondary.
            ("b2", "SECONDARY", 0),
            ("b2", "PRIMARY", 1),
        ]
