"""A protection goes on while somebody is in touch with the customer, and is over for good once it went idle."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis.sql.engine import Database
from services.assignment_svc.domain.ownership import Hold, HoldKind, Side
from services.assignment_svc.store import protections
from services.assignment_svc.store.manual_changes import put_hold

DAY = date(2026, 6, 1)
IDLE_DAYS = 30


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("contacts", "last"),
    [([], None), ([1], 1), ([30], 30), ([31], None), ([10, 40], 40), ([10, 41], 10), ([10, 5], 10), ([-1], None)],
)
async def test_contacts_lengthen_a_protection_that_has_not_ended(
    database: Database, side: Side, contacts: list[int], last: int | None
) -> None:
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM ownership_hold WHERE customer_id = 'p1'"))
        await tx.execute(text("DELETE FROM row_protection WHERE customer_id = 'p1'"))
        await protections.protect_row(tx, "p1", "b1", side, DAY, 90, "change")
        for after in contacts:
            await protections.note_contact(tx, "p1", "b1", DAY + timedelta(days=after), IDLE_DAYS)
        (hold,) = await protections.holds_at(tx, "p1", "b1")
        assert hold.last_contact_date == (None if last is None else DAY + timedelta(days=last))
        await protections.end_protection(tx, "p1", "b1")


async def test_contacts_of_other_branches_and_locks_lengthen_nothing(database: Database) -> None:
    async with database.begin() as tx:
        await put_hold(tx, "p2", Hold("lock", HoldKind.LOCK, "b1", None, DAY, None), "a test")
        await protections.protect_row(tx, "p2", "b2", Side.PRIMARY, DAY, 90, "change")
        await protections.note_contact(tx, "p2", "b1", DAY + timedelta(days=1), IDLE_DAYS)
        holds = [*await protections.holds_at(tx, "p2", "b1"), *await protections.holds_at(tx, "p2", "b2")]
        assert [hold.last_contact_date for hold in holds] == [None, None]
        await tx.execute(text("DELETE FROM ownership_hold WHERE customer_id = 'p2'"))
