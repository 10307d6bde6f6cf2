from datetime import date

from services.customer_svc.domain.facts import CustomerFact
from services.customer_svc.store.facts import read_page


async def test_a_fact_is_the_whole_customer(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1", "state": "FROZEN"}, {"customer_id": "c2"}])
    await bank.load(
        "accounts",
        [
            {"account_id": "a2", "customer_id": "c1", "branch_id": "b2", "close_date": date(2025, 1, 1)},
            {"account_id": "a1", "customer_id": "c1", "branch_id": "b1"},
        ],
    )
    await bank.load("loans", [{"loan_id": "l1", "customer_id": "c1", "branch_id": "b1"}])
    await bank.load("loans", [{"loan_id": "l2", "customer_id": "c2", "branch_id": "b1", "state": "SETTLED"}])
    async with bank.database.read() as conn:
        found = [fact for _, _, fact in await read_page(conn, 0, "", 10)]
    assert sorted(found, key=lambda fact: fact.customer_id) == [
        CustomerFact("c1", False, "INDIVIDUAL", "FROZEN", [("a1", "b1"), ("a2", "b2")], True),  # noqa: FBT003 -- a row
        CustomerFact("c2", False, "INDIVIDUAL", "ACTIVE", [], False),  # noqa: FBT003 -- a row
    ]


async def test_pages_go_on_where_they_ended_in_the_order_of_change(bank) -> None:
    await bank.load("customers", [{"customer_id": f"c{n}"} for n in range(5)])
    await bank.load("customers", [{"customer_id": "c1", "display_name": "王"}])
    keys: list[str] = []
    rev, key = 0, ""
    async with bank.database.read() as conn:
        while page := await read_page(conn, rev, key, 2):
            keys += [found for _, found, _ in page]
            rev, key, _ = page[-1]
    assert keys == ["c0", "c2", "c3", "c4", "c1"]


async def test_what_a_running_transaction_could_still_precede_is_not_told(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    async with bank.database.begin() as writer:
        await writer.exec_driver_sql("UPDATE customers SET rev = pg_current_xact_id() WHERE customer_id = 'c1'")
        await bank.load("customers", [{"customer_id": "c2"}])
        async with bank.database.read() as conn:
            assert [key for _, key, _ in await read_page(conn, 0, "", 10)] == ["c1"]
    async with bank.database.read() as conn:
        assert {key for _, key, _ in await read_page(conn, 0, "", 10)} == {"c1", "c2"}
