"""Transfers many customers by one file: every line as a request of its own, all of them or none (domain.md 3)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind as Refusal
from chassis.errors import Refused, not_found
from chassis.sql.engine import Database
from services.assignment_svc.domain.bulk_transfers import LINES_MAX, BulkTransfer, Line, LineFault, fault_of
from services.assignment_svc.domain.requests import Kind, State
from services.assignment_svc.store import bulk_transfers, gate, org
from services.assignment_svc.store import requests as stored_requests
from services.assignment_svc.usecases import approvals, requests
from services.assignment_svc.usecases.approvals import Given
from services.assignment_svc.usecases.manual_changes import Who
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.request_plans import Wish
from services.assignment_svc.usecases.request_views import View, view_of, viewer_of

T = TypeVar("T")
# Tells how many lines of how many were tried; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


class Answer(StrEnum):
    """What is said to all requests of a file."""

    APPROVE = "APPROVE"
    REFUSE = "REFUSE"
    WITHDRAW = "WITHDRAW"


_SAY = {Answer.APPROVE: approvals.approve, Answer.REFUSE: approvals.refuse, Answer.WITHDRAW: approvals.withdraw}


@dataclass(frozen=True)
class Sent:
    """A file that somebody sent."""

    bulk_transfer_id: str
    lines: Sequence[Line]
    reason: str
    validate_only: bool


@dataclass(frozen=True)
class Result:
    """What came of a file: the transfer if it was stored, else every line that is wrong."""

    transfer: BulkTransfer | None
    lines: int
    faults: Sequence[LineFault]


class _TakenBack(Exception):
    """Nothing of the transaction shall stay."""


async def caller_again(conn: AsyncConnection, staff_id: str) -> Caller:
    """Who started long work, with the branch and the roles that he has now; refuses who is gone."""
    staff = await org.get_staff(conn, staff_id)
    if staff is None:
        raise not_found()
    now = await stored_requests.bank_now(conn)
    roles = frozenset(Role(role) for role in staff.roles)
    return Caller(staff_id, staff.branch_id, roles, session_id="", issuer="", expire_time=now, token="")


async def transfer(database: Database, who: Who, sent: Sent, tell: Progress) -> Result:
    """Makes a request of every line. An attempt that was stored before is told again."""
    async with database.read() as conn:
        earlier = await bulk_transfers.get(conn, sent.bulk_transfer_id)
        caller = await caller_again(conn, who.actor)
    if earlier is not None:
        return Result(earlier, earlier.lines, ())
    made: dict[int, str] = {}

    async def each(tx: AsyncConnection, line: Line) -> None:
        wish = Wish(Kind.PUSH, sent.reason, line.customer_id, line.to_branch_id, line.to_manager_id)
        made[line.number] = (await requests.create(tx, caller, who, wish)).request.request_id

    async def whole(tx: AsyncConnection) -> Result:
        made.clear()
        await _lock(tx, [line.customer_id for line in sent.lines])
        # In one order everywhere, so that two files never wait for each other in a circle.
        ordered = sorted(sent.lines, key=lambda line: line.customer_id)
        faults = await _all_or_none(tx, ordered, lambda line: line.number, each, tell)
        if faults or sent.validate_only:
            raise _TakenBack(faults)
        await bulk_transfers.add(tx, sent.bulk_transfer_id, sent.reason, who.actor, made)
        return Result(await bulk_transfers.get(tx, sent.bulk_transfer_id), len(sent.lines), ())

    return await _repeated(database, whole, len(sent.lines))


async def answer(
    database: Database, who: Who, bulk_transfer_id: str, said: tuple[Answer, str], tell: Progress
) -> Result:
    """Says the same to every request of a file that waits for who says it; nothing if one cannot be answered."""
    what, why = said
    async with database.read() as conn:
        caller = await caller_again(conn, who.actor)
        waiting = await _waiting(conn, caller, bulk_transfer_id, what)

    async def each(tx: AsyncConnection, one: tuple[int, str, str]) -> None:
        await _SAY[what](tx, caller, who, Given(one[1], why))

    async def whole(tx: AsyncConnection) -> Result:
        await _lock(tx, [customer_id for _, _, customer_id in waiting])
        ordered = sorted(waiting, key=lambda one: one[2])
        faults = await _all_or_none(tx, ordered, lambda one: one[0], each, tell)
        if faults:
            raise _TakenBack(faults)
        return Result(await must_see(tx, caller, bulk_transfer_id), len(waiting), ())

    return await _repeated(database, whole, len(waiting))


async def must_see(conn: AsyncConnection, caller: Caller, bulk_transfer_id: str) -> BulkTransfer:
    """A file; refuses alike if there is none and if the caller neither sent it nor sees one of its requests.

    Who did not send it is told of as many lines as he sees.
    """
    found = await bulk_transfers.get(conn, bulk_transfer_id)
    if found is None:
        raise not_found()
    if found.creator == caller.staff_id:
        return found
    states = Counter(view.state for _, view in await _views(conn, caller, bulk_transfer_id))
    if not states:
        raise not_found()
    pending, approved = states[State.PENDING], states[State.APPROVED]
    refused = states.total() - pending - approved
    return replace(found, lines=states.total(), pending=pending, approved=approved, refused=refused)


async def list_requests(
    conn: AsyncConnection, reader: Reader, bulk_transfer_id: str, after: int, size: int
) -> tuple[list[View], int | None]:
    """A page of a file's requests as the caller sees them, and the line after which the next page begins."""
    await must_see(conn, reader.caller, bulk_transfer_id)
    seen = [one for one in await _views(conn, reader.caller, bulk_transfer_id) if one[0] > after]
    viewer = await viewer_of(conn, reader.caller)
    views = [await requests.seen(conn, reader, view.request.request_id, viewer) for _, view in seen[:size]]
    return views, seen[size - 1][0] if len(seen) > size else None


async def check_answers(conn: AsyncConnection, caller: Caller, bulk_transfer_id: str, what: Answer) -> None:
    """Refuses at once whoever has nothing to answer."""
    await must_see(conn, caller, bulk_transfer_id)
    if not await _waiting(conn, caller, bulk_transfer_id, what):
        raise Refused(Refusal.PRECONDITION, "NOTHING_TO_ANSWER", "no request of the file waits for you")


async def _waiting(
    conn: AsyncConnection, caller: Caller, bulk_transfer_id: str, what: Answer
) -> list[tuple[int, str, str]]:
    """Line, request and customer of what the caller may answer so."""
    return [
        (line, view.request.request_id, view.request.customer_id)
        for line, view in await _views(conn, caller, bulk_transfer_id)
        if view.state is State.PENDING
        and (view.request.creator == caller.staff_id if what is Answer.WITHDRAW else view.waits_for_viewer)
    ]


async def _views(conn: AsyncConnection, caller: Caller, bulk_transfer_id: str) -> list[tuple[int, View]]:
    rows = await bulk_transfers.requests_of(conn, bulk_transfer_id, 0, LINES_MAX)
    lines = {request_id: line for line, request_id, _, _ in rows}
    viewer = await viewer_of(conn, caller)
    found = await stored_requests.get_all(conn, list(lines))
    views = ((lines[one.request_id], view_of(one, viewer)) for one in found)
    return sorted(((line, view) for line, view in views if view is not None), key=lambda each: each[0])


async def _lock(tx: AsyncConnection, customer_ids: Sequence[str]) -> None:
    await gate.pass_by_hand(tx)
    await gate.lock_customers(tx, sorted(customer_ids))


async def _all_or_none(
    tx: AsyncConnection,
    items: Sequence[T],
    number: Callable[[T], int],
    each: Callable[[AsyncConnection, T], Awaitable[None]],
    tell: Progress,
) -> list[LineFault]:
    """Tries every item, also after one that cannot be, so that all of these are told."""
    faults: list[LineFault] = []
    for done, item in enumerate(items):
        if not await tell(done, len(items)):
            raise _TakenBack(faults)
        try:
            async with tx.begin_nested():
                await each(tx, item)
        except Refused as error:
            faults.append(fault_of(number(item), error))
    if not await tell(len(items), len(items)):
        raise _TakenBack(faults)
    return sorted(faults, key=lambda fault: fault.number)


async def _repeated(database: Database, whole: Callable[[AsyncConnection], Awaitable[Result]], lines: int) -> Result:
    try:
        return await database.repeat(whole)
    except _TakenBack as taken_back:
        return Result(None, lines, taken_back.args[0])
