"""The room that SQL finds for all customers is the room that the policy finds for one."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from chassis.sql.engine import Database
from policy.contact_room import BANK_ZONE, default_caps
from services.customer_svc.domain.conditions import RoomLeft
from services.customer_svc.domain.contact_room import Cap, ContactPolicy, ContactRoom, Instant, Wanted, room_for
from services.customer_svc.store.contact_room_conditions import room_holds
from services.customer_svc.store.contact_rooms import put_contact_rooms, read_contact_rooms
from services.customer_svc.store.tables import customers

NOON = datetime(2026, 6, 30, 12, tzinfo=BANK_ZONE)
CUSTOMERS = ("c1", "c2", "c3", "c4")
CATEGORIES = (None, "loan", "card")

channels = st.sampled_from(["SMS", "CALL", "PUSH", "VISIT"])
classes = st.sampled_from(["MARKETING", "MARKETING", "RELATIONSHIP", "SERVICE"])
past = st.integers(-30, 0)
instants = st.builds(
    Instant,
    channel=channels,
    # Hours that meet each other, the ends of windows and midnights; often nothing lies ahead.
    at=st.one_of(past, past, st.integers(-30, 30)).map(lambda steps: NOON + timedelta(hours=6 * steps)),
    message_class=classes,
    category=st.sampled_from(CATEGORIES),
    campaign_id=st.sampled_from([None, "m1", "m2", "m3"]),
    other_person=st.booleans(),
)
keys = st.lists(
    st.sampled_from([f"{way}/{about}" for way in ("SMS", "CALL", "ALL") for about in ("loan", "ALL")]), max_size=2
).map(tuple)
rooms = st.builds(
    ContactRoom,
    customer_id=st.just(""),
    instants=st.lists(instants, max_size=6).map(tuple),
    do_not_contact_until_time=st.one_of(
        st.none(), st.integers(-1, 1).map(lambda seconds: NOON + timedelta(seconds=seconds))
    ),
    opt_out_keys=st.one_of(st.just(()), st.just(()), keys),
    consent_keys=keys,
    withdrawn_consent_keys=st.one_of(st.just(()), st.just(()), keys),
)
caps = st.builds(
    Cap,
    rule_id=st.just("CAP"),
    limit=st.one_of(st.none(), st.integers(0, 3)),
    length=st.one_of(st.none(), st.integers(1, 40).map(lambda steps: timedelta(hours=3 * steps))),
    channels=st.one_of(st.just(frozenset[str]()), st.frozensets(channels, min_size=1)),
    message_classes=st.frozensets(classes, min_size=1),
    category=st.sampled_from(CATEGORIES),
    per=st.sampled_from(["PERSON", "NUMBER"]),
    counted=st.sampled_from(["CONTACTS", "CONTACTS", "CONTACTS_OF_CAMPAIGN", "CAMPAIGN_ENTRIES", "CAMPAIGNS_AT_ONCE"]),
)
policies = st.builds(
    ContactPolicy,
    version=st.just(1),
    start_time=st.just(NOON),
    consent_required=st.booleans(),
    caps=st.one_of(st.just(default_caps()), st.lists(caps, max_size=3).map(tuple)),
)
asked = st.builds(
    RoomLeft,
    channel=channels,
    least=st.integers(1, 3),
    category=st.sampled_from(CATEGORIES),
    message_class=classes,
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rooms, min_size=2, max_size=len(CUSTOMERS)), policies, asked)
async def test_room_for_all_is_room_for_each(customer_database: Database, told, policy, wanted) -> None:
    named = [replace(room, customer_id=name) for name, room in zip(CUSTOMERS, told, strict=False)]
    asked_of_one = Wanted(wanted.channel, wanted.message_class, wanted.category)
    # Of the last one nothing was ever told.
    expected = set()
    for room in (*named[:-1], ContactRoom(named[-1].customer_id)):
        left = room_for(asked_of_one, NOON, room, policy).left
        if left is None or left >= wanted.least:
            expected.add(room.customer_id)
    async with customer_database.begin() as tx:
        await tx.execute(customers.delete())
        for room in named:
            await tx.execute(
                customers.insert().values(
                    customer_id=room.customer_id, customer_type="INDIVIDUAL", state="ACTIVE", gone=False, tag_codes=[]
                )
            )
        gone = [ContactRoom(name, gone=True) for name in CUSTOMERS]
        await put_contact_rooms(tx, gone, 1)
        await put_contact_rooms(tx, named[:-1], 1)
        stored = await read_contact_rooms(tx, [room.customer_id for room in named])
        found = await tx.execute(select(customers.c.customer_id).where(room_holds(wanted, NOON, policy)))
        assert set(found.scalars()) == expected
    for room in named[:-1]:
        assert Counter(stored[room.customer_id].instants) == Counter(room.instants)
        assert stored[room.customer_id].opt_out_keys == list(room.opt_out_keys)
