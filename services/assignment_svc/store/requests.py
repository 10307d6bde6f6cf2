"""Requests to change who owns a customer, their approvals and what happened to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Date, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.approvals import Answer, Approval, Needed, Side
from services.assignment_svc.domain.requests import OPEN, Event, Kind, Patience, State, after

_FIELDS = (
    "customer_id, request_id, kind, state, exclusive, display_name, masked_id_number, from_branch_id, from_manager_id,"
    " to_branch_id, to_manager_id, loan_id, end_date, reason, level, due_time, expire_time, creator"
)
_REQUESTS = f"""
SELECT {", ".join(f"r.{name.strip()}" for name in _FIELDS.split(","))}, r.create_time,
  a.side, a.branch_id, a.level AS side_level, a.desk_branch_id, a.upper_desk_branch_id, a.answer, a.staff_id,
  a.on_behalf_of, a.reason AS answer_reason, a.answer_time,
  ARRAY(SELECT k.staff_id FROM staff_relation k WHERE k.customer_id = r.customer_id) AS relatives
FROM ownership_request r LEFT JOIN request_approval a USING (customer_id, request_id)
WHERE r.request_id = ANY (CAST(:request_ids AS text[])) ORDER BY r.request_id, a.side
"""  # noqa: S608 -- our own words
_GET = text(_REQUESTS)
_LOCK = text("SELECT FROM ownership_request WHERE request_id = :request_id FOR UPDATE")
# A pull of the asker's own branch that came to nothing stands in its way as if it were pending, and before all others.
_PENDING = text("""
SELECT request_id FROM ownership_request
WHERE customer_id = :customer_id AND (exclusive OR (state = 'SILENT' AND to_branch_id = :branch_id))
ORDER BY state = 'SILENT' DESC, create_time, request_id LIMIT 1
""")
_ADD = text(
    f"INSERT INTO ownership_request ({_FIELDS}) VALUES"  # noqa: S608 -- our own words
    f" ({', '.join(f':{name.strip()}' for name in _FIELDS.split(','))})"
).bindparams(bindparam("end_date", type_=Date))
_ADD_SIDE = text(
    "INSERT INTO request_approval (customer_id, request_id, side, branch_id, level)"
    " VALUES (:customer_id, :request_id, :side, :branch_id, :level)"
)
_MOVE = text("""
UPDATE ownership_request SET state = :to_state, exclusive = exclusive AND :to_state = 'PENDING',
  to_manager_id = :to_manager_id
WHERE customer_id = :customer_id AND request_id = :request_id
""").bindparams(bindparam("to_state", type_=Text), bindparam("to_manager_id", type_=Text))
_NOTE = text(
    "INSERT INTO request_transition (customer_id, request_id, event, from_state, to_state, side, actor, reason)"
    " VALUES (:customer_id, :request_id, :event, :from_state, :to_state, :side, :actor, :reason)"
)
_VOID = text(
    "UPDATE request_approval SET answer = 'VOID'"
    " WHERE customer_id = :customer_id AND request_id = :request_id AND answer = 'WAITING'"
)
_ANSWER = text("""
UPDATE request_approval SET answer = :answer, staff_id = :staff_id, on_behalf_of = :on_behalf_of, reason = :reason,
  answer_time = bank_now()
WHERE customer_id = :customer_id AND request_id = :request_id AND answer = 'WAITING'
  AND side = ANY (CAST(:sides AS text[]))
""")
_TRANSITIONS = text(
    "SELECT event, from_state, to_state, side, actor, reason, create_time FROM request_transition"
    " WHERE customer_id = :customer_id AND request_id = :request_id ORDER BY transition_id"
)
_POLICY = text("SELECT first_days, further_days, lock_months FROM request_policy ORDER BY version DESC LIMIT 1")


@dataclass(frozen=True)
class Request:
    """A request with its approvals. Without a customer (the empty id) it is a pull of somebody nobody knows.

    `exclusive`: it binds its customer, so that no other may be made.
    """

    customer_id: str
    request_id: str
    kind: Kind
    state: State
    exclusive: bool
    from_branch_id: str | None
    from_manager_id: str | None
    to_branch_id: str
    to_manager_id: str | None
    reason: str
    due_time: datetime
    expire_time: datetime
    creator: str
    display_name: str = ""
    masked_id_number: str = ""
    loan_id: str | None = None
    end_date: date | None = None
    level: int = 0
    create_time: datetime | None = None
    """Set once it is stored."""
    approvals: tuple[Approval, ...] = field(default=())
    relatives: frozenset[str] = frozenset()
    """Staff who declared that the customer is their relative."""

    @property
    def concerned(self) -> frozenset[str]:
        """Those whom it is about: they neither see nor answer it."""
        return self.relatives | {self.customer_id}


@dataclass(frozen=True)
class Transition:
    """One thing that happened to a request; `side` is whose answer it was."""

    event: Event
    from_state: State | None
    to_state: State
    side: Side | None
    actor: str
    reason: str
    create_time: datetime


@dataclass(frozen=True)
class Said:
    """Who does something to a request, why, and for which side."""

    actor: str
    reason: str
    side: Side | None = None


@dataclass(frozen=True)
class _Step:
    """What a transition is, and between which states."""

    event: Event
    from_state: State | None
    to_state: State


@dataclass(frozen=True)
class RequestPolicy:
    """How long answers may take, and how many months a lock may hold."""

    patience: Patience
    lock_months: int


async def bank_now(conn: AsyncConnection) -> datetime:
    """The instant that the bank's clock shows."""
    return (await conn.execute(text("SELECT bank_now()"))).scalar_one()


async def policy(conn: AsyncConnection) -> RequestPolicy:
    """The newest version."""
    row = (await conn.execute(_POLICY)).one()
    return RequestPolicy(Patience(row.first_days, row.further_days), row.lock_months)


async def get(conn: AsyncConnection, request_id: str) -> Request | None:
    """One request with its approvals."""
    return next(iter(await get_all(conn, [request_id])), None)


async def get_all(conn: AsyncConnection, request_ids: Sequence[str]) -> list[Request]:
    """Requests with their approvals, in the order asked for."""
    rows = await conn.execute(_GET, {"request_ids": list(request_ids)})
    place = {request_id: number for number, request_id in enumerate(request_ids)}
    return sorted(_whole(rows), key=lambda one: place[one.request_id])


async def lock(tx: AsyncConnection, request_id: str) -> Request | None:
    """As `get`, and nobody else changes it until `tx` ends. The customer's ownership must be locked before."""
    await tx.execute(_LOCK, {"request_id": request_id})
    return await get(tx, request_id)


async def pending_of(conn: AsyncConnection, customer_id: str, branch_id: str = "") -> Request | None:
    """The request that binds a customer, or seems to for a branch that asked for him."""
    values = {"customer_id": customer_id, "branch_id": branch_id}
    found: str | None = (await conn.execute(_PENDING, values)).scalar_one_or_none()
    return None if found is None else await get(conn, found)


async def add(tx: AsyncConnection, request: Request, sides: Sequence[Needed], said: Said) -> None:
    """Stores a new request with the sides that must answer it; who answers for them is not known yet."""
    values = {name.strip(): getattr(request, name.strip()) for name in _FIELDS.split(",")}
    await tx.execute(_ADD, values)
    keys = {"customer_id": request.customer_id, "request_id": request.request_id}
    for one in sides:
        await tx.execute(_ADD_SIDE, {**keys, "side": one.side, "branch_id": one.branch_id, "level": one.level})
    await _note(tx, request, _Step(Event.CREATE, None, request.state), said)


async def answer(tx: AsyncConnection, request: Request, sides: Iterable[Side], answer: Answer, given: Approval) -> None:
    """Stores an answer for sides that have none yet; `given` tells who gave it and why."""
    await tx.execute(
        _ANSWER,
        {
            "customer_id": request.customer_id,
            "request_id": request.request_id,
            "sides": sorted(sides),
            "answer": answer,
            "staff_id": given.staff_id,
            "on_behalf_of": given.on_behalf_of,
            "reason": given.reason,
        },
    )


async def move(tx: AsyncConnection, request: Request, event: Event, said: Said) -> Request:
    """Stores what happened to a request, which must be locked; once it is decided nobody is asked any more."""
    to_state = after(request.state, event)
    assert to_state is not None, f"{event} cannot happen to a request that is {request.state}"
    values = {
        "customer_id": request.customer_id,
        "request_id": request.request_id,
        "to_state": to_state,
        "to_manager_id": request.to_manager_id,
    }
    await tx.execute(_MOVE, values)
    if to_state not in OPEN:
        await tx.execute(_VOID, values)
    await _note(tx, request, _Step(event, request.state, to_state), said)
    return replace(request, state=to_state, exclusive=request.exclusive and to_state is State.PENDING)


async def transitions(conn: AsyncConnection, request: Request) -> list[Transition]:
    """All that happened to a request, the oldest first."""
    rows = await conn.execute(_TRANSITIONS, {"customer_id": request.customer_id, "request_id": request.request_id})
    return [
        Transition(
            Event(row.event),
            State(row.from_state) if row.from_state else None,
            State(row.to_state),
            Side(row.side) if row.side else None,
            row.actor,
            row.reason,
            row.create_time,
        )
        for row in rows
    ]


async def _note(tx: AsyncConnection, request: Request, step: _Step, said: Said) -> None:
    keys = {"customer_id": request.customer_id, "request_id": request.request_id}
    await tx.execute(_NOTE, {**keys, **vars(step), **vars(said)})


def _whole(rows: Iterable[Row[Any]]) -> Iterable[Request]:
    for _, group in groupby(rows, key=lambda row: row.request_id):
        of_one = list(group)
        root = of_one[0]
        values = {name.strip(): getattr(root, name.strip()) for name in _FIELDS.split(",")}
        values |= {"kind": Kind(root.kind), "state": State(root.state), "create_time": root.create_time}
        values["relatives"] = frozenset(root.relatives)
        yield Request(**values, approvals=tuple(_approval(row) for row in of_one if row.side is not None))


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        side=Side(row.side),
        branch_id=row.branch_id,
        level=row.side_level,
        desk_branch_id=row.desk_branch_id,
        upper_desk_branch_id=row.upper_desk_branch_id,
        answer=Answer(row.answer),
        staff_id=row.staff_id,
        on_behalf_of=row.on_behalf_of,
        reason=row.answer_reason,
        answer_time=row.answer_time,
    )
