"""Merges as they stand, with who did what, and which steps are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.merging import Merging
from services.customer_svc.domain.merges import OPEN_STATES, Draft, Event, Merge, Part, Person, State, Step, Verb

_COLUMNS = """
SELECT m.*,
  (SELECT array_agg(DISTINCT o.branch_id) FROM owners o
    WHERE o.customer_id IN (m.customer_id, m.merged_id) AND o.side = 'PRIMARY') AS primary_branch_ids,
  (SELECT json_agg(json_build_array(e.verb, e.actor, e.branch_id, e.reason, e.event_time) ORDER BY e.ordinal)
    FROM merge_events e WHERE e.customer_id = m.customer_id AND e.merge_id = m.merge_id) AS event_rows,
  (SELECT json_agg(json_build_array(s.part, s.done_time) ORDER BY s.done_time, s.part) FROM merge_steps s
    WHERE s.customer_id = m.customer_id AND s.merge_id = m.merge_id AND s.undo = (m.state IN ('UNDOING', 'UNDONE')))
    AS step_rows
FROM merges m
"""
# As domain.merges.sees says, and answers_for; the pages are cut before that is decided once more.
_SEEN = """
(:everything OR m.proposer_id = :staff_id
  OR EXISTS (SELECT FROM merge_events e WHERE e.customer_id = m.customer_id AND e.merge_id = m.merge_id
    AND (e.actor = :staff_id OR :leads AND e.verb = 'APPROVE' AND e.branch_id = :branch_id))
  OR :leads AND EXISTS (SELECT FROM owners o WHERE o.customer_id IN (m.customer_id, m.merged_id)
    AND o.side = 'PRIMARY' AND o.branch_id = ANY (CAST(:branch_ids AS text[]))))
"""
_PAGE = text(
    f"""{_COLUMNS}
WHERE {_SEEN} AND (:state = '' OR m.state = :state) AND (:open_only = false OR m.state IN ('PROPOSED', 'DONE'))
  AND (m.create_time, m.merge_id) < (:before_time, :before_id)
ORDER BY m.create_time DESC, m.merge_id DESC LIMIT :limit"""
).columns(event_rows=JSON, step_rows=JSON)
_ONE = text(f"{_COLUMNS} WHERE m.merge_id = :merge_id").columns(event_rows=JSON, step_rows=JSON)
_WORK = text(
    f"{_COLUMNS} WHERE m.state IN ('RUNNING', 'UNDOING') ORDER BY m.create_time, m.merge_id LIMIT :limit"
).columns(event_rows=JSON, step_rows=JSON)
_ADD = text("""
INSERT INTO merges (customer_id, merge_id, merged_id, reason, state, proposer_id, proposer_branch_id, proposer_leads)
VALUES (:survivor_id, :merge_id, :merged_id, :reason, 'PROPOSED', :staff_id, :branch_id, :leads)""")
_ADD_EVENT = text("""
INSERT INTO merge_events (customer_id, merge_id, ordinal, verb, actor, branch_id, reason)
SELECT :customer_id, :merge_id, coalesce(max(ordinal), 0) + 1, :verb, :actor, :branch_id, :reason
FROM merge_events WHERE customer_id = :customer_id AND merge_id = :merge_id""")
_SET_STATE = text("""
UPDATE merges SET state = :state, version = version + 1, update_time = bank_now(),
  done_time = CASE WHEN CAST(:state AS text) = 'DONE' AND state = 'RUNNING' THEN bank_now() ELSE done_time END
WHERE customer_id = :customer_id AND merge_id = :merge_id""")
_OPEN = text(
    "SELECT customer_id, merged_id FROM merges WHERE state = ANY (CAST(:states AS text[]))"
    " AND (customer_id = ANY (CAST(:ids AS text[])) OR merged_id = ANY (CAST(:ids AS text[]))) LIMIT 1"
)
_LATER = text("""
SELECT merge_id FROM merges
WHERE state IN ('RUNNING', 'DONE', 'UNDOING') AND merge_id <> :merge_id
  AND (merged_id = :survivor_id OR customer_id = :survivor_id AND (done_time IS NULL OR done_time > :done_time))
ORDER BY done_time DESC NULLS FIRST LIMIT 1""")
_STEP = text(
    "INSERT INTO merge_steps (customer_id, merge_id, undo, part) VALUES (:survivor_id, :merge_id, :undo, :part)"
    " ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True)
class Wanted:
    """Which merges to list: in one state, and only those that may wait for an answer."""

    state: State | None = None
    waiting: bool = False


async def add(tx: AsyncConnection, merge_id: str, draft: Draft, person: Person) -> None:
    """Stores a proposal; its history begins with it."""
    who = {"staff_id": person.staff_id, "branch_id": person.branch_id, "leads": person.leads}
    await tx.execute(_ADD, {**vars(draft), "merge_id": merge_id, **who})
    key = {"customer_id": draft.survivor_id, "merge_id": merge_id, "verb": Verb.PROPOSE.value}
    await tx.execute(_ADD_EVENT, {**key, "actor": person.staff_id, "branch_id": person.branch_id, "reason": ""})


async def get(conn: AsyncConnection, merge_id: str) -> Merge | None:
    """One merge."""
    row = (await conn.execute(_ONE, {"merge_id": merge_id})).one_or_none()
    return None if row is None else _merge(row)


async def lock(tx: AsyncConnection, merge_id: str) -> Merge | None:
    """One merge, which nobody else changes until `tx` ends."""
    await tx.execute(text("SELECT FROM merges WHERE merge_id = :merge_id FOR UPDATE"), {"merge_id": merge_id})
    return await get(tx, merge_id)


async def page(
    conn: AsyncConnection, wanted: Wanted, person: Person, before: tuple[datetime, str], limit: int
) -> list[Merge]:
    """Merges of which a person may know, the youngest first, beginning after a place."""
    # A head above may answer for a proposer's branch below; what that is worth is decided by the domain.
    branch_ids = person.subtree if person.leads else frozenset[str]()
    rows = await conn.execute(
        _PAGE,
        {
            "everything": person.leads and person.at_top,
            "staff_id": person.staff_id,
            "leads": person.leads,
            "branch_id": person.branch_id,
            "branch_ids": sorted(branch_ids),
            "state": wanted.state.value if wanted.state else "",
            "open_only": wanted.waiting,
            "before_time": before[0],
            "before_id": before[1],
            "limit": limit,
        },
    )
    return [_merge(row) for row in rows]


async def to_do(conn: AsyncConnection, limit: int) -> list[Merge]:
    """The merges of which parts are to be done, the oldest first."""
    return [_merge(row) for row in await conn.execute(_WORK, {"limit": limit})]


async def record(tx: AsyncConnection, merge: Merge, event: tuple[Verb, str, frozenset[str], str], state: State) -> None:
    """Adds to a merge's history what somebody did for some branches, and moves its state."""
    verb, actor, branch_ids, reason = event
    key = {"customer_id": merge.survivor_id, "merge_id": merge.merge_id}
    for branch_id in sorted(branch_ids) or [""]:
        told = {"verb": verb.value, "actor": actor, "branch_id": branch_id, "reason": reason}
        await tx.execute(_ADD_EVENT, {**key, **told})
    await tx.execute(_SET_STATE, {**key, "state": state.value})


async def open_customer(tx: AsyncConnection, customer_ids: Sequence[str]) -> str | None:
    """One of these customers who stands in an open merge."""
    row = (await tx.execute(_OPEN, {"states": [one.value for one in OPEN_STATES], "ids": list(customer_ids)})).first()
    if row is None:
        return None
    return row.customer_id if row.customer_id in customer_ids else row.merged_id


async def later_merge(tx: AsyncConnection, merge: Merge) -> str | None:
    """The last merge that stands and moved the survivor's rows after this one: into him, or of himself."""
    values = {"survivor_id": merge.survivor_id, "merge_id": merge.merge_id, "done_time": merge.done_time}
    return (await tx.execute(_LATER, values)).scalar_one_or_none()


async def step_done(tx: AsyncConnection, merging: Merging, part: Part, *, undo: bool) -> bool:
    """Marks a step as done; False if it was."""
    values = {"survivor_id": merging.survivor_id, "merge_id": merging.merge_id, "undo": undo, "part": part.value}
    return bool((await tx.execute(_STEP, values)).rowcount)


def _merge(row: Row[Any]) -> Merge:
    return Merge(
        merge_id=row.merge_id,
        survivor_id=row.customer_id,
        merged_id=row.merged_id,
        reason=row.reason,
        state=State(row.state),
        proposer_id=row.proposer_id,
        proposer_branch_id=row.proposer_branch_id,
        proposer_leads=row.proposer_leads,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        done_time=row.done_time,
        primary_branch_ids=frozenset(row.primary_branch_ids or ()),
        events=[
            Event(Verb(verb), actor, branch_id, reason, datetime.fromisoformat(at))
            for verb, actor, branch_id, reason, at in row.event_rows or ()
        ],
        steps=[Step(Part(part), datetime.fromisoformat(at)) for part, at in row.step_rows or ()],
    )
