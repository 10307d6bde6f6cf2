"""Relations: who sees them, tells of them, and ends what staff told. The feed's change only with the feed."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from services.customer_svc.domain.customer import masked_person
from services.customer_svc.domain.relations import (
    KINDS,
    MANUAL_MAX,
    REASON_LENGTH_MAX,
    NewRelation,
    Relation,
    feed_relation_id,
)
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import relations
from services.customer_svc.store.tag_sync import lock_customer
from services.customer_svc.usecases.must_see import must_see, note_reads
from services.customer_svc.usecases.note_writes import note_write
from services.customer_svc.usecases.scopes import read_scope

FIELD = "related_people"


async def list_relations(
    conn: AsyncConnection, reading: Reading, customer_id: str, secret: bytes, *, with_ended: bool
) -> Sequence[Relation]:
    """A customer's relations in both directions, each person as the viewer may see him; all are noted as read."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    scope = await read_scope(conn, reading.viewer)
    found = await relations.read_relations(conn, customer_id, scope, reading, with_ended=with_ended)
    return [
        Relation(
            one.told.relation_id
            if one.told
            else feed_relation_id(secret, one.customer_id, one.related_customer_id, one.person.kind),
            masked_person(one.person),
            one.told,
        )
        for one in found
    ]


async def get_relation(
    conn: AsyncConnection, reading: Reading, customer_id: str, relation_id: str, secret: bytes
) -> Relation:
    """One relation, also one that ended."""
    found = await list_relations(conn, reading, customer_id, secret, with_ended=True)
    relation = next((one for one in found if one.relation_id == relation_id), None)
    if relation is None:
        raise not_found()
    return relation


async def create_relation(
    tx: AsyncConnection, reading: Reading, parent_id: str, new: NewRelation, secret: bytes
) -> Relation:
    """Tells of a relation of `parent_id`, who is at one of its ends, to somebody of whom the viewer sees as much.

    Who knows of the other only that he exists would see his masked number by it, and stand on his page.
    """
    await must_see(tx, reading.viewer, parent_id, FIELD)
    check_new(new)
    other_id = new.customer_id if new.related_customer_id == parent_id else new.related_customer_id
    await must_see(tx, reading.viewer, other_id, FIELD)
    await lock_customer(tx, new.customer_id)
    taken, told = await relations.is_taken(tx, new)
    if taken:
        raise Refused(Kind.ALREADY_EXISTS, "RELATION_TAKEN", "this relation is told already")
    if told >= MANUAL_MAX:
        message = f"staff may tell {MANUAL_MAX} relations of a customer"
        raise Refused(Kind.EXHAUSTED, "RELATIONS_TOO_MANY", message, {"limit": str(MANUAL_MAX)})
    relation_id = await relations.add(tx, new)
    for customer_id in (new.customer_id, new.related_customer_id):
        await note_write(tx, reading, customer_id, {"relation": relation_id})
    return await get_relation(tx, reading, parent_id, relation_id, secret)


async def end_relation(
    tx: AsyncConnection, reading: Reading, named: tuple[str, str], reason: str, secret: bytes
) -> Relation:
    """Ends a relation that staff told; nothing happens if it has ended."""
    customer_id, relation_id = named
    found = await get_relation(tx, reading, customer_id, relation_id, secret)
    check_reason(reason, "reason")
    if found.told is None:
        raise Refused(
            Kind.PRECONDITION, "RELATION_OF_FEED", "the source told this relation, and only the source ends it"
        )
    if await relations.end(tx, customer_id, relation_id, reading.viewer.staff_id, reason):
        await note_write(tx, reading, customer_id, {"relation": relation_id})
    return await get_relation(tx, reading, customer_id, relation_id, secret)


def check_new(new: NewRelation) -> None:
    """Refuses what no relation may be."""
    if new.kind not in KINDS:
        raise invalid_field("relation.kind", f"must be one of {', '.join(KINDS)}")
    if new.customer_id == new.related_customer_id:
        raise invalid_field("relation.related_customer", "must be another customer")
    check_reason(new.reason, "relation.reason")


def check_reason(reason: str, field: str) -> None:
    """Refuses a reason that is none, or too long."""
    if not 1 <= len(reason) <= REASON_LENGTH_MAX:
        raise invalid_field(field, f"must have from 1 to {REASON_LENGTH_MAX} characters")
