"""Takes visits and has them checked, corrects and withdraws them, and shows them as far as somebody may see them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.caller import Caller
from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from chassis.sql.audit import audit, audit_reads
from chassis.written_texts import text_fault
from services.assignment_svc.domain.geography import metres_between
from services.assignment_svc.domain.reasons import REASON_LENGTH_MAX
from services.assignment_svc.domain.visit_faults import (
    Moment,
    content_faults,
    sent_faults,
)
from services.assignment_svc.domain.visit_views import Insight, Sides, insight_at, insight_of, reach_of, shown, sides_of
from services.assignment_svc.domain.visits import (
    VISITS_OF_DAY_MAX,
    CheckRules,
    Content,
    Judged,
    Sent,
    Visit,
    VisitKind,
    VisitVersion,
    band_of,
    is_late,
    last_open_date,
    state_of,
    suspicious_visits,
)
from services.assignment_svc.store import (
    allocation,
    customer_locations,
    ownerships,
    protections,
    visit_lists,
    visit_policies,
    visits,
)
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.visit_lists import Wanted
from services.assignment_svc.store.visits import Taken
from services.assignment_svc.usecases.read_ownership import Reader, policy_rows, scope_of_caller


async def must_look_after(conn: AsyncConnection, caller: Caller, customer_id: str) -> Sides:
    """From where the caller looks after a customer; whoever does not is told what he is told of nobody."""
    found = await ownerships.of_customers(conn, [customer_id])
    # Looked up for absent customers too, so that the time of the answer tells nothing.
    scope = await scope_of_caller(conn, caller)
    rows = policy_rows(found[0]) if found else []
    sides = sides_of(caller.staff_id, customer_id, rows, scope)
    if sides is None:
        raise not_found()
    return sides


async def create_visit(tx: AsyncConnection, reader: Reader, customer_id: str, sent: Sent, sent_hash: bytes) -> Visit:
    """Stores a visit and judges it with the others of its author and day; sent again, it is the one that is there."""
    sides = await must_look_after(tx, reader.caller, customer_id)
    staff_id = reader.caller.staff_id
    await visits.lock_author(tx, staff_id)
    before = await visits.sent_before(tx, staff_id, sent)
    if before is not None:
        visit, hash_before = before
        if hash_before != sent_hash:
            given = {"device": sent.device_id, "client_visit": sent.client_visit_id}
            message = "the device sent another visit under this id"
            raise Refused(Kind.ALREADY_EXISTS, "VISIT_CLIENT_ID_REUSED", message, given)
        return shown(visit, Insight.AUTHOR)
    now, today = await visits.moment(tx)
    rules = (await visit_policies.in_force(tx, today)).rules
    visit_time = min(sent.device_time, now)
    visit_date = clock.bank_date(visit_time)
    held_since = await visits.held_since(tx, customer_id, sides.own_branch_id)
    _refuse_faults("visit.", sent_faults(sent, Moment(now, visit_date, held_since), rules))
    await _check_room(tx, staff_id, visit_date)
    distance_m = await _distance(tx, customer_id, sent)
    late = is_late(visit_date, today, rules)
    accuracy_m = sent.fix.accuracy_m if sent.fix else None
    judged = Judged(sent.content.kind, accuracy_m, distance_m, late)
    taken = Taken(
        customer_id=customer_id,
        staff_id=staff_id,
        branch_id=sides.own_branch_id,
        visit_time=visit_time,
        visit_date=visit_date,
        distance_m=distance_m,
        distance_band=band_of(distance_m),
        late=late,
        state=state_of(judged, rules, suspicious=False),
        sent_hash=sent_hash,
    )
    visit_id = await visits.add(tx, sent, taken)
    await judge_day(tx, staff_id, visit_date, rules)
    await _keep_protected(tx, customer_id, sides.own_branch_id, visit_date)
    return await _written(tx, reader, customer_id, visit_id)


async def _keep_protected(tx: AsyncConnection, customer_id: str, branch_id: str, visit_date: date) -> None:
    """A protection ends early after days without contact (domain.md 3, rule 7), and a visit is one."""
    day = min(visit_date, await business_day(tx))
    policy = await allocation.policy_in_force(tx, day)
    await protections.note_contact(tx, customer_id, branch_id, day, policy.protection_idle_days)


async def judge_day(tx: AsyncConnection, staff_id: str, visit_date: date, rules: CheckRules) -> None:
    """Judges an author's visits of a day anew, since each may make others impossible. The author must be locked."""
    found = await visits.of_day(tx, staff_id, visit_date)
    suspicious = suspicious_visits([one.located for one in found if one.located is not None], rules)
    states = [(one, state_of(one.judged, rules, suspicious=one.visit_id in suspicious)) for one in found]
    await visits.set_states(tx, states)


async def correct_visit(
    tx: AsyncConnection, reader: Reader, named: tuple[str, str], content: Content, told: tuple[str, str]
) -> Visit:
    """Gives a visit another content for a reason, if it is as its author saw it (`told`: reason and etag)."""
    reason, etag = told
    old, today = await _own(tx, reader, named, reason)
    rules = (await visit_policies.in_force(tx, today)).rules
    if old.withdraw_time is not None:
        raise Refused(Kind.PRECONDITION, "VISIT_WITHDRAWN", "the visit was withdrawn")
    if today > last_open_date(old.visit_date, rules.close_day):
        raise _closed("the month of the visit is closed")
    if etag != old.etag:
        raise Refused(Kind.CONFLICT, "ETAG_OLD", "somebody changed the visit: read it again", {"etag": etag})
    _refuse_faults("", content_faults(content))
    if content.kind is VisitKind.VISIT and old.fix is None:
        raise invalid_fields([Violation("kind", "can be VISIT only of a visit that has a place")])
    await visits.correct(tx, old, content, reason)
    await judge_day(tx, old.staff_id, old.visit_date, rules)
    return await _written(tx, reader, *named)


async def withdraw_visit(tx: AsyncConnection, reader: Reader, named: tuple[str, str], reason: str) -> Visit:
    """Withdraws a visit on the day on which it was sent; nothing happens if it is withdrawn already."""
    old, today = await _own(tx, reader, named, reason)
    if old.withdraw_time is None:
        if clock.bank_date(old.create_time) != today:
            raise _closed("a visit is withdrawn on the day on which it was sent")
        rules = (await visit_policies.in_force(tx, today)).rules
        await visits.withdraw(tx, old, reason)
        await judge_day(tx, old.staff_id, old.visit_date, rules)
    return await _written(tx, reader, *named)


async def get_visit(conn: AsyncConnection, reader: Reader, named: tuple[str, str]) -> Visit:
    """One visit, as far as the caller may see it."""
    visit, insight = await _seen(conn, reader, named)
    await audit_reads(conn, reader.entry, [visit.customer_id])
    return shown(visit, insight)


async def list_visits(
    conn: AsyncConnection, reader: Reader, customer_id: str | None, wanted: Wanted, limit: int
) -> Sequence[Visit]:
    """Visits of one customer, or those that the caller made or supervises; at most so many, the youngest first."""
    viewer_id = reader.caller.staff_id
    if customer_id is not None:
        sides = await must_look_after(conn, reader.caller, customer_id)
        supervised = sides.supervised
        found = await visit_lists.of_customer(conn, customer_id, sides, wanted, limit)
        # That there is none tells of him too.
        customer_ids = {customer_id}
    else:
        reach = reach_of(viewer_id, await scope_of_caller(conn, reader.caller))
        supervised = reach.supervised
        found = await visit_lists.of_reach(conn, reach, wanted, limit)
        customer_ids = {visit.customer_id for visit in found}
    await audit_reads(conn, reader.entry, customer_ids)
    return [shown(visit, insight_at(visit, viewer_id, supervised)) for visit in found]


async def list_versions(
    conn: AsyncConnection, reader: Reader, named: tuple[str, str], before: int, limit: int
) -> Sequence[VisitVersion]:
    """What a visit was before its corrections, for its author and the supervisor."""
    _, insight = await _seen(conn, reader, named)
    if insight < Insight.AUTHOR:
        raise _not_yours("only its author and the supervisor see what a visit was before")
    await audit_reads(conn, reader.entry, [named[0]])
    return await visits.versions(conn, *named, before, limit)


async def _seen(conn: AsyncConnection, reader: Reader, named: tuple[str, str]) -> tuple[Visit, Insight]:
    sides = await must_look_after(conn, reader.caller, named[0])
    visit = await visits.get(conn, *named)
    insight = insight_of(visit, sides) if visit is not None else Insight.NONE
    if visit is None or insight is Insight.NONE:
        raise not_found()
    return visit, insight


async def _own(tx: AsyncConnection, reader: Reader, named: tuple[str, str], reason: str) -> tuple[Visit, date]:
    """The caller's own visit, which nobody else changes until `tx` ends, and today."""
    await visits.lock_author(tx, reader.caller.staff_id)
    visit, insight = await _seen(tx, reader, named)
    if insight is not Insight.AUTHOR:
        raise _not_yours("only its author changes a visit")
    if fault := text_fault(reason, REASON_LENGTH_MAX):
        raise invalid_fields([Violation("reason", fault)])
    _, today = await visits.moment(tx)
    return visit, today


async def _written(tx: AsyncConnection, reader: Reader, customer_id: str, visit_id: str) -> Visit:
    """The author's visit as it is now; that he wrote it is remembered."""
    visit = await visits.get(tx, customer_id, visit_id)
    assert visit is not None, "it was just written"
    await audit(tx, [replace(reader.entry, customer_id=customer_id, detail={"visit": visit_id})])
    return shown(visit, Insight.AUTHOR)


async def _distance(tx: AsyncConnection, customer_id: str, sent: Sent) -> float | None:
    """How far the visit was from where the customer lives, if both are known."""
    if sent.fix is None:
        return None
    home = (await customer_locations.of_customers(tx, [customer_id])).get(customer_id)
    return metres_between(sent.fix.place, home) if home else None


async def _check_room(tx: AsyncConnection, staff_id: str, visit_date: date) -> None:
    if await visits.count_of_day(tx, staff_id, visit_date) >= VISITS_OF_DAY_MAX:
        message = f"nobody makes more than {VISITS_OF_DAY_MAX} visits a day"
        raise Refused(Kind.EXHAUSTED, "VISITS_TOO_MANY", message, {"limit": str(VISITS_OF_DAY_MAX)})


def _refuse_faults(prefix: str, faults: Iterable[tuple[str, str]]) -> None:
    if found := [Violation(prefix + field, said) for field, said in faults]:
        raise invalid_fields(found)


def _closed(message: str) -> Refused:
    return Refused(Kind.PRECONDITION, "VISIT_CLOSED", message)


def _not_yours(message: str) -> Refused:
    return Refused(Kind.FORBIDDEN, "VISIT_NOT_YOURS", message)
