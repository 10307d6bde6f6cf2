"""Who stands by a customer and by whom he stands: the feed's relations and those that staff tell beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    Select,
    Text,
    bindparam,
    false,
    func,
    insert,
    null,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import RelatedPerson
from services.customer_svc.domain.relations import NewRelation, Told
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store import contact_data
from services.customer_svc.store.customers import keys_of, noted
from services.customer_svc.store.scope import opened_somewhere
from services.customer_svc.store.tables import customers, relations
from services.customer_svc.store.tables_notes import manual_relations

PEOPLE_MAX = 100
RELATIONS_MAX = 400

_TAKEN = text("""
SELECT EXISTS (SELECT FROM relations WHERE customer_id = :customer_id AND related_customer_id = :related_customer_id
    AND kind = :kind) OR EXISTS (SELECT FROM manual_relations WHERE customer_id = :customer_id
    AND related_customer_id = :related_customer_id AND kind = :kind AND end_time IS NULL) AS taken,
  (SELECT count(*) FROM manual_relations WHERE customer_id = :customer_id AND end_time IS NULL) AS told
""").bindparams(*(bindparam(name, type_=Text) for name in ("customer_id", "related_customer_id", "kind")))


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
    ends = _ends(customer_id, with_ended=with_ended).subquery("ends")
    query = (
        select(
            ends,
            c.customer_id,
            c.display_name,
            *contact_data.sealed_of(c.customer_id),
            opened_somewhere(scope, Level.EXISTENCE).label("linked"),
            opened_somewhere(scope, Level.SECONDARY).label("named"),
        )
        .join(ends, ends.c.person_id == c.customer_id)
        .where(~c.gone)
        .limit(limit)
    )
    keys = keys_of(reading)
    rows = [(row, contact_data.opened(keys, row).mobile) for row in await conn.execute(noted(query, reading))]
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


def _ends(customer_id: str, *, with_ended: bool) -> Any:  # noqa: ANN401 -- a union of selects
    """Everybody at the other end of a relation; `reverse` if it is the customer who stands by him."""
    r, m = relations.c, manual_relations.c
    held: ColumnElement[bool] = true() if with_ended else m.end_time.is_(None)
    told = (m.relation_id, m.author_id, m.reason, m.create_time, m.end_time, m.end_actor, m.end_reason)
    untold = (
        *(null().cast(Text).label(column.name) for column in told[:3]),
        *(null().cast(DateTime(timezone=True)).label(column.name) for column in told[3:5]),
        *(null().cast(Text).label(column.name) for column in told[5:]),
    )

    def side(person: ColumnElement[str], kind: ColumnElement[str], *, reverse: bool) -> list[ColumnElement[Any]]:
        return [person.label("person_id"), kind.label("kind"), (true() if reverse else false()).label("reverse")]

    parts: list[Select[Any]] = [
        select(*side(r.related_customer_id, r.kind, reverse=False), *untold).where(r.customer_id == customer_id),
        select(*side(r.customer_id, r.kind, reverse=True), *untold).where(r.related_customer_id == customer_id),
        select(*side(m.related_customer_id, m.kind, reverse=False), *told).where(m.customer_id == customer_id, held),
        select(*side(m.customer_id, m.kind, reverse=True), *told).where(m.related_customer_id == customer_id, held),
    ]
    return union_all(*parts)


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
