"""The steps of a merge and of its undo: in their order, marked, and gone on with after a crash at any of them."""

import asyncio

import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from chassis.sql.merging import Merging
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.merges import Draft, Person, State, Verb
from services.customer_svc.jobs.merges import run_some
from services.customer_svc.store import merges
from services.customer_svc.usecases.run_merges import Peers, run_merge

HEAD = Person("h1", "b1", leads=True, subtree=frozenset({"b1"}), at_top=False)
OWNER = Owner("b1", "PRIMARY", None, None)


class Others:
    """Stand for assignment_svc and campaign_svc: do their part once each, and fail where a test says."""

    def __init__(self, bank):
        self.bank = bank
        self.asked: list[str] = []
        self.fails_before = self.fails_after = ""
        self.peers = Peers(
            self.told("merge_ownership", {"t": []}),
            self.told("undo_ownership", {"t": [OWNER]}),
            self.told("merge_contacts"),
            self.told("undo_contacts"),
        )

    def told(self, name, owners_of=None):
        async def call(merging: Merging) -> bool:
            assert (merging.survivor_id, merging.merged_id) == ("s", "t")
            if self.fails_before == name:
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "the process died")
            self.asked.append(name)
            if owners_of is not None:
                await self.bank.own(owners_of)
            if self.fails_after == name:
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "the answer was lost")
            return True

        return call


@pytest.fixture
async def others(bank):
    """s and t have an account and an owner each, and somebody approved their merge."""
    await bank.load("customers", [{"customer_id": one} for one in "st"])
    await bank.load("accounts", [{"account_id": f"a{one}", "customer_id": one, "branch_id": "b1"} for one in "st"])
    await bank.own({"s": [OWNER], "t": [OWNER]})
    async with bank.database.begin() as tx:
        await merges.add(tx, "m1", Draft("s", "t", "one"), HEAD)
        merge = await merges.get(tx, "m1")
        assert merge is not None
        await merges.record(tx, merge, (Verb.APPROVE, "h2", frozenset({"b1"}), ""), State.RUNNING)
    return Others(bank)


async def merge_of(bank):
    async with bank.database.read() as conn:
        merge = await merges.get(conn, "m1")
    assert merge is not None
    return merge


async def undoing(bank):
    async with bank.database.begin() as tx:
        merge = await merges.lock(tx, "m1")
        assert merge is not None
        await merges.record(tx, merge, (Verb.UNDO, "h2", frozenset({"b1"}), "two"), State.UNDOING)


async def watched(bank, work):
    """Does the work while somebody looks: every living customer with an account has one primary at any moment."""
    broken: list[object] = []

    async def look():
        asked = """
SELECT c.customer_id FROM customers c WHERE NOT c.gone
  AND EXISTS (SELECT FROM accounts a WHERE a.customer_id = c.customer_id)
  AND (SELECT count(*) FROM owners o WHERE o.customer_id = c.customer_id AND o.side = 'PRIMARY') <> 1"""
        while True:
            async with bank.database.read() as conn:
                broken.extend((await conn.execute(text(asked))).all())
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    try:
        await work
    finally:
        looking.cancel()
        await asyncio.wait([looking])
    assert broken == []


async def test_a_merge_and_its_undo_are_done_step_by_step(bank, others):
    await watched(bank, run_some(bank.database, others.peers))
    merge = await merge_of(bank)
    assert merge.state is State.DONE
    assert merge.done_time is not None
    assert len(merge.steps) == 3
    assert [event.verb for event in merge.events] == [Verb.PROPOSE, Verb.APPROVE, Verb.FINISH]
    assert others.asked == ["merge_ownership", "merge_contacts"]
    others.asked.clear()
    await undoing(bank)
    await watched(bank, run_some(bank.database, others.peers))
    assert (await merge_of(bank)).state is State.UNDONE
    assert others.asked == ["undo_contacts", "undo_ownership"]
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, account_id FROM accounts ORDER BY 1"))
        assert [tuple(row) for row in rows] == [("s", "as"), ("t", "at")]


@pytest.mark.parametrize("when", ["fails_before", "fails_after"])
@pytest.mark.parametrize("name", ["merge_ownership", "merge_contacts", "undo_contacts", "undo_ownership"])
async def test_a_crash_at_any_step_is_gone_on_with(bank, others, when, name):
    for begin in (None, undoing):
        if begin is not None:
            await begin(bank)
        setattr(others, when, name)
        await run_some(bank.database, others.peers)
        setattr(others, when, "")
        await run_some(bank.database, others.peers)
    assert (await merge_of(bank)).state is State.UNDONE
    async with bank.database.read() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM customers WHERE gone"))).scalar_one() == 0
        left = (
            "SELECT (SELECT count(*) FROM merged_customers), (SELECT count(*) FROM merge_rows WHERE label <> 'undone')"
        )
        assert tuple((await conn.execute(text(left))).one()) == (0, 0)


async def test_a_crash_before_the_end_leaves_only_the_end_to_do(bank, others, monkeypatch):
    async def dies(*_given):
        raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "the process died")

    with monkeypatch.context() as patched:
        patched.setattr(merges, "record", dies)
        assert await run_some(bank.database, others.peers) == (0, 1)
    assert len((await merge_of(bank)).steps) == 3
    assert await run_some(bank.database, others.peers) == (1, 0)
    assert others.asked == ["merge_ownership", "merge_contacts"]


async def test_two_who_work_at_once_finish_it_once(bank, others):
    merge = await merge_of(bank)
    both = [run_merge(bank.database, others.peers, merge) for _ in range(2)]
    ended = await asyncio.gather(*both, return_exceptions=True)
    # The second waits for now while the first keeps imports out.
    assert sum(one is None for one in ended) >= 1
    await run_some(bank.database, others.peers)
    assert [event.verb for event in (await merge_of(bank)).events].count(Verb.FINISH) == 1


async def test_an_import_under_way_keeps_a_merge_waiting(bank, others):
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('import\naccounts', 0))"
    async with bank.database.begin() as tx:
        await tx.execute(text(lock))
        assert await run_some(bank.database, others.peers) == (0, 1)
    assert await run_some(bank.database, others.peers) == (1, 0)
