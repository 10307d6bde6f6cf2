"""Customers' room for contacts and the policies that limit it, as campaign_svc tells them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast

import grpc
from banyan.campaign.v1 import (
    contact_pb2,
    contact_room_pb2,
    contact_room_service_pb2,
    contact_room_service_pb2_grpc,
)

from chassis import names, wire
from services.customer_svc.domain.contact_room import Cap, ContactPolicy, ContactRoom, Counted, Instant

# What the feed carries: jobs hand it on without looking into it.
ContactRoomChange = contact_room_service_pb2.ContactRoomChange

CONTACT_ROOM_SERVICE = "banyan.campaign.v1.ContactRoomService"


def watch_contact_rooms(
    channel: grpc.aio.Channel, resume_token: str
) -> AsyncIterator[contact_room_service_pb2.WatchContactRoomChangesResponse]:
    """Every customer's room and every policy, then each change."""
    stub = contact_room_service_pb2_grpc.ContactRoomServiceStub(channel)
    request = contact_room_service_pb2.WatchContactRoomChangesRequest(resume_token=resume_token)
    return stub.WatchContactRoomChanges(request)


def change_from_wire(change: contact_room_service_pb2.ContactRoomChange) -> ContactRoom | ContactPolicy | None:
    """What changed, as it is now; None for a kind that this version does not know."""
    match change.WhichOneof("item"):
        case "contact_room":
            return _room(change.contact_room, gone=change.gone)
        case "contact_policy":
            return _policy(change.contact_policy, gone=change.gone)
        case _:
            return None


def _room(room: contact_room_pb2.ContactRoom, *, gone: bool) -> ContactRoom:
    (customer_id,) = names.parse("customers/*/contactRoom", room.name)
    if gone:
        return ContactRoom(customer_id, gone=True)
    return ContactRoom(
        customer_id,
        instants=tuple(_instant(instant) for instant in room.instants),
        last_contact_time=_time(room, "last_contact_time"),
        last_campaign_id=room.last_campaign or None,
        last_outcome=room.last_outcome or None,
        last_refusal_time=_time(room, "last_refusal_time"),
        do_not_contact_until_time=_time(room, "do_not_contact_until_time"),
        opt_out_keys=tuple(room.opt_out_keys),
        consent_keys=tuple(room.consent_keys),
        withdrawn_consent_keys=tuple(room.withdrawn_consent_keys),
        policy_version=room.policy_version,
    )


def _instant(instant: contact_room_pb2.ContactInstant) -> Instant:
    return Instant(
        channel=contact_pb2.Channel.Name(instant.channel).removeprefix("CHANNEL_"),
        at=wire.time_from_wire(instant.contact_time, "contact_time"),
        message_class=contact_pb2.MessageClass.Name(instant.message_class).removeprefix("MESSAGE_CLASS_"),
        category=instant.category or None,
        campaign_id=instant.campaign or None,
        other_person=instant.other_person,
    )


def _policy(policy: contact_room_pb2.ContactPolicy, *, gone: bool) -> ContactPolicy:
    version = int(names.parse_one("contactPolicies", policy.name))
    if gone:
        return ContactPolicy(version, None, gone=True)
    return ContactPolicy(
        version, _time(policy, "start_time"), policy.consent_required, tuple(_cap(cap) for cap in policy.caps)
    )


def _cap(cap: contact_room_pb2.ContactCap) -> Cap:
    counted = contact_room_pb2.ContactCap.Counted.Name(cap.counted)
    return Cap(
        rule_id=cap.rule,
        limit=cap.limit if cap.HasField("limit") else None,
        length=timedelta(seconds=cap.window.seconds) if cap.HasField("window") else None,
        channels=frozenset(contact_pb2.Channel.Name(each).removeprefix("CHANNEL_") for each in cap.channels),
        message_classes=frozenset(
            contact_pb2.MessageClass.Name(each).removeprefix("MESSAGE_CLASS_") for each in cap.message_classes
        ),
        category=cap.category or None,
        per="NUMBER" if cap.per == contact_room_pb2.ContactCap.PER_NUMBER else "PERSON",
        counted=cast("Counted", counted.removeprefix("COUNTED_")),
    )


def _time(message: Any, field: str) -> datetime | None:  # noqa: ANN401 -- any message with such a field
    return wire.time_from_wire(getattr(message, field), field) if message.HasField(field) else None
