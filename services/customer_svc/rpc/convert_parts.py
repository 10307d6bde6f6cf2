"""What other services tell of a customer, on the wire."""

from collections.abc import Iterable
from typing import Any

from banyan.customer.v1 import customer_pb2

from chassis import names, wire
from services.customer_svc.domain.contact_room import Room, Standing
from services.customer_svc.domain.parts import Alert, Contact, Missing, OwnershipPeriod, Parts, Task
from services.customer_svc.rpc.convert_business import money

_KEYS_MAX = 200


def parts_to_wire(parts: Parts, currency: str) -> dict[str, Any]:
    """The fields of a customer that other services tell."""
    return {
        "ownership_periods": map(_period_to_wire, parts.ownership_periods),
        "contacts": map(_contact_to_wire, parts.contacts),
        "alerts": [_alert_to_wire(alert, currency) for alert in parts.alerts],
        "tasks": map(_task_to_wire, parts.tasks),
        "missing_parts": map(missing_to_wire, parts.missing),
    }


def missing_to_wire(missing: Missing) -> customer_pb2.MissingPart:
    return customer_pb2.MissingPart(part=missing.part, reason=f"REASON_{missing.reason}")


def standing_to_wire(standing: Standing) -> customer_pb2.ContactStanding:
    room = standing.room
    consents = [(key, True) for key in room.consent_keys] + [(key, False) for key in room.withdrawn_consent_keys]
    return customer_pb2.ContactStanding(
        channel_rooms=[_room_to_wire(channel, left) for channel, left in standing.rooms],
        consents=[
            customer_pb2.ContactConsent(channel=channel, category=category, granted=granted)
            for key, granted in sorted(consents)[:_KEYS_MAX]
            for channel, category in _split([key])
        ],
        opt_outs=[
            customer_pb2.ContactOptOut(channel=channel, category=category)
            for channel, category in _split(sorted(room.opt_out_keys)[:_KEYS_MAX])
        ],
        last_contact_time=wire.time_to_wire(room.last_contact_time),
        last_refusal_time=wire.time_to_wire(room.last_refusal_time),
        do_not_contact_until_time=wire.time_to_wire(room.do_not_contact_until_time),
    )


def _split(keys: Iterable[str]) -> Iterable[tuple[str, str]]:
    for key in keys:
        channel, _, category = key.partition("/")
        yield f"CONTACT_CHANNEL_{'UNSPECIFIED' if channel == 'ALL' else channel}", category


def _room_to_wire(channel: str, room: Room) -> customer_pb2.ChannelRoom:
    return customer_pb2.ChannelRoom(
        channel=f"CONTACT_CHANNEL_{channel}", left=room.left, rule=room.rule_id, used=room.used, limit=room.limit
    )


def _period_to_wire(period: OwnershipPeriod) -> customer_pb2.CustomerOwnershipPeriod:
    return customer_pb2.CustomerOwnershipPeriod(
        owner=customer_pb2.CustomerOwner(
            branch=names.make("branches", period.branch_id),
            side=f"SIDE_{period.side}",
            manager=names.make("staff", period.manager_id),
            since_date=wire.date_to_wire(period.since_date),
            rule=period.rule,
        ),
        from_date=wire.date_to_wire(period.from_date),
        until_date=wire.date_to_wire(period.until_date),
        actor=period.actor,
    )


def _contact_to_wire(contact: Contact) -> customer_pb2.CustomerContact:
    return customer_pb2.CustomerContact(
        contact=contact.contact,
        channel=contact.channel,
        contact_time=wire.time_to_wire(contact.contact_time),
        state=contact.state,
        product=contact.product,
        campaign=contact.campaign,
        outcome=contact.outcome,
        actor=contact.actor,
    )


def _alert_to_wire(alert: Alert, currency: str) -> customer_pb2.CustomerAlert:
    return customer_pb2.CustomerAlert(
        alert=alert.alert,
        kind=alert.kind,
        state=alert.state,
        branch=names.make("branches", alert.branch_id),
        business_date=wire.date_to_wire(alert.business_date),
        event_time=wire.time_to_wire(alert.event_time),
        sum=money(alert.sum_minor, currency),
    )


def _task_to_wire(task: Task) -> customer_pb2.CustomerTask:
    return customer_pb2.CustomerTask(
        task=task.task,
        title=task.title,
        assignee=task.assignee,
        due_date=wire.date_to_wire(task.due_date),
        create_time=wire.time_to_wire(task.create_time),
    )
