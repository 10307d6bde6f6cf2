"""What is searched follows what is stored, and what takes too long is refused."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.query import Asked, Query
from services.customer_svc.domain.reach import reach_of
from services.customer_svc.domain.viewing import Scope
from services.customer_svc.store import ownership, search

PRIMARY = Owner("b1", "PRIMARY", "s1", date(2026, 1, 1))
SECONDARY = [Owner("b3", "SECONDARY", None, None), Owner("b2", "SECONDARY", None, None)]
EVERYONE = Asked(Query(), reach_of(Query(), everyone=True), Scope("", everyone=True), date(2026, 6, 30))


async def searched(bank, *columns: str) -> list[tuple[object, ...]]:
    async with bank.database.read() as conn:
        rows = await conn.execute(text(f"SELECT {', '.join(columns)} FROM customer_search ORDER BY customer_id"))
        return [tuple(row) for row in rows]


async def owned(bank) -> list[tuple[object, ...]]:
    return await searched(bank, "customer_id", "primary_branch_id", "primary_manager_id", "secondary_branch_ids")


async def test_owners_stand_beside_the_figures_whichever_comes_first(bank) -> None:
    await bank.own({"c1": [PRIMARY, *SECONDARY]})
    assert await owned(bank) == []
    await bank.load("customers", [{"customer_id": "c1"}, {"customer_id": "c2"}])
    assert await owned(bank) == [("c1", "b1", "s1", ["b2", "b3"]), ("c2", None, None, [])]
    await bank.own({"c1": [], "c2": [PRIMARY]})
    assert await owned(bank) == [("c1", None, None, []), ("c2", "b1", "s1", [])]


async def test_owners_that_a_new_start_of_the_feed_lacks_go_here_too(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    await bank.own({"c1": [PRIMARY]})
    async with bank.database.begin() as tx:
        await ownership.drop_older(tx, 2)
    assert await owned(bank) == [("c1", None, None, [])]


async def test_who_is_added_while_his_owners_are_written_has_them_in_the_end(bank) -> None:
    async with bank.database.begin() as tx:
        await ownership.replace_owners(tx, {"c1": [PRIMARY]}, 1)
        adding = asyncio.create_task(bank.load("customers", [{"customer_id": "c1"}]))
        await asyncio.sleep(0.3)
        assert not adding.done(), "it waits for who writes owners"
    await adding
    assert await owned(bank) == [("c1", "b1", "s1", [])]


async def test_what_changes_of_a_customer_changes_here(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1", "sex": "MALE"}, {"customer_id": "c2"}])
    await bank.load("customers", [{"customer_id": "c1", "sex": "FEMALE"}, {"customer_id": "c2"}])
    await bank.load_figures(
        [{"customer_id": "c1", "branch_id": "b1", "deposit_balance_minor": 5, "deposit_average_minor": 3}]
    )
    assert await searched(bank, "sex", "total_deposit_average_minor") == [("FEMALE", 3), (None, None)]
    async with bank.database.begin() as tx:
        await tx.execute(text("DELETE FROM customers WHERE customer_id = 'c1'"))
    assert await searched(bank, "customer_id") == [("c2",)]
    async with bank.database.begin() as tx:
        await tx.execute(text("TRUNCATE customers"))
    assert await searched(bank, "customer_id") == []


async def test_what_changes_elsewhere_rewrites_nothing_here(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    before = await searched(bank, "xmin")
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE customers SET rev = pg_current_xact_id()"))
    assert await searched(bank, "xmin") == before


async def test_what_takes_too_long_is_refused_with_what_to_do_instead(bank) -> None:
    async with bank.database.begin() as tx:
        await search.plan_for_these_values(tx)
        await search.limit_seconds(tx, 0.05)
        with pytest.raises(Refused) as refused:
            async with search.limited():
                await tx.execute(text("SELECT pg_sleep(2)"))
    assert (refused.value.kind, refused.value.reason) == (Kind.EXHAUSTED, "QUERY_TOO_COSTLY")
    assert "save it as a group" in refused.value.message


async def test_an_estimate_comes_from_the_planner(bank) -> None:
    await bank.load("customers", [{"customer_id": f"c{number}"} for number in range(300)])
    async with bank.database.begin() as tx:
        await tx.execute(text("ANALYZE customer_search"))
        assert await search.estimate(tx, EVERYONE) == pytest.approx(300, rel=0.2)
        assert await search.count(tx, EVERYONE) == 300
