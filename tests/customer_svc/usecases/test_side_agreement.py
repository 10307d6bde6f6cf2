"""Tags, notes, the timeline and unmasking open to whom the matrix of domain.md 3 opens them, and to nobody else."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chassis.errors import Kind, Refused
from policy.visibility import CLEAR_FROM
from services.customer_svc.domain import timeline as events
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.notes import Listed
from services.customer_svc.domain.tags import HandChange
from services.customer_svc.domain.unmasking import Unmasking
from services.customer_svc.domain.viewing import Level, Reading, Viewer
from services.customer_svc.store import notes as stored_notes
from services.customer_svc.usecases import notes, tags, timeline
from services.customer_svc.usecases.get_customer import get_customer
from services.customer_svc.usecases.unmask_contact_data import unmask_contact_data

T = TypeVar("T")

DAY = date(2026, 6, 30)
BRANCHES = ["b0", "b1", "b2"]
PARENTS = {"b0": None, "b1": "b0", "b2": "b0"}
STAFF = ["s0", "s1"]
ROLES = [*["BRANCH_HEAD", "MANAGER"] * 3, "PRIVATE_MANAGER", "TELLER", "ANALYST", "AUDITOR", "SERVICE"]
TAG = "CHURN_RISK"

VIEWERS = st.builds(
    Viewer,
    st.sampled_from(STAFF),
    st.sampled_from(BRANCHES),
    st.frozensets(st.sampled_from(ROLES), min_size=1, max_size=2),
)
OWNERSHIPS = st.lists(
    st.tuples(st.sampled_from(BRANCHES), st.none() | st.sampled_from(STAFF)), unique_by=lambda row: row[0], min_size=2
)
PEOPLE = st.lists(st.tuples(OWNERSHIPS | st.just([]), st.none() | st.sampled_from(STAFF)), min_size=3, max_size=4)


@dataclass(frozen=True)
class Seen:
    """One customer, as one viewer ought to see him."""

    person: Any
    level: int
    own: str | None
    branches: set[str]
    """Whose sides of him are seen."""

    def sees(self, field: str) -> bool:
        return self.level >= CLEAR_FROM[field]


def person_of(matrix: Any, number: int, drawn: tuple[list[tuple[str, str | None]], str | None]) -> Any:
    rows, private = drawn
    owners = [
        Owner(branch, "SECONDARY" if place else "PRIMARY", manager, DAY, None if place else private)
        for place, (branch, manager) in enumerate(rows)
    ]
    row = {"customer_id": f"c{number}", "mobile": f"1380000000{number}"}
    nothing = {name: [] for name in ("loans", "holdings", "tags", "groups", "contacts")}
    return matrix.person(row, owners, figures={}, values={}, room=None, **nothing)


async def fill(bank: Any, world: Any) -> None:
    """Every customer has a tag with a past, and an account and a note at every branch, whether that owns him or not."""
    await bank.empty()
    await bank.grow(world.parents)
    await bank.load("customers", [person.row for person in world.people])
    accounts = [
        {"account_id": f"{p.id}-{branch}", "customer_id": p.id, "branch_id": branch}
        for p in world.people
        for branch in BRANCHES
    ]
    await bank.load("accounts", accounts)
    await bank.own({person.id: person.owners for person in world.people})
    async with bank.database.begin() as tx:
        for person in world.people:
            for branch in BRANCHES:
                await stored_notes.add(tx, person.id, f"of {branch}", "s9", branch)
            await tx.execute(CARRIED, {"id": person.id, "tag": TAG})
            await tx.execute(CHANGED, {"id": person.id, "tag": TAG})


CARRIED = text(
    "INSERT INTO potential_tags (customer_id, tag_code, rule_version, as_of_date, expiry_date, evidence)"
    " VALUES (:id, :tag, '1', date '2026-06-30', date '2026-07-30', '{}')"
)
CHANGED = text(
    "INSERT INTO tag_changes (customer_id, tag_code, kind, reason, actor, branch_id)"
    " VALUES (:id, :tag, 'SET', 'seen', 's9', 'b9')"
)


async def opened(work: Awaitable[T], *, open_to: bool) -> T | None:
    """What is shown; nothing if the customer is as absent as one who never was."""
    if open_to:
        return await work
    with pytest.raises(Refused) as refused:
        await work
    assert (refused.value.kind, refused.value.reason) == (Kind.NOT_FOUND, "NOT_FOUND")
    return None


async def check_masked(conn: Any, seen: Seen, reading: Reading) -> None:
    view = await opened(get_customer(conn, seen.person.id, reading), open_to=seen.level > 0)
    assert view is None or view.level == Level(seen.level)


async def check_tags(conn: Any, seen: Seen, reading: Reading) -> None:
    customer_id, open_to = seen.person.id, seen.sees("tags")
    one = await opened(tags.get_customer_tag(conn, reading, customer_id, TAG), open_to=open_to)
    listed = await opened(tags.list_customer_tags(conn, reading, customer_id, with_past=True), open_to=open_to)
    changes = await opened(tags.list_changes(conn, reading, (customer_id, ""), 1 << 60, 9), open_to=open_to)
    change = HandChange(customer_id, TAG, "seen to be so", DAY, reading.viewer.staff_id, reading.viewer.branch_id)
    changed = await opened(tags.set_tag(conn, reading.viewer, change), open_to=open_to)
    if open_to:
        assert one is not None
        assert listed is not None
        assert changed is not None
        assert one.tag.code == changed.tag.code == TAG
        assert [tag.tag.code for tag in listed[0]] == [TAG]
        assert [each.reason for each in changes or ()] == ["seen"]


async def check_notes(conn: Any, seen: Seen, reading: Reading) -> None:
    customer_id = seen.person.id
    shown = await opened(notes.list_notes(conn, reading, customer_id, Listed(None, 9)), open_to=seen.sees("notes"))
    assert {note.branch_id for note in shown or ()} == (seen.branches if seen.sees("notes") else set())
    for note in await every_note(conn, customer_id):
        open_to = seen.sees("notes") and note.branch_id in seen.branches
        one = await opened(notes.get_note(conn, reading, customer_id, note.note_id), open_to=open_to)
        assert one in {None, note}
    await opened(notes.create_note(conn, reading, customer_id, "one more"), open_to=seen.sees("notes"))


async def every_note(conn: Any, customer_id: str) -> list[Any]:
    ids = await conn.execute(text("SELECT note_id FROM notes WHERE customer_id = :id"), {"id": customer_id})
    found = [await stored_notes.get(conn, customer_id, note_id) for note_id in ids.scalars()]
    return [note for note in found if note is not None]


async def check_timeline(bank: Any, seen: Seen, reading: Reading) -> None:
    wanted = events.Wanted(frozenset(events.Kind) - events.OF_OTHERS, 50)
    work = timeline.list_timeline(bank.database, ask_nobody, reading, seen.person.id, wanted)
    told = await opened(work, open_to=seen.sees("own"))
    if told is None:
        return
    of_kind = {
        kind: {(entry.branch_id, entry.subject) for entry in told.entries if entry.kind is kind} for kind in events.Kind
    }
    at_all = seen.sees("other_branches")
    assert {branch for branch, _ in of_kind[events.Kind.NOTE]} == seen.branches
    assert bool(of_kind[events.Kind.TAG_CHANGED]) == seen.sees("tags")
    assert of_kind[events.Kind.ACCOUNT_OPENED] == {
        (branch, f"{seen.person.id}-{branch}" if branch == seen.own or seen.level == Level.SERVICE else "")
        for branch in BRANCHES
        if at_all or branch == seen.own
    }


async def ask_nobody(_customer_id: str, _wanted: events.Wanted) -> tuple[tuple[()], tuple[()]]:
    return (), ()


async def check_unmasking(conn: Any, bank: Any, seen: Seen, reading: Reading) -> None:
    unmasking = Unmasking(seen.person.id, "CALLBACK", None, str(uuid4()))
    work = unmask_contact_data(conn, unmasking, reading, bank.keys)
    shown = await opened(work, open_to=seen.sees("contacts"))
    assert shown is None or shown.contact_data.mobile == seen.person.row["mobile"]
    assert shown is None or (shown.remaining is None) == seen.sees("mobile"), "counted is who sees it masked"


def as_seen(matrix: Any, world: Any, viewer: Viewer, person: Any) -> Seen:
    oracle = matrix.oracle(world, viewer)
    level = oracle.level(person)
    mine = {row.branch_id for row in person.owners if oracle.row_level(row) >= Level.SECONDARY}
    return Seen(person, level, oracle.own(person), set(BRANCHES) if level >= Level.PRIMARY else mine)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(drawn=PEOPLE, viewers=st.lists(VIEWERS, min_size=3, max_size=3))
async def test_tags_notes_timeline_and_unmasking_agree_with_the_matrix(bank, matrix, drawn, viewers) -> None:
    world = matrix.world(PARENTS, [person_of(matrix, number, each) for number, each in enumerate(drawn)])
    await fill(bank, world)
    for viewer in viewers:
        reading = Reading(viewer, "request-1", "test", bank.keys)
        for person in [*world.people, person_of(matrix, 9, ([], None))]:
            seen = as_seen(matrix, world, viewer, person)
            if person not in world.people:
                seen = Seen(person, 0, None, set())
            # What is written here is not kept: the next viewer finds the customer as he was.
            async with bank.database.begin() as conn:
                kept = await conn.begin_nested()
                await check_masked(conn, seen, reading)
                await check_tags(conn, seen, reading)
                await check_notes(conn, seen, reading)
                await check_unmasking(conn, bank, seen, reading)
                await kept.rollback()
            await check_timeline(bank, seen, reading)
