"""Conditions on contacts (Q10) from the wire."""

from banyan.customer.v1 import customer_codes_pb2
from banyan.customer.v1 import customer_condition_pb2 as pb

from chassis import wire
from services.customer_svc.domain.conditions import ContactCondition, ContactCount, Permission, RoomLeft

_ALL = "ALL"


def contact_from_wire(sent: pb.ContactCondition, path: str, _currency: str) -> ContactCondition:
    """A condition on how he was contacted and how he may be."""
    return ContactCondition(
        counts=tuple(_count(count) for count in sent.counts),
        last_campaign_ids=tuple(sent.last_campaigns),
        last_outcomes=tuple(sent.last_outcomes),
        refused_within_days=sent.refused_within_days if sent.HasField("refused_within_days") else None,
        consents=tuple(_permission(consent) for consent in sent.consents),
        opt_outs=tuple(_permission(opt_out) for opt_out in sent.opt_outs),
        rooms=tuple(_room(room, f"{path}.rooms[{index}]") for index, room in enumerate(sent.rooms)),
    )


def _count(sent: pb.ContactCount) -> ContactCount:
    return ContactCount(
        sent.days,
        tuple(_channel(channel) for channel in sent.channels),
        sent.min if sent.HasField("min") else None,
        sent.max if sent.HasField("max") else None,
    )


def _permission(sent: pb.ContactPermission) -> Permission:
    return Permission(_channel(sent.channel), sent.category or _ALL)


def _room(sent: pb.ContactRoom, path: str) -> RoomLeft:
    at = wire.time_from_wire(sent.contact_time, f"{path}.contact_time") if sent.HasField("contact_time") else None
    return RoomLeft(_channel(sent.channel), sent.left_min or 1, sent.category or None, at=at)


def _channel(sent: customer_codes_pb2.ContactChannel) -> str:
    return customer_codes_pb2.ContactChannel.Name(sent).removeprefix("CONTACT_CHANNEL_") if sent else _ALL
