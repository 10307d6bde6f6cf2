from datetime import date

from sqlalchemy import text

from services.customer_svc.domain.customer import Owner
from services.customer_svc.store import ownership
from services.customer_svc.store.owner_rows import owner_rows

PRIMARY = Owner("b1", "PRIMARY", "s1", date(2026, 1, 1))
SECONDARY = Owner("b2", "SECONDARY", None, None)


async def stored(bank) -> list[tuple[str, str, str]]:
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, branch_id, side FROM owners ORDER BY 1, 2"))
        return [(row[0], row[1], row[2]) for row in rows]


async def test_a_customers_rows_are_replaced_as_a_whole(bank) -> None:
    await bank.own({"c1": [PRIMARY, SECONDARY], "c2": [PRIMARY]})
    swapped = [Owner("b1", "SECONDARY", None, None), Owner("b2", "PRIMARY", None, None)]
    await bank.own({"c1": swapped})
    assert await stored(bank) == [("c1", "b1", "SECONDARY"), ("c1", "b2", "PRIMARY"), ("c2", "b1", "PRIMARY")]


async def test_a_customer_whose_ownership_is_gone_has_no_rows(bank) -> None:
    await bank.own({"c1": [PRIMARY]})
    await bank.own({"c1": []})
    assert await stored(bank) == []


async def test_rows_that_a_new_start_of_the_feed_lacks_are_dropped(bank) -> None:
    await bank.own({"c1": [PRIMARY], "c2": [PRIMARY]})
    await bank.own({"c2": [PRIMARY]}, generation=2)
    async with bank.database.begin() as tx:
        await ownership.drop_older(tx, 2)
    assert await stored(bank) == [("c2", "b1", "PRIMARY")]


async def test_a_private_manager_is_kept_with_the_primary_row(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    await bank.own({"c1": [Owner("b1", "PRIMARY", "s1", None, "pm"), SECONDARY]})
    async with bank.database.read() as conn:
        rows = await owner_rows(conn, "c1")
        assert rows is not None
        assert [(row.branch_id, row.private_manager_id) for row in rows] == [("b1", "pm"), ("b2", None)]
        assert (await owner_rows(conn, "c2")) is None
