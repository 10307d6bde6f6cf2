"""Who stands by a customer and by whom he stands: the feed's relations and those that staff tell beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, DateTime, Row, Text, bindparam, column, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import RelatedPerson
from services.customer_svc.domain.relations import NewRelation, Told
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store import contact_data
from services.customer_svc.store.customers import keys_of, noted
from services.customer_svc.store.scope import opened_somewhere
from services.customer_svc.store.tables import customers
from services.customer_svc.store.tables_notes import manual_relations

PEOPLE_MAX = 100
RELATIONS_MAX = 400

_TAKEN = text("""
SELECT EXISTS (SELECT FROM relations WHERE customer_id = :customer_id AND related_customer_id = :related_customer_id
    AND kind = :kind) OR EXISTS (SELECT FROM manual_relations WHERE customer_id = :customer_id
    AND related_customer_id = :related_customer_id AND kind = :kind AND end_time IS NULL) AS taken,
  (SELECT count(*) FROM manual_relations WHERE customer_id = :customer_id AND end_time IS NULL) AS told
""").bindparams(*(bindparam(name, type_=Text) for name in ("customer_id", "related_customer_id", "kind")))

# Everybody at the other end of a relation; `reverse` if it is the customer who stands by him. Made once, since
# SQLAlchemy takes its time.
_TIMES = ("create_time", "end_time")
_TOLD = ("relation_id", "author_id", "reason", *_TIMES, "end_actor", "end_reason")
_END_COLUMNS = ("person_id", "kind", "reverse", *_TOLD)
_ENDS = (
    text("""
SELECT related_customer_id AS person_id, kind, false AS reverse, NULL AS relation_id, NULL AS author_id, NULL AS reason,
  NULL::timestamptz AS create_time, NULL::timestamptz AS end_time, NULL AS end_actor, NULL AS end_reason
FROM relations WHERE customer_id = :customer_id
UNION ALL SELECT customer_id, kind, true, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM relations WHERE related_customer_id = :customer_id
UNION ALL SELECT related_customer_id, kind, false, relation_id, author_id, reason, create_time, end_time, end_actor,
  end_reason
FROM manual_relations WHERE customer_id = :customer_id AND (:with_ended OR end_time IS NULL)
UNION ALL SELECT customer_id, kind, true, relation_id, author_id, reason, create_time, end_time, end_actor, end_reason
FROM manual_relations WHERE related_customer_id = :customer_id AND (:with_ended OR end_time IS NULL)
""")
    .bindparams(bindparam("customer_id", type_=Text), bindparam("with_ended", type_=Boolean))
    .columns(
        column("reverse", Boolean),
        *(
            column(name, DateTime(timezone=True) if name in _TIMES else Text)
            for name in _END_COLUMNS
            if name != "reverse"
        ),
    )
    .subquery("ends")
)


@dataclass(frozen=True)
class Found:
    """A relation as it is stored, with the person at its other end as the viewer sees him."""

    customer_id: str
    related_customer_id: str
    person: RelatedPerson
    told: Told | None


async def read_people(
    conn: AsyncConnection, customer_id: str, scope: Scope, reading: Reading
) -> Sequence[RelatedPerson]:
    """The people related to a customer now, in both directions, each noted as read."""
    found = await read_relations(conn, customer_id, scope, reading, with_ended=False, limit=PEOPLE_MAX)
    return [relation.person for relation in found]


async def read_relations(  # noqa: PLR0913 -- of whom, for whom, and which of them
    conn: AsyncConnection,
    customer_id: str,
    scope: Scope,
    reading: Reading,
    *,
    with_ended: bool,
    limit: int = RELATIONS_MAX,
) -> Sequence[Found]:
    """A customer's relations in both directions, each person at the other end noted as read."""
    c = customers.c
    query = (
        select(
            *(_ENDS.c[name] for name in _END_COLUMNS),
            c.customer_id,
            c.display_name,
            *contact_data.sealed_of(c.customer_id),
            opened_somewhere(scope, Level.EXISTENCE).label("linked"),
            opened_somewhere(scope, Level.SECONDARY).label("named"),
        )
        .join(_ENDS, _ENDS.c.person_id == c.customer_id)
        .where(~c.gone)
        .limit(limit)
    )
    keys, asked = keys_of(reading), {"customer_id": customer_id, "with_ended": with_ended}
    rows = [(row, contact_data.opened(keys, row).mobile) for row in await conn.execute(noted(query, reading), asked)]
    found = [_found(customer_id, row, mobile) for row, mobile in rows]
    return sorted(found, key=_order)


async def is_taken(tx: AsyncConnection, new: NewRelation) -> tuple[bool, int]:
    """Whether somebody tells this relation already, and how many that hold staff tell of the customer."""
    row = (await tx.execute(_TAKEN, vars(new))).one()
    return row.taken, row.told


async def add(tx: AsyncConnection, new: NewRelation) -> str:
    """Stores a relation and returns its id."""
    values = {**vars(new), "relation_id": func.gen_random_uuid().cast(Text)}
    added = insert(manual_relations).values(**values).returning(manual_relations.c.relation_id)
    return (await tx.execute(added)).scalar_one()


async def end(tx: AsyncConnection, customer_id: str, relation_id: str, actor: str, reason: str) -> bool:
    """Ends a relation of a customer, in whichever direction; False if it had ended before."""
    c = manual_relations.c
    ended = (
        update(manual_relations)
        .where(or_(c.customer_id == customer_id, c.related_customer_id == customer_id))
        .where(c.relation_id == relation_id, c.end_time.is_(None))
        .values(end_time=func.bank_now(), end_actor=actor, end_reason=reason)
    )
    return bool((await tx.execute(ended)).rowcount)


def _found(customer_id: str, row: Row[Any], mobile: str | None) -> Found:
    told = None
    if row.relation_id is not None:
        whom = (row.relation_id, row.author_id, row.reason)
        told = Told(*whom, row.create_time, row.end_time, row.end_actor, row.end_reason)
    person = RelatedPerson(
        row.kind,
        row.person_id if row.linked else None,
        row.display_name,
        mobile,
        reverse=row.reverse,
        manual=told is not None,
        named=row.named,
    )
    first, second = (row.person_id, customer_id) if row.reverse else (customer_id, row.person_id)
    return Found(first, second, person, told)


def _order(found: Found) -> tuple[object, ...]:
    since = found.told.create_time.isoformat() if found.told else ""
    ids = (found.customer_id, found.related_customer_id)
    return (found.person.kind, found.person.reverse, *ids, since)
