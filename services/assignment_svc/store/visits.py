"""Visits: what was sent, what the checks made of it, and what was corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Text, func, insert, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.geography import Place
from services.assignment_svc.domain.visits import (
    Attachment,
    Content,
    DistanceBand,
    Fix,
    Judged,
    Located,
    Sent,
    Visit,
    VisitKind,
    VisitState,
    VisitVersion,
)
from services.assignment_svc.store.tables_visits import visit, visit_version

_c = visit.c
_LOCK_AUTHOR = text("SELECT pg_advisory_xact_lock(hashtextextended('visits ' || :staff_id, 0))")
_MOMENT = text("SELECT bank_now() AS now, (bank_now() AT TIME ZONE 'Asia/Shanghai')::date AS today")
_HELD_SINCE = text("""
SELECT min(from_date) FROM (
  SELECT least(from_date, since_date) AS from_date FROM owner
  WHERE customer_id = :customer_id AND branch_id = :branch_id
  UNION ALL
  SELECT least(from_date, since_date) FROM owner_period WHERE customer_id = :customer_id AND branch_id = :branch_id
) AS held
""")
_DAY = text("""
SELECT v.customer_id, v.visit_id, v.kind, v.visit_time, v.latitude, v.longitude, v.accuracy_m, v.distance_m, v.late,
  l.latitude AS home_latitude, l.longitude AS home_longitude
FROM visit v LEFT JOIN customer_locations l USING (customer_id)
WHERE v.staff_id = :staff_id AND v.visit_date = :visit_date AND v.withdraw_time IS NULL
""")
_SET_STATES = text("""
UPDATE visit v SET state = new.state, update_time = bank_now()
FROM unnest(CAST(:customer_ids AS text[]), CAST(:visit_ids AS text[]), CAST(:states AS text[]))
  AS new (customer_id, visit_id, state)
WHERE v.customer_id = new.customer_id AND v.visit_id = new.visit_id AND v.state <> new.state
""")
_FORGET_PLACES = text("""
UPDATE visit SET latitude = NULL, longitude = NULL, accuracy_m = NULL, distance_m = NULL, sent_hash = NULL
WHERE (customer_id, visit_id) IN (
  SELECT customer_id, visit_id FROM visit WHERE latitude IS NOT NULL AND visit_date < :before LIMIT :batch
)
""")


@dataclass(frozen=True)
class Taken:
    """What is stored with a visit that was sent."""

    customer_id: str
    staff_id: str
    branch_id: str
    visit_time: datetime
    visit_date: date
    distance_m: float | None
    distance_band: DistanceBand | None
    late: bool
    state: VisitState
    sent_hash: bytes


@dataclass(frozen=True)
class OfDay:
    """One of an author's visits of a day, as the checks look at it; `located` if its place is known."""

    customer_id: str
    visit_id: str
    judged: Judged
    located: Located | None


async def lock_author(tx: AsyncConnection, staff_id: str) -> None:
    """Lets nobody else change this author's visits until `tx` ends: they are judged together."""
    await tx.execute(_LOCK_AUTHOR, {"staff_id": staff_id})


async def moment(conn: AsyncConnection) -> tuple[datetime, date]:
    """Now, and its day in bank time."""
    row = (await conn.execute(_MOMENT)).one()
    return row.now, row.today


async def held_since(conn: AsyncConnection, customer_id: str, branch_id: str) -> date:
    """The first day on which a branch that holds a customer did so."""
    values = {"customer_id": customer_id, "branch_id": branch_id}
    return (await conn.execute(_HELD_SINCE, values)).scalar_one()


async def sent_before(tx: AsyncConnection, staff_id: str, sent: Sent) -> tuple[Visit, bytes | None] | None:
    """The visit that the author's device called the same, and the hash of what it sent then."""
    if not sent.device_id:
        return None
    same = (_c.staff_id == staff_id, _c.device_id == sent.device_id, _c.client_visit_id == sent.client_visit_id)
    row = (await tx.execute(select(visit).where(*same))).one_or_none()
    return (visit_of(row), row.sent_hash) if row else None


async def count_of_day(tx: AsyncConnection, staff_id: str, visit_date: date) -> int:
    """How many visits an author made on a day, withdrawn ones too."""
    mine = select(func.count()).select_from(visit).where(_c.staff_id == staff_id, _c.visit_date == visit_date)
    return (await tx.execute(mine)).scalar_one()


async def add(tx: AsyncConnection, sent: Sent, taken: Taken) -> str:
    """Stores a visit and says its id."""
    fix = sent.fix
    values: Mapping[str, Any] = {
        **vars(taken),
        **_content_values(sent.content),
        "latitude": fix.place.latitude if fix else None,
        "longitude": fix.place.longitude if fix else None,
        "accuracy_m": fix.accuracy_m if fix else None,
        "device_time": sent.device_time,
        "captured_offline": sent.captured_offline,
        "device_id": sent.device_id or None,
        "client_visit_id": sent.client_visit_id or None,
    }
    added = insert(visit).values(visit_id=func.gen_random_uuid().cast(Text), **values).returning(_c.visit_id)
    return (await tx.execute(added)).scalar_one()


async def get(conn: AsyncConnection, customer_id: str, visit_id: str) -> Visit | None:
    """One visit, also a withdrawn one."""
    query = select(visit).where(_c.customer_id == customer_id, _c.visit_id == visit_id)
    row = (await conn.execute(query)).one_or_none()
    return visit_of(row) if row else None


async def correct(tx: AsyncConnection, old: Visit, content: Content, reason: str) -> None:
    """Keeps what a visit was as a version, and gives it another content."""
    key = {"customer_id": old.customer_id, "visit_id": old.visit_id}
    kept = {**key, "version": old.version, **_content_values(old.content), "end_reason": reason}
    await tx.execute(insert(visit_version).values(**kept))
    changed = {**_content_values(content), "version": old.version + 1, "update_time": func.bank_now()}
    await tx.execute(update(visit).where(*_is(old)).values(**changed))


async def withdraw(tx: AsyncConnection, old: Visit, reason: str) -> None:
    """Lets a visit count no more."""
    values = {"withdraw_time": func.bank_now(), "update_time": func.bank_now(), "withdraw_reason": reason}
    await tx.execute(update(visit).where(*_is(old)).values(**values))


async def of_day(tx: AsyncConnection, staff_id: str, visit_date: date) -> list[OfDay]:
    """An author's visits of a day that were not withdrawn."""
    rows = await tx.execute(_DAY, {"staff_id": staff_id, "visit_date": visit_date})
    return [_of_day(row) for row in rows]


async def set_states(tx: AsyncConnection, states: Sequence[tuple[OfDay, VisitState]]) -> None:
    """Stores the states of visits that have another one."""
    values = {
        "customer_ids": [one.customer_id for one, _ in states],
        "visit_ids": [one.visit_id for one, _ in states],
        "states": [state.value for _, state in states],
    }
    await tx.execute(_SET_STATES, values)


async def versions(
    conn: AsyncConnection, customer_id: str, visit_id: str, before: int, limit: int
) -> Sequence[VisitVersion]:
    """What a visit was before its corrections, the youngest first, from before a version on."""
    columns = visit_version.c
    query = (
        select(visit_version)
        .where(columns.customer_id == customer_id, columns.visit_id == visit_id, columns.version < before)
        .order_by(columns.version.desc())
        .limit(limit)
    )
    return [VisitVersion(row.version, _content(row), row.end_time, row.end_reason) for row in await conn.execute(query)]


async def forget_places(tx: AsyncConnection, before: date, batch: int) -> int:
    """Empties place and distance of visits before a day, at most so many, and says how many; state and band stay."""
    return (await tx.execute(_FORGET_PLACES, {"before": before, "batch": batch})).rowcount


def _is(old: Visit) -> tuple[Any, ...]:
    return _c.customer_id == old.customer_id, _c.visit_id == old.visit_id


def _content_values(content: Content) -> dict[str, Any]:
    return {"kind": content.kind, "content": content.text, "attachments": [vars(one) for one in content.attachments]}


def _content(row: Row[Any]) -> Content:
    return Content(VisitKind(row.kind), row.content, tuple(Attachment(**one) for one in row.attachments))


def _fix(row: Row[Any]) -> Fix | None:
    return None if row.latitude is None else Fix(Place(row.latitude, row.longitude), row.accuracy_m)


def visit_of(row: Row[Any]) -> Visit:
    """A visit of a row with all its columns."""
    return Visit(
        customer_id=row.customer_id,
        visit_id=row.visit_id,
        staff_id=row.staff_id,
        branch_id=row.branch_id,
        content=_content(row),
        fix=_fix(row),
        distance_m=row.distance_m,
        distance_band=DistanceBand(row.distance_band) if row.distance_band else None,
        state=VisitState(row.state),
        device_time=row.device_time,
        visit_date=row.visit_date,
        captured_offline=row.captured_offline,
        device_id=row.device_id or "",
        client_visit_id=row.client_visit_id or "",
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        withdraw_time=row.withdraw_time,
        withdraw_reason=row.withdraw_reason,
    )


def _of_day(row: Row[Any]) -> OfDay:
    kind, fix = VisitKind(row.kind), _fix(row)
    home = None if row.home_latitude is None else Place(row.home_latitude, row.home_longitude)
    located = None
    if fix is not None and kind is VisitKind.VISIT:
        located = Located(row.visit_id, row.customer_id, row.visit_time, fix, home)
    return OfDay(row.customer_id, row.visit_id, Judged(kind, row.accuracy_m, row.distance_m, row.late), located)
