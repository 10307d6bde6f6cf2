"""Proposes merges and decides about them; the work itself is done by `run_merges`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, not_found
from services.customer_svc.domain.merges import (
    TRANSITIONS,
    Draft,
    Merge,
    MergeOwner,
    Person,
    State,
    Verb,
    answers_for,
    is_complete,
    is_involved,
    sees,
)
from services.customer_svc.domain.viewing import Level, Reading, Viewer
from services.customer_svc.store import duplicates, merged_customers, merges, org
from services.customer_svc.store.merges import Wanted
from services.customer_svc.store.owner_rows import is_top, owner_rows
from services.customer_svc.usecases.duplicates import check_reason
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.scopes import read_scope


@dataclass(frozen=True)
class Decision:
    """What somebody does about a merge; `etag` is that of what he saw, if he says so."""

    verb: Verb
    merge_id: str
    reason: str = ""
    etag: str = ""


async def person_of(conn: AsyncConnection, viewer: Viewer) -> Person:
    """Who decides, by the tree of branches as it is known here."""
    leads = "BRANCH_HEAD" in viewer.roles
    subtree = await org.subtree(conn, viewer.branch_id) if leads else frozenset({viewer.branch_id})
    return Person(viewer.staff_id, viewer.branch_id, leads, subtree, await is_top(conn, viewer.branch_id))


async def must_know_both(conn: AsyncConnection, reading: Reading, draft: Draft) -> None:
    """Refuses whoever is not on the primary side of both, as if they did not exist; head office knows all."""
    if draft.survivor_id == draft.merged_id:
        raise _unfit("a customer cannot be merged into himself")
    check_reason(draft.reason)
    scope, person = await read_scope(conn, reading.viewer), await person_of(conn, reading.viewer)
    for customer_id in (draft.survivor_id, draft.merged_id):
        rows = await owner_rows(conn, customer_id)
        known = rows is not None and (
            scope.level(rows) >= Level.PRIMARY or (not rows and person.leads and person.at_top)
        )
        if not known:
            raise not_found()
    await note_reads(conn, reading, {draft.survivor_id, draft.merged_id})


async def owners_of(conn: AsyncConnection, customer_id: str) -> list[MergeOwner]:
    """Who owns a customer now, the primary branch first."""
    rows = await owner_rows(conn, customer_id) or []
    owners = [MergeOwner(row.branch_id, row.side == "PRIMARY", row.manager_id) for row in rows]
    return sorted(owners, key=lambda owner: (not owner.primary, owner.branch_id))


async def propose_merge(tx: AsyncConnection, reading: Reading, draft: Draft) -> Merge:
    """Stores a proposal. Refuses if one of the two stands in another open merge, or if they are of two kinds."""
    await must_know_both(tx, reading, draft)
    await check_pair(tx, draft)
    merge_id = str(uuid4())
    await merges.add(tx, merge_id, draft, await person_of(tx, reading.viewer))
    return await _found(tx, merge_id)


async def check_pair(tx: AsyncConnection, draft: Draft) -> None:
    """Refuses what could not be proposed; nobody else proposes anything about the two until `tx` ends."""
    living = await merged_customers.lock_pair(tx, draft.survivor_id, draft.merged_id)
    if len(living) < 2:  # noqa: PLR2004 -- both
        raise not_found()
    if len({row.customer_type for row in living}) > 1:
        raise _unfit("a person and a company cannot be one")
    taken = await merges.open_customer(tx, [draft.survivor_id, draft.merged_id])
    if taken is not None:
        given = {"customer": f"customers/{taken}"}
        raise Refused(Kind.PRECONDITION, "MERGE_OPEN", "the customer stands in another open merge", given)


async def decide(tx: AsyncConnection, reading: Reading, decision: Decision) -> Merge:
    """Approves, rejects, cancels or undoes. The merge moves on when all who are asked have said the same.

    Refuses whoever may not know of it as if it did not exist, whoever knows of it and is not asked, the proposer (but
    for cancelling), and what the state or the days since do not allow.
    """
    check_reason(decision.reason)
    person = await person_of(tx, reading.viewer)
    merge = await merges.lock(tx, decision.merge_id)
    if merge is None or not sees(merge, person):
        raise not_found()
    if decision.etag and decision.etag != etag_of(merge):
        raise Refused(Kind.CONFLICT, "ETAG_MISMATCH", "the merge has changed since you read it")
    after = TRANSITIONS.get((merge.state, decision.verb))
    if after is None:
        given = {"state": merge.state.value}
        message = f"a merge that is {merge.state.value} does not allow this"
        raise Refused(Kind.PRECONDITION, "MERGE_STATE", message, given)
    branch_ids = _answering(merge, decision.verb, person)
    if decision.verb is Verb.UNDO:
        await _check_undo(tx, merge, person)
    whole = decision.verb in {Verb.REJECT, Verb.CANCEL} or is_complete(merge, decision.verb, branch_ids)
    event = (decision.verb, person.staff_id, branch_ids, decision.reason)
    await merges.record(tx, merge, event, after if whole else merge.state)
    return await _found(tx, decision.merge_id)


async def get_merge(conn: AsyncConnection, reading: Reading, merge_id: str) -> Merge:
    """One merge; refused alike if it is absent and if the viewer may not know of it."""
    merge = await merges.get(conn, merge_id)
    if not sees_one(merge, await person_of(conn, reading.viewer)) or merge is None:
        raise not_found()
    await note_reads(conn, reading, {merge.survivor_id, merge.merged_id})
    return merge


async def list_merges(
    conn: AsyncConnection, reading: Reading, wanted: Wanted, before: tuple[datetime, str], size: int
) -> tuple[Sequence[Merge], Merge | None]:
    """A page of the merges that the viewer may know of, the youngest first, and the last one looked at if more follow.

    With `waiting` only those that wait for his answer: a page may then hold fewer than asked for.
    """
    person = await person_of(conn, reading.viewer)
    looked_at = await merges.page(conn, wanted, person, before, size + 1)
    page = [one for one in looked_at[:size] if sees(one, person) and (not wanted.waiting or _waits_for(one, person))]
    await note_reads(conn, reading, {one for merge in page for one in (merge.survivor_id, merge.merged_id)})
    return page, looked_at[size - 1] if len(looked_at) > size else None


def sees_one(merge: Merge | None, person: Person) -> bool:
    """Whether there is a merge of which a person may know."""
    return merge is not None and sees(merge, person)


def etag_of(merge: Merge) -> str:
    """Changes with every change of the merge."""
    return f"{merge.version:x}"


def _waits_for(merge: Merge, person: Person) -> bool:
    if is_involved(merge, person):
        return False
    answers = answers_for(merge, person)
    if merge.state is State.PROPOSED and not merge.asked:
        return bool(answers)
    return bool(answers & merge.waiting)


def _answering(merge: Merge, verb: Verb, person: Person) -> frozenset[str]:
    """The branches for which somebody decides; refuses whoever may not."""
    if verb is Verb.CANCEL:
        if person.staff_id != merge.proposer_id:
            raise Refused(Kind.FORBIDDEN, "NOT_APPROVER", "only its proposer takes a merge back")
        return frozenset({person.branch_id})
    if is_involved(merge, person):
        raise Refused(Kind.FORBIDDEN, "FOUR_EYES", "another person must decide about this merge")
    branch_ids = answers_for(merge, person)
    if not branch_ids:
        raise Refused(Kind.FORBIDDEN, "NOT_APPROVER", "the heads of the primary branches decide about this merge")
    return branch_ids


async def _check_undo(tx: AsyncConnection, merge: Merge, person: Person) -> None:
    until = merge.undo_until_time
    assert until is not None, "a merge that is done has a time"
    if await duplicates.bank_now(tx) >= until:
        given = {"undo_until_time": until.isoformat()}
        raise Refused(Kind.PRECONDITION, "MERGE_UNDO_LATE", "the days for an undo are over", given)
    later = await merges.later_merge(tx, merge)
    if later is not None:
        # It may be a merge of which he may not know: then only that there is one.
        given = {"merge": f"merges/{later}"} if sees_one(await merges.get(tx, later), person) else {}
        raise Refused(Kind.PRECONDITION, "MERGE_LATER", "a later merge of the survivor must be undone first", given)
    taken = await merges.open_customer(tx, [merge.survivor_id, merge.merged_id])
    if taken is not None:
        given = {"customer": f"customers/{taken}"}
        raise Refused(Kind.PRECONDITION, "MERGE_OPEN", "the customer stands in another open merge", given)


async def _found(tx: AsyncConnection, merge_id: str) -> Merge:
    merge = await merges.get(tx, merge_id)
    assert merge is not None, "it was locked or added in this transaction"
    return merge


def _unfit(message: str) -> Refused:
    return Refused(Kind.INVALID, "MERGE_UNFIT", message)
