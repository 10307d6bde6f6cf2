"""What campaign_svc tells of contact room arrives whole."""

from datetime import UTC, datetime, timedelta

from banyan.campaign.v1 import contact_pb2, contact_room_pb2, contact_room_service_pb2
from google.protobuf.duration_pb2 import Duration

from chassis import wire
from policy.contact_room import Cap, Instant
from services.customer_svc.domain.contact_room import ContactPolicy, ContactRoom
from services.customer_svc.jobs.follow import store_contact_rooms
from services.customer_svc.peers.contact_rooms import change_from_wire
from services.customer_svc.store import contact_rooms

NOON = datetime(2026, 6, 30, 4, tzinfo=UTC)
Change = contact_room_service_pb2.ContactRoomChange


def told_room(customer_id: str) -> Change:
    room = contact_room_pb2.ContactRoom(
        name=f"customers/{customer_id}/contactRoom",
        instants=[
            contact_room_pb2.ContactInstant(
                channel=contact_pb2.CHANNEL_SMS,
                contact_time=wire.time_to_wire(NOON),
                message_class=contact_pb2.MESSAGE_CLASS_MARKETING,
                category="loan",
                campaign="m1",
                other_person=True,
            )
        ],
        last_contact_time=wire.time_to_wire(NOON),
        last_campaign="m1",
        last_outcome="bought",
        do_not_contact_until_time=wire.time_to_wire(NOON),
        opt_out_keys=["SMS/ALL"],
        consent_keys=["CALL/ALL"],
        withdrawn_consent_keys=["PUSH/loan"],
    )
    return Change(contact_room=room)


def told_policy() -> Change:
    cap = contact_room_pb2.ContactCap(
        rule="R",
        limit=0,
        window=Duration(seconds=86_400),
        channels=[contact_pb2.CHANNEL_SMS],
        message_classes=[contact_pb2.MESSAGE_CLASS_MARKETING],
        category="loan",
        per=contact_room_pb2.ContactCap.PER_NUMBER,
        counted=contact_room_pb2.ContactCap.COUNTED_CAMPAIGN_ENTRIES,
    )
    open_ended = contact_room_pb2.ContactCap(rule="S", per="PER_PERSON", counted="COUNTED_CONTACTS")
    policy = contact_room_pb2.ContactPolicy(
        name="contactPolicies/7", start_time=wire.time_to_wire(NOON), consent_required=True, caps=[cap, open_ended]
    )
    return Change(contact_policy=policy)


ROOM = ContactRoom(
    "c1",
    instants=(Instant("SMS", NOON, "MARKETING", "loan", "m1", other_person=True),),
    last_contact_time=NOON,
    last_campaign_id="m1",
    last_outcome="bought",
    do_not_contact_until_time=NOON,
    opt_out_keys=("SMS/ALL",),
    consent_keys=("CALL/ALL",),
    withdrawn_consent_keys=("PUSH/loan",),
)
CAPS = (
    Cap(
        "R",
        0,
        timedelta(days=1),
        frozenset({"SMS"}),
        frozenset({"MARKETING"}),
        "loan",
        per="NUMBER",
        counted="CAMPAIGN_ENTRIES",
    ),
    Cap("S", None, None, frozenset(), frozenset()),
)
POLICY = ContactPolicy(7, NOON, consent_required=True, caps=CAPS)


def test_a_room_and_a_policy_are_read_whole() -> None:
    assert change_from_wire(told_room("c1")) == ROOM
    assert change_from_wire(told_policy()) == POLICY
    assert change_from_wire(Change()) is None, "of a kind that this version does not know"


async def test_what_was_followed_is_stored_whole_and_forgotten_whole(bank) -> None:
    async with bank.database.begin() as tx:
        await store_contact_rooms(tx, [told_room("c1"), told_room("c2"), told_policy()], 1)
        assert await contact_rooms.read_policy(tx) == POLICY
        found = await contact_rooms.read_contact_rooms(tx, ["c1", "c3"])
        assert found["c3"] == ContactRoom("c3")
        assert found["c1"].instants == list(ROOM.instants)
        assert (found["c1"].opt_out_keys, found["c1"].last_outcome) == (["SMS/ALL"], "bought")
        gone = Change(contact_room=contact_room_pb2.ContactRoom(name="customers/c1/contactRoom"), gone=True)
        await store_contact_rooms(tx, [gone], 1)
        found = await contact_rooms.read_contact_rooms(tx, ["c1", "c2"])
        assert (len(found["c1"].instants), len(found["c2"].instants)) == (0, 1)


async def test_a_new_start_of_the_feed_drops_what_it_does_not_repeat(bank) -> None:
    async with bank.database.begin() as tx:
        await store_contact_rooms(tx, [told_room("c1"), told_room("c2"), told_policy()], 1)
        await store_contact_rooms(tx, [told_room("c2"), told_policy()], 2)
        await contact_rooms.drop_older(tx, 2)
        found = await contact_rooms.read_contact_rooms(tx, ["c1", "c2"])
        assert (len(found["c1"].instants), len(found["c2"].instants)) == (0, 1)
        assert (await contact_rooms.read_policy(tx)) == POLICY
