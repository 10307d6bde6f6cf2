"""Contact room and contact policies, from the values of campaign_svc to the wire."""

from banyan.campaign.v1 import contact_room_pb2, contact_room_service_pb2
from google.protobuf.duration_pb2 import Duration

from chassis import names, wire
from services.campaign_svc.domain.contact_room import Cap, ContactPolicy, ContactRoom, Instant


def room_to_wire(room: ContactRoom) -> contact_room_pb2.ContactRoom:
    return contact_room_pb2.ContactRoom(
        name=f"customers/{room.customer_id}/contactRoom",
        instants=[_instant_to_wire(instant) for instant in room.instants],
        last_contact_time=wire.time_to_wire(room.last_contact_time),
        last_campaign=room.last_campaign_id,
        last_outcome=room.last_outcome,
        last_refusal_time=wire.time_to_wire(room.last_refusal_time),
        opt_out_keys=room.opt_out_keys,
        consent_keys=room.consent_keys,
        withdrawn_consent_keys=room.withdrawn_consent_keys,
    )


def policy_to_wire(policy: ContactPolicy) -> contact_room_pb2.ContactPolicy:
    return contact_room_pb2.ContactPolicy(
        name=names.make("contactPolicies", str(policy.version)),
        start_time=wire.time_to_wire(policy.start_time),
        consent_required=policy.consent_required,
        caps=[_cap_to_wire(cap) for cap in policy.caps],
    )


def change_to_wire(item: ContactRoom | ContactPolicy) -> contact_room_service_pb2.ContactRoomChange:
    if isinstance(item, ContactPolicy):
        return contact_room_service_pb2.ContactRoomChange(contact_policy=policy_to_wire(item))
    return contact_room_service_pb2.ContactRoomChange(contact_room=room_to_wire(item), gone=item.gone)


def _instant_to_wire(instant: Instant) -> contact_room_pb2.ContactInstant:
    return contact_room_pb2.ContactInstant(
        channel=f"CHANNEL_{instant.channel}",
        contact_time=wire.time_to_wire(instant.at),
        message_class=f"MESSAGE_CLASS_{instant.message_class}",
        category=instant.category,
        campaign=instant.campaign_id,
        other_person=instant.other_person,
    )


def _cap_to_wire(cap: Cap) -> contact_room_pb2.ContactCap:
    return contact_room_pb2.ContactCap(
        rule=cap.rule_id,
        limit=cap.limit,
        window=None if cap.length is None else Duration(seconds=int(cap.length.total_seconds())),
        channels=[f"CHANNEL_{channel}" for channel in sorted(cap.channels)],
        message_classes=[f"MESSAGE_CLASS_{each}" for each in sorted(cap.message_classes)],
        category=cap.category,
        per=f"PER_{cap.per}",
        counted=f"COUNTED_{cap.counted}",
    )
