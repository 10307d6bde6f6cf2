"""Alerts and transactions follow customers who are made one by a merge, and two by its undo."""

from datetime import UTC, date, datetime

from sqlalchemy import text

from chassis.sql.engine import Database
from services.alert_svc.domain.followed import CustomerFact
from services.alert_svc.store import followed

DAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 2, tzinfo=UTC)


async def put(database: Database, *statements: str) -> None:
    async with database.begin() as tx:
        for statement in statements:
            await tx.execute(text(statement), {"day": DAY, "now": NOW} if ":day" in statement else {})


def alert(customer_id: str, kind: str, count: int, state: str = "UNREAD") -> str:
    return f"""INSERT INTO alerts VALUES ('{customer_id}', :day, '{kind}', '', 'a-{customer_id}-{kind}', '{state}',
      {count}, {count}00, 100, 50, :now, :now, :now, '1')"""


def booking(customer_id: str, transaction_id: str, account_id: str) -> str:
    return f"""INSERT INTO transactions VALUES ('{customer_id}', :now, '{transaction_id}', '{account_id}', 'b1', :day,
      'IN', 5, '', '', '', false, false, '', false)"""


async def tell(database: Database, *facts: CustomerFact) -> None:
    async with database.begin() as tx:
        await followed.store_customers(tx, facts, 1)


def lives(customer_id: str, *account_ids: str) -> CustomerFact:
    return CustomerFact(customer_id, customer_type="INDIVIDUAL", accounts=tuple((one, "b1") for one in account_ids))


def merged(customer_id: str, into: str) -> CustomerFact:
    return CustomerFact(customer_id, gone=True, merged_into=into)


async def rows(database: Database, asked: str) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(asked))]


ALERTS = "SELECT customer_id, kind, state, transaction_count, sum_minor FROM alerts ORDER BY 1, 2"
BOOKINGS = "SELECT customer_id, transaction_id FROM transactions ORDER BY 2"


async def test_open_alerts_follow_to_the_survivor_and_back(database: Database) -> None:
    await tell(database, lives("s", "as"), lives("t", "at"))
    await put(database, alert("s", "LARGE_INFLOW", 1, "HANDLED"), alert("t", "LARGE_INFLOW", 2))
    await put(database, alert("t", "LARGE_OUTFLOW", 3), booking("t", "x1", "at"))
    before = await rows(database, ALERTS)
    for _ in range(2):
        await tell(database, merged("t", "s"), lives("s", "as", "at"))
        assert await rows(database, ALERTS) == [
            ("s", "LARGE_INFLOW", "UNREAD", 3, 300),
            ("s", "LARGE_OUTFLOW", "UNREAD", 3, 300),
        ]
        assert await rows(database, "SELECT customer_id, account_id FROM accounts ORDER BY 2") == [
            ("s", "as"),
            ("s", "at"),
        ]
    await put(database, booking("s", "x2", "at"), booking("s", "x3", "as"))
    await tell(database, lives("t", "at"), lives("s", "as"))
    assert await rows(database, ALERTS) == before
    assert await rows(database, BOOKINGS) == [("t", "x1"), ("t", "x2"), ("s", "x3")]


async def test_a_chain_is_followed_in_whatever_order_it_is_told(database: Database) -> None:
    await tell(database, lives("s"), lives("t"), lives("u"))
    await put(database, *(alert(one, "LARGE_INFLOW", 1) for one in "stu"))
    before = await rows(database, ALERTS)
    await tell(database, merged("t", "s"))
    await tell(database, merged("s", "u"), merged("t", "u"))
    assert await rows(database, ALERTS) == [("u", "LARGE_INFLOW", "UNREAD", 3, 300)]
    await tell(database, merged("t", "s"), lives("s"))
    assert [row[3] for row in await rows(database, ALERTS)] == [2, 1]
    await tell(database, lives("t"))
    assert await rows(database, ALERTS) == before
