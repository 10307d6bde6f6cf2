"""What is searched is what customers and owners say, whoever writes them at the same time."""

import asyncio
import random
from datetime import date

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.sql.merging import Merging
from services.customer_svc.domain.customer import Owner
from services.customer_svc.store import merged_customers, ownership
from services.customer_svc.store.tables_search import COPIED

DAY = date(2026, 6, 30)
IDS = [f"c{number:03}" for number in range(600)]
TAGS = ("CHURN_RISK", "LOAN_POTENTIAL")
_COPIES = ", ".join(f"{{alias}}.{name}" for name in COPIED)
_OTHER_THAN_CUSTOMERS = f"""
SELECT customer_id FROM customers AS c FULL JOIN customer_search AS s USING (customer_id)
WHERE c.rev IS NULL OR s.secondary_branch_ids IS NULL
  OR ({_COPIES.format(alias="c")}) IS DISTINCT FROM ({_COPIES.format(alias="s")})"""
_OTHER_THAN_OWNERS = """
SELECT customer_id FROM customer_search AS s LEFT JOIN (
  SELECT customer_id, max(branch_id) FILTER (WHERE side = 'PRIMARY') AS branch_id,
    max(manager_id) FILTER (WHERE side = 'PRIMARY') AS manager_id,
    array_agg(branch_id ORDER BY branch_id) FILTER (WHERE side = 'SECONDARY') AS others
  FROM owners GROUP BY customer_id
) AS o USING (customer_id)
WHERE (s.primary_branch_id, s.primary_manager_id, s.secondary_branch_ids)
  IS DISTINCT FROM (o.branch_id, o.manager_id, coalesce(o.others, '{}'))"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def found(bank, query):
    async with bank.database.read() as conn:
        return list((await conn.execute(text(query))).scalars())


def some(chance):
    """Most of the customers, in no order."""
    return chance.sample(IDS, chance.randint(1, len(IDS)))


async def add_and_rename(bank, chance, turn):
    names = [{"customer_id": one, "display_name": f"{turn}{chance.random()}"} for one in some(chance)]
    await bank.load("customers", names)


async def import_figures(bank, chance, turn):
    known = await found(bank, "SELECT customer_id FROM customers")
    rows = [{"customer_id": one, "aum_minor": chance.randint(0, turn + 9)} for one in known if chance.random() < 0.8]
    await bank.load("customer_figures", rows)


async def import_tags(bank, chance, turn):
    known = await found(bank, "SELECT customer_id FROM customers")
    given = {"rule_version": str(turn), "as_of_date": DAY, "evidence": "{}"}
    rows = [given | {"customer_id": one, "tag_code": code} for one in known for code in TAGS if chance.random() < 0.5]
    await bank.load("customer_tags", rows)


async def follow_owners(bank, chance, turn):
    """As the follower does, but for its repeating: nobody must ever give way to another."""
    owners_of = {}
    for one in some(chance):
        first, second = chance.sample(["b1", "b2", "b3"], 2)
        owned = [Owner(first, "PRIMARY", f"s{turn}", None), Owner(second, "SECONDARY", None, None)]
        owners_of[one] = owned[: chance.randint(0, 2)]
    async with bank.database.begin() as tx:
        await ownership.replace_owners(tx, owners_of, 1)


async def merge(bank, chance, turn):
    """Of two who are there, if no import is under way."""
    known = await found(bank, "SELECT customer_id FROM customers WHERE NOT gone")
    if len(known) < 2:
        return
    merging = Merging(f"m{turn}", *chance.sample(known, 2))
    try:
        async with bank.database.begin() as tx:
            await merged_customers.hold_still(tx, merging)
            await merged_customers.unite_customers(tx, merging, DAY)
    except Refused:
        await asyncio.sleep(0.01)


async def several(work, bank, seed, turns):
    chance = random.Random(seed)
    for turn in range(turns):
        await work(bank, chance, turn)


@pytest.mark.parametrize("round_", range(2))
async def test_writers_of_all_kinds_at_once_leave_what_is_searched_right_and_never_lock_each_other_out(bank, round_):
    [before] = await found(bank, _DEADLOCKS)
    works = {add_and_rename: 5, import_figures: 6, import_tags: 5, follow_owners: 15, merge: 30}
    async with asyncio.TaskGroup() as group:
        for number, (work, turns) in enumerate(works.items()):
            group.create_task(several(work, bank, 10 * round_ + number, turns))
    assert await found(bank, _OTHER_THAN_CUSTOMERS) == []
    assert await found(bank, _OTHER_THAN_OWNERS) == []
    assert await found(bank, "SELECT count(primary_branch_id) FROM customer_search") != [0]
    assert await found(bank, _DEADLOCKS) == [before]


async def test_a_session_that_once_wrote_many_does_not_read_all_for_one(bank):
    await bank.load("customers", [{"customer_id": one} for one in IDS])
    await bank.own({one: [Owner("b1", "PRIMARY", "s1", None)] for one in IDS})
    counted = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'customer_search'")
    async with bank.database.begin() as tx:
        before = (await tx.execute(counted)).scalar_one()
        for condition in ("true", "customer_id = 'c007'"):
            await tx.execute(text(f"UPDATE customers SET tier = coalesce(tier, 0) + 1 WHERE {condition}"))
            await tx.execute(text(f"SELECT settle_owners(ARRAY(SELECT customer_id FROM customers WHERE {condition}))"))
        assert (await tx.execute(counted)).scalar_one() == before
