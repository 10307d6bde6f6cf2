"""Notes, attachments and relations between the wire and the values of customer_svc."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from banyan.customer.v1 import attachment_pb2, customer_pb2, note_pb2, relation_pb2

from chassis import names, wire
from chassis.caller import Caller
from chassis.errors import invalid_field
from chassis.paging import KeyPart
from services.customer_svc.domain.notes import Attachment, Document, Note
from services.customer_svc.domain.relations import NewRelation, Relation, Told
from services.customer_svc.rpc.convert import person_to_wire

_FEED, _MANUAL = relation_pb2.Relation.SOURCE_FEED, relation_pb2.Relation.SOURCE_MANUAL


def place_of(create_time: datetime, kept_id: str) -> list[KeyPart]:
    """Where a page ends."""
    return [create_time.astimezone(UTC).isoformat(), kept_id]


def place_from_key(key: tuple[KeyPart, ...] | None) -> tuple[datetime, str] | None:
    return None if key is None else (datetime.fromisoformat(str(key[0])), str(key[1]))


def check_mask(paths: Sequence[str]) -> None:
    """Refuses to change more of a note than its text."""
    for index, path in enumerate(paths):
        if path not in {"text", "*"}:
            raise invalid_field(f"update_mask.paths[{index}]", f"{path[:100]} is no field that can be changed")


def note_to_wire(note: Note) -> note_pb2.Note:
    return note_pb2.Note(
        name=f"{names.make('customers', note.customer_id)}/notes/{note.note_id}",
        text=note.text,
        author=names.make("staff", note.author_id),
        branch=names.make("branches", note.branch_id),
        etag=note.etag,
        create_time=wire.time_to_wire(note.create_time),
        update_time=wire.time_to_wire(note.update_time),
        delete_time=wire.time_to_wire(note.delete_time),
    )


def document_from_wire(sent: attachment_pb2.Attachment) -> Document:
    return Document(
        sent.file_name,
        sent.media_type,
        sent.size_bytes,
        sent.sha256,
        sent.uri,
        wire.date_from_wire_or_none(sent.retained_until_date, "attachment.retained_until_date"),
        sent.description,
    )


def attachment_to_wire(attachment: Attachment) -> attachment_pb2.Attachment:
    document = attachment.document
    return attachment_pb2.Attachment(
        name=f"{names.make('customers', attachment.customer_id)}/attachments/{attachment.attachment_id}",
        file_name=document.file_name,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        sha256=document.sha256,
        uri=document.uri,
        retained_until_date=wire.date_to_wire(document.retained_until_date),
        description=document.description,
        author=names.make("staff", attachment.author_id),
        branch=names.make("branches", attachment.branch_id),
        create_time=wire.time_to_wire(attachment.create_time),
        delete_time=wire.time_to_wire(attachment.delete_time),
    )


def relation_from_wire(customer_id: str, sent: relation_pb2.Relation, caller: Caller) -> NewRelation:
    """What somebody wants to tell of a customer."""
    other_id = names.parse_one("customers", sent.related_customer, "relation.related_customer")
    reverse = sent.direction == customer_pb2.RelatedPerson.DIRECTION_CUSTOMER
    first, second = (other_id, customer_id) if reverse else (customer_id, other_id)
    return NewRelation(first, second, sent.kind, sent.reason.strip(), caller.staff_id, caller.branch_id)


def relation_to_wire(customer_id: str, relation: Relation) -> relation_pb2.Relation:
    person, told = person_to_wire(relation.person), relation.told
    return relation_pb2.Relation(
        name=f"{names.make('customers', customer_id)}/relations/{relation.relation_id}",
        kind=person.kind,
        related_customer=person.customer,
        direction=person.direction,
        display_name=person.display_name,
        mobile=person.mobile,
        source=_MANUAL if told else _FEED,
        **(_told_to_wire(told) if told else {}),
    )


def _told_to_wire(told: Told) -> dict[str, Any]:
    return {
        "reason": told.reason,
        "author": names.make("staff", told.author_id),
        "create_time": wire.time_to_wire(told.create_time),
        "end_time": wire.time_to_wire(told.end_time),
        "end_actor": told.end_actor,
        "end_reason": told.end_reason,
    }
