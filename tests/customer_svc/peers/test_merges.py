"""A merge and its undo through the real parts of all services, each over its own database."""

import asyncio
from pathlib import Path

import pytest
from banyan.assignment.v1 import merge_service_pb2 as assignment_pb
from banyan.assignment.v1 import merge_service_pb2_grpc as assignment_grpc
from banyan.campaign.v1 import merge_service_pb2_grpc as campaign_grpc
from sqlalchemy import text

import services.campaign_svc.store
from chassis.caller import PUBLIC
from chassis.feed import Wakeups
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from chassis.sql.migrations import migrate
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.rpc.merge_service import MergeServicer as AssignmentServicer
from services.assignment_svc.store import MIGRATIONS as ASSIGNMENT
from services.campaign_svc.rpc.merge_service import MergeServicer as CampaignServicer
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.merges import Draft, MergeOwner, Person, State, Verb
from services.customer_svc.jobs.merges import run_some
from services.customer_svc.peers.merges import ASSIGNMENT_MERGE_SERVICE, CAMPAIGN_MERGE_SERVICE, MergePeers
from services.customer_svc.store import merges
from services.customer_svc.usecases.run_merges import Peers

CAMPAIGN = Path(services.campaign_svc.store.__file__).parent / "migrations"
ONE = Merging("m1", "s", "t")
HEAD = Person("h1", "b1", leads=True, subtree=frozenset({"b1"}), at_top=False)
FACTS = """
INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,
  relation_since_date, customer_state)
VALUES ('s', 'b1', false, false, true, 5, '2020-01-01', 'ACTIVE'),
  ('t', 'b2', false, false, true, 50, '2020-01-01', 'ACTIVE')"""
CONTACT = """
INSERT INTO contacts (customer_id, contact_time, contact_id, channel, message_class, state)
VALUES (:who, '2026-06-01', :id, 'SMS', 'MARKETING', 'DELIVERED')"""


async def rows(database, asked):
    async with database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(asked))]


@pytest.fixture(scope="module")
async def others(postgres):
    """The databases of assignment_svc and campaign_svc: s is owned by b1 and t by b2, each with a contact."""
    made = []
    for name, folder in (("merge_assignment", ASSIGNMENT), ("merge_campaign", CAMPAIGN)):
        url = postgres.create(name)
        await asyncio.to_thread(migrate, url, folder)
        made.append(Database(url))
    assignment, campaign = made
    async with assignment.begin() as tx:
        await tx.execute(text(FACTS))
        await tx.execute(text("UPDATE allocation_day SET facts_date = '2026-06-30', business_date = '2026-06-30'"))
    async with campaign.begin() as tx:
        await tx.execute(text(CONTACT), [{"who": who, "id": f"c{who}"} for who in "st"])
    yield assignment, campaign
    for database in made:
        await database.close()


@pytest.fixture
async def peers(others, tmp_path):
    signed_in = SignedIn(tmp_path)
    assignment, campaign = others
    wakeups = Wakeups(None)
    served = [
        Served(
            ASSIGNMENT_MERGE_SERVICE,
            assignment_grpc.add_MergeServiceServicer_to_server,
            AssignmentServicer(assignment, wakeups),
        ),
        Served(
            CAMPAIGN_MERGE_SERVICE,
            campaign_grpc.add_MergeServiceServicer_to_server,
            CampaignServicer(campaign, wakeups),
        ),
    ]
    names = [f"{ASSIGNMENT_MERGE_SERVICE}/{one}" for one in ("MergeOwnership", "UndoMergeOwnership")]
    names += [f"{CAMPAIGN_MERGE_SERVICE}/{one}" for one in ("MergeContacts", "UndoMergeContacts")]
    allowed = {f"/{name}": PUBLIC for name in names}
    async with in_process(app_of(served, allowed, signed_in), tmp_path) as channel:
        yield MergePeers(channel, channel)
    await wakeups.close()


def test_the_contracts_are_those_that_are_asked():
    methods = assignment_pb.DESCRIPTOR.services_by_name["MergeService"].methods_by_name
    assert set(methods) == {"MergeOwnership", "UndoMergeOwnership"}


async def test_a_forecast_stores_nothing(peers, others):
    assert await peers.owners_after(ONE) == [
        MergeOwner("b2", primary=True, manager_id=None),
        MergeOwner("b1", primary=False, manager_id=None),
    ]
    assert await peers.contact_count(ONE) == 1
    assert await rows(others[0], "SELECT count(*) FROM merged_customers") == [(0,)]


async def test_a_merge_goes_through_all_services_and_back(bank, peers, others):
    assignment, campaign = others

    async def follow(customer_ids="st"):
        """What the feed of ownership brings."""
        found = await rows(assignment, "SELECT customer_id, branch_id, side FROM owner")
        owners = {
            one: [Owner(place, side, None, None) for who, place, side in found if who == one] for one in customer_ids
        }
        await bank.own(owners)

    async def undo_ownership(merging):
        answer = await peers.undo_ownership(merging)
        await follow()
        return answer

    asked = Peers(peers.merge_ownership, undo_ownership, peers.merge_contacts, peers.undo_contacts)
    await bank.load("customers", [{"customer_id": one} for one in "st"])
    await bank.load("accounts", [{"account_id": f"a{one}", "customer_id": one, "branch_id": "b1"} for one in "st"])
    await follow()
    async with bank.database.begin() as tx:
        await merges.add(tx, "m1", Draft("s", "t", "one"), HEAD)
        merge = await merges.get(tx, "m1")
        assert merge is not None
        await merges.record(tx, merge, (Verb.APPROVE, "h2", frozenset({"b1"}), ""), State.RUNNING)
    assert await run_some(bank.database, asked) == (1, 0)
    await follow()
    assert await rows(bank.database, "SELECT customer_id, branch_id FROM owners WHERE side = 'PRIMARY'") == [
        ("s", "b2")
    ]
    assert await rows(campaign, "SELECT DISTINCT customer_id FROM contacts") == [("s",)]
    async with bank.database.begin() as tx:
        merge = await merges.get(tx, "m1")
        assert merge is not None
        await merges.record(tx, merge, (Verb.UNDO, "h2", frozenset({"b1"}), ""), State.UNDOING)
    assert await run_some(bank.database, asked) == (1, 0)
    assert await rows(bank.database, "SELECT customer_id, branch_id FROM owners ORDER BY 1") == [
        ("s", "b1"),
        ("t", "b2"),
    ]
    assert await rows(campaign, "SELECT customer_id, contact_id FROM contacts ORDER BY 2") == [("s", "cs"), ("t", "ct")]
    assert await rows(bank.database, "SELECT customer_id, account_id FROM accounts ORDER BY 1") == [
        ("s", "as"),
        ("t", "at"),
    ]
