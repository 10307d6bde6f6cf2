"""The ledger's first verbs on the real PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from chassis import clock
from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from policy.visibility import OwnerRow, Viewer
from services.campaign_svc.domain.contacts import Channel, Made, MessageClass, State
from services.campaign_svc.domain.followed import CustomerFact, OrgFact, OwnershipFact
from services.campaign_svc.domain.viewing import Reading
from services.campaign_svc.store import followed
from services.campaign_svc.store.contacts import Wanted
from services.campaign_svc.usecases.contacts import get_contact, list_contacts, record_contact

HEAD = Viewer("h1", "b1", frozenset({"BRANCH_HEAD"}))
MANAGER = Viewer("m1", "b1", frozenset({"MANAGER"}))
REGION = Viewer("h0", "b0", frozenset({"BRANCH_HEAD"}))
SECONDARY = Viewer("h2", "b2", frozenset({"BRANCH_HEAD"}))
STRANGER = Viewer("h3", "b3", frozenset({"BRANCH_HEAD"}))
TELLER = Viewer("t1", "b1", frozenset({"TELLER"}))
OTHER_SYSTEM = Viewer("banyan/cli", "", frozenset({"SERVICE"}))
CALL = Made("c1", Channel.CALL, MessageClass.SERVICE, datetime(2026, 6, 30, 4, tzinfo=UTC), None, None, "reached")


def reading(viewer: Viewer) -> Reading:
    return Reading(viewer, "request-1", "test")


@pytest.fixture
async def bank(database: Database) -> Database:
    """Customer c1 is b1's (manager m1), secondarily b2's; c2 has no owner; b1 lies below b0."""
    async with database.begin() as tx:
        await followed.store_customers(tx, [CustomerFact("c1"), CustomerFact("c2")], 1)
        owners = (OwnerRow("b1", "PRIMARY", "m1"), OwnerRow("b2", "SECONDARY", None))
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners)], 1)
        await followed.store_org(tx, [OrgFact("b0"), OrgFact("b1", "b0"), OrgFact("b2"), OrgFact("b3")], 1)
    return database


@pytest.mark.parametrize("viewer", [HEAD, MANAGER, REGION, SECONDARY, OTHER_SYSTEM])
async def test_a_contact_recorded_by_an_owner_is_kept_and_listed(bank: Database, viewer: Viewer) -> None:
    async with bank.begin() as tx:
        made = await record_contact(tx, viewer, CALL)
        assert (made.made, made.state, made.actor) == (CALL, State.ACCEPTED, viewer.staff_id)
        assert await list_contacts(tx, reading(viewer), Wanted("c1"), None, 10) == [made]
        assert await get_contact(tx, reading(viewer), "c1", made.contact_id) == made


async def test_a_private_manager_records_and_sees_contacts_as_the_primary_side(bank: Database) -> None:
    private = Viewer("pm", "office", frozenset({"PRIVATE_MANAGER"}))
    async with bank.begin() as tx:
        with pytest.raises(Refused):
            await list_contacts(tx, reading(private), Wanted("c1"), None, 10)
        owners = (OwnerRow("b1", "PRIMARY", "m1", "pm"), OwnerRow("b2", "SECONDARY", None))
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners)], 1)
        made = await record_contact(tx, private, CALL)
        assert await list_contacts(tx, reading(private), Wanted("c1"), None, 10) == [made]
        with pytest.raises(Refused):
            await list_contacts(tx, reading(replace(private, staff_id="pm2")), Wanted("c1"), None, 10)


@pytest.mark.parametrize(
    ("viewer", "customer"),
    [(STRANGER, "c1"), (TELLER, "c1"), (HEAD, "c2"), (HEAD, "nobody"), (OTHER_SYSTEM, "nobody")],
)
async def test_a_hidden_customer_and_an_absent_one_get_the_same_no(
    bank: Database, viewer: Viewer, customer: str
) -> None:
    async with bank.begin() as tx:
        with pytest.raises(Refused) as recorded:
            await record_contact(tx, viewer, replace(CALL, customer_id=customer))
        with pytest.raises(Refused) as listed:
            await list_contacts(tx, reading(viewer), Wanted(customer), None, 10)
        with pytest.raises(Refused) as got:
            await get_contact(tx, reading(viewer), customer, "c")
    answers = {(no.value.kind, no.value.reason, no.value.message) for no in (recorded, listed, got)}
    assert answers == {(Kind.NOT_FOUND, "NOT_FOUND", "it does not exist, or you may not see it")}


async def test_a_contact_of_the_future_is_refused(bank: Database) -> None:
    async with bank.begin() as tx:
        soon = replace(CALL, contact_time=clock.now() + timedelta(minutes=4))
        assert (await record_contact(tx, HEAD, soon)).made == soon
        with pytest.raises(Refused, match="five minutes ahead") as refused:
            await record_contact(tx, HEAD, replace(CALL, contact_time=clock.now() + timedelta(minutes=6)))
    assert refused.value.reason == "CONTACT_TIME_AHEAD"


async def test_a_contact_about_an_unknown_product_is_refused(bank: Database) -> None:
    async with bank.begin() as tx:
        with pytest.raises(Refused, match=r"contact\.product") as refused:
            await record_contact(tx, HEAD, replace(CALL, product_id="none"))
    assert refused.value.reason == "REFERENCE_UNKNOWN"


async def test_contacts_are_paged_the_youngest_first_and_filtered(bank: Database) -> None:
    times = [CALL.contact_time + timedelta(days=day) for day in range(5)]
    async with bank.begin() as tx:
        for number, time in enumerate(times):
            channel = Channel.SMS if number % 2 else Channel.CALL
            await record_contact(tx, HEAD, replace(CALL, contact_time=time, channel=channel))
        first = await list_contacts(tx, reading(HEAD), Wanted("c1"), None, 3)
        last = (first[-1].made.contact_time, first[-1].contact_id)
        rest = await list_contacts(tx, reading(HEAD), Wanted("c1"), last, 3)
        assert [one.made.contact_time for one in [*first, *rest]] == times[::-1]
        calls = await list_contacts(tx, reading(HEAD), Wanted("c1", Channel.CALL, times[1], times[4]), None, 10)
        assert [one.made.contact_time for one in calls] == [times[2]]


async def test_who_read_a_customers_contacts_is_remembered(bank: Database) -> None:
    async with bank.begin() as tx:
        made = await record_contact(tx, HEAD, CALL)
        await list_contacts(tx, reading(MANAGER), Wanted("c1"), None, 10)
        await get_contact(tx, reading(HEAD), "c1", made.contact_id)
        rows = await tx.execute(text("SELECT caller, branch_id, customer_id FROM audit ORDER BY audit_id"))
    assert [tuple(row) for row in rows] == [("m1", "b1", "c1"), ("h1", "b1", "c1")]


async def test_a_secondary_side_learns_that_another_branch_called_and_nothing_of_what_about(bank: Database) -> None:
    about = replace(CALL, campaign_id="spring", outcome="reached")
    async with bank.begin() as tx:
        theirs = await record_contact(tx, MANAGER, about)
        own = await record_contact(tx, SECONDARY, replace(about, contact_time=CALL.contact_time + timedelta(hours=1)))
        assert await list_contacts(tx, reading(HEAD), Wanted("c1"), None, 10) == [own, theirs]
        seen = await list_contacts(tx, reading(SECONDARY), Wanted("c1"), None, 10)
        got = await get_contact(tx, reading(SECONDARY), "c1", theirs.contact_id)
    assert seen[0] == own
    assert seen[1] == got
    assert (got.made.campaign_id, got.made.outcome, got.actor) == (None, None, "")
    assert (got.made.channel, got.made.contact_time) == (CALL.channel, CALL.contact_time)
