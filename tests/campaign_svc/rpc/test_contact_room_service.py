"""Contact room over the wire, behind the whole chain."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from banyan.campaign.v1 import contact_pb2, contact_room_pb2, contact_room_service_pb2_grpc
from banyan.campaign.v1 import contact_room_service_pb2 as pb
from sqlalchemy import text

from chassis.caller import Role
from chassis.feed import Publisher, Wakeups
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.testing import SignedIn, app_of, in_process
from policy.visibility import OwnerRow
from services.campaign_svc.domain.contacts import Channel, Made, MessageClass
from services.campaign_svc.domain.followed import CustomerFact, OwnershipFact
from services.campaign_svc.domain.viewing import Viewer
from services.campaign_svc.rpc.contact_room_service import ContactRoomServicer
from services.campaign_svc.rpc.permissions import ALLOWED
from services.campaign_svc.store import contact_rooms, followed
from services.campaign_svc.usecases.contacts import record_contact

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
SERVICE = Viewer("banyan/campaign_svc", "", frozenset({"SERVICE"}))
ROOM = pb.GetContactRoomRequest(name="customers/c1/contactRoom")


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def stub(
    database: Database, signed_in: SignedIn, tmp_path: Path
) -> AsyncIterator[contact_room_service_pb2_grpc.ContactRoomServiceStub]:
    """c1 is b1's, managed by m1, and b2's as well; he got one SMS of a campaign yesterday."""
    async with database.begin() as tx:
        await followed.store_customers(tx, [CustomerFact("c1")], 1)
        owners = (OwnerRow("b1", "PRIMARY", "m1"), OwnerRow("b2", "SECONDARY", "m2"))
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners)], 1)
        made = Made("c1", Channel.SMS, MessageClass.MARKETING, YESTERDAY, None, "spring", "bought")
        await record_contact(tx, SERVICE, made)
    rooms = Publisher(database, contact_rooms.FEED, contact_rooms.read_page, Wakeups(None))
    served = Served(
        "banyan.campaign.v1.ContactRoomService",
        contact_room_service_pb2_grpc.add_ContactRoomServiceServicer_to_server,
        ContactRoomServicer(database, rooms, b"s" * 32),
    )
    async with in_process(app_of([served], ALLOWED, signed_in, "campaign.banyan"), tmp_path) as opened:
        yield contact_room_service_pb2_grpc.ContactRoomServiceStub(opened)


async def test_a_room_is_told_as_far_as_each_side_may_see(stub, database: Database, signed_in: SignedIn) -> None:
    primary = signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")
    room: contact_room_pb2.ContactRoom = await stub.GetContactRoom(ROOM, metadata=primary)
    (instant,) = room.instants
    assert (instant.channel, instant.campaign) == (contact_pb2.CHANNEL_SMS, "spring")
    assert instant.contact_time.ToDatetime(UTC) == room.last_contact_time.ToDatetime(UTC) == YESTERDAY
    assert (room.last_campaign, room.last_outcome) == ("spring", "bought")

    secondary = signed_in.staff(Role.MANAGER, staff_id="m2", branch_id="b2")
    seen: contact_room_pb2.ContactRoom = await stub.GetContactRoom(ROOM, metadata=secondary)
    assert [each.contact_time for each in seen.instants] == [instant.contact_time]
    assert (seen.instants[0].campaign, seen.last_campaign, seen.last_outcome) == ("", "", "")
    async with database.read() as conn:
        told = await conn.execute(text("SELECT caller, customer_id FROM audit WHERE method = 'GetContactRoom'"))
        assert sorted(map(tuple, told)) == [("m1", "c1"), ("m2", "c1")]


async def test_a_hidden_customer_and_an_absent_one_get_the_same_no(stub, signed_in: SignedIn) -> None:
    answers = set[tuple[grpc.StatusCode, str | None]]()
    stranger = signed_in.staff(Role.MANAGER, staff_id="m9", branch_id="b9")
    for customer in ("c1", "nobody"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetContactRoom(
                pb.GetContactRoomRequest(name=f"customers/{customer}/contactRoom"), metadata=stranger
            )
        answers.add((refused.value.code(), refused.value.details()))
    assert {code for code, _ in answers} == {grpc.StatusCode.NOT_FOUND}
    assert len(answers) == 1


async def test_policies_are_listed_and_read(stub, signed_in: SignedIn) -> None:
    teller = signed_in.staff(Role.TELLER)
    listed: pb.ListContactPoliciesResponse = await stub.ListContactPolicies(
        pb.ListContactPoliciesRequest(page_size=1), metadata=teller
    )
    (policy,) = listed.contact_policies
    assert (policy.name, listed.next_page_token) == ("contactPolicies/1", "")
    caps = {cap.rule: cap for cap in policy.caps}
    assert caps["PERSON_SMS_365D"].limit == 24
    assert caps["PERSON_SMS_365D"].window.seconds == 365 * 86_400
    assert not caps["PERSON_SMS_DAY"].HasField("window")
    assert policy == await stub.GetContactPolicy(pb.GetContactPolicyRequest(name=policy.name), metadata=teller)
    for version in ("2", "x", "9" * 30):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetContactPolicy(pb.GetContactPolicyRequest(name=f"contactPolicies/{version}"), metadata=teller)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_services_follow_rooms_and_policies(stub, signed_in: SignedIn) -> None:
    watching = stub.WatchContactRoomChanges(pb.WatchContactRoomChangesRequest(), metadata=signed_in.service())
    names = set[str]()
    async for message in watching:
        for change in message.changes:
            item = change.contact_room if change.WhichOneof("item") == "contact_room" else change.contact_policy
            names.add(item.name)
        if message.caught_up:
            break
    watching.cancel()
    assert names == {"customers/c1/contactRoom", "contactPolicies/1"}
