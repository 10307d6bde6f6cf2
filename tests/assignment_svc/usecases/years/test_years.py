"""Years of a small bank, by chance: what its source tells, what people do by hand, and that all promises hold.

After every step everything of `YearsBank.check` holds; what each act promises by itself is checked beside it.
"""

import uuid
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from chassis.errors import Kind as Refusal
from chassis.errors import Refused
from chassis.sql.merging import Merging
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.bulk_transfers import Line
from services.assignment_svc.domain.changes import row_etag
from services.assignment_svc.domain.requests import Kind
from services.assignment_svc.jobs import escalations
from services.assignment_svc.store import ownerships
from services.assignment_svc.usecases import (
    approvals,
    bulk_transfers,
    change_history,
    claims,
    name_managers,
    requests,
)
from services.assignment_svc.usecases.allocate_changed import allocate_some
from services.assignment_svc.usecases.allocate_ownerships import Report, allocate_ownerships
from services.assignment_svc.usecases.approvals import Given
from services.assignment_svc.usecases.bulk_transfers import Answer, Sent
from services.assignment_svc.usecases.manual_changes import Who
from services.assignment_svc.usecases.merge_ownership import merge_ownership, undo_merge_ownership
from services.assignment_svc.usecases.name_managers import Asked
from services.assignment_svc.usecases.request_plans import Wish

STEPS = 100
CAPACITY = 2
NIGHTS_APART = (0, 1, 1, 3, 7, 14, 31, 61, 91)
# What people do to the ownership of a customer by hand; who gets him by that has room for him.
BY_HAND = frozenset({"claim", "assign", "release", "undo", "answer", "answer_file"})


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def breaks_off(_done: int, _total: int) -> bool:
    return False


class Years:
    """What happens, one act after the other; each is a method of this class."""

    def __init__(self, bank: Any) -> None:
        self.bank = bank
        self.database = bank.database
        self.chance = bank.chance
        self.files: list[str] = []
        self.merges: list[tuple[Merging, date]] = []

    async def step(self, log: list[str]) -> None:
        """One act and its checks; a refusal is no fault, whatever else goes wrong is."""
        before = self.bank.seen
        act = "night" if self.bank.undecided and self.chance.random() < 0.6 else self.chance.choices(ACTS, WEIGHTS)[0]
        log.append(f"{self.bank.day} {act}")
        try:
            await getattr(self if hasattr(self, act) else self.bank.organisation, act)()
            self.bank.tally[act] += 1
        except self.bank.nobody:
            # Staff may have been moved out of a branch that is not closed then.
            pass
        except Refused as refused:
            if refused.kind is Refusal.INVALID:
                raise
            self.bank.tally[f"{act} {refused.reason}"] += 1
        self.bank.seen = after = await self.bank.check()
        check_by_hand(act, before, after, self.bank.day)

    def who(self, staff: Any) -> Who:
        return Who(staff.staff_id, staff.branch_id, str(uuid.uuid4()), "M")

    async def etag_of(self, row: Any) -> str:
        async with self.database.read() as conn:
            [found] = await ownerships.of_customers(conn, [row.customer_id])
        return next(row_etag(one) for one in found.owners if one.branch_id == row.branch_id)

    # What the source tells, and nights.

    async def facts(self) -> None:
        """The whole facts of a day come, some days after the last one or in its place, perhaps twice."""
        if self.bank.undecided:
            raise self.bank.nobody
        before = self.bank.day
        day = before + timedelta(days=self.chance.choice(NIGHTS_APART))
        staff = [one for one in self.bank.seen.staff.values() if one.branch_id != "hq"]
        self.bank.source.live(before, day, staff, self.bank.seen.open_branches())
        await self.bank.go_on(day)
        await self.bank.send("branch_facts", self.bank.source.facts(day))
        self.bank.undecided = True
        if self.chance.random() < 0.2:
            again = await self.bank.send("branch_facts", self.bank.source.facts(day))
            assert (again.inserted, again.updated) == (0, 0), f"told twice: {again}"

    async def night(self) -> None:
        """The night of the facts; perhaps it breaks off first. A second one changes nothing."""
        if self.chance.random() < 0.2:
            await allocate_ownerships(self.database, self.bank.day, breaks_off)
        report = await allocate_ownerships(self.database, self.bank.day, goes_on)
        self.bank.undecided, self.bank.has_night = False, True
        assert report.counts.customers >= report.counts.changed_customers
        again = await self._everybody()
        assert again.counts.changed_rows == 0, f"a second night changed {again.counts}"
        after = await self.bank.picture()
        for row in after.lives():
            manager = after.staff.get(row.manager_id)
            assert row.manager_id is None or manager.branch_id == row.branch_id, f"{row} of somebody elsewhere"
            assert manager is None or manager in after.active(self.bank.day, row.branch_id, manager.roles[0]), f"{row}"

    async def night_again(self) -> None:
        """By day the same night finds nothing that the facts or people changed; staff may have come and gone."""
        if self.bank.undecided or not self.bank.has_night:
            raise self.bank.nobody
        first = await self._everybody()
        assert (await self._everybody()).counts.changed_rows == 0
        self.bank.tally["rows changed by staff alone"] += first.counts.changed_rows

    async def _everybody(self) -> Report:
        return await allocate_ownerships(self.database, self.bank.day, goes_on, everybody=True)

    async def facts_by_day(self) -> None:
        """Facts of some customers come within the day that follows, and are decided at once."""
        before = self.bank.day
        if self.bank.undecided:
            raise self.bank.nobody
        day = before + timedelta(days=1)
        staff = [one for one in self.bank.seen.staff.values() if one.branch_id != "hq"]
        self.bank.source.live(before, day, staff, self.bank.seen.open_branches())
        some = self.chance.sample(sorted(self.bank.source.pieces), 4)
        await self.bank.go_on(day)
        self.bank.has_night = False
        await self.bank.send("branch_facts_changes", self.bank.source.facts(day, some))
        while await self.database.repeat(allocate_some) is not None:
            pass

    # What people do by hand.

    async def claim(self) -> None:
        row = self.bank.some(
            row for row in self.bank.seen.lives() if row.manager_id is None or self.chance.random() < 0.1
        )
        staff = self.bank.some(self.bank.seen.active(self.bank.today, row.branch_id))
        caller, who = self.bank.caller(staff), self.who(staff)
        await self.database.repeat(lambda tx: claims.claim(tx, caller, who, row.customer_id, "mine"))

    async def assign(self) -> None:
        row, head = self._row_and_head()
        new = self.chance.choice([None, *self.bank.seen.active(self.bank.today, row.branch_id)])
        asked = Asked(row.customer_id, row.branch_id, "better", await self.etag_of(row))
        new_id = new and new.staff_id
        caller, who = self.bank.caller(head), self.who(head)
        await self.database.repeat(lambda tx: name_managers.assign(tx, caller, who, asked, new_id))

    async def release(self) -> None:
        row = self.bank.some(row for row in self.bank.seen.lives() if row.manager_id)
        staff = self.chance.choice([self.bank.seen.staff[row.manager_id], self.bank.head_of(row.branch_id)])
        asked = Asked(row.customer_id, row.branch_id, "moved", await self.etag_of(row))
        caller, who = self.bank.caller(staff), self.who(staff)
        await self.database.repeat(lambda tx: name_managers.release(tx, caller, who, asked))

    async def undo(self) -> None:
        changes = [one for one in self.bank.seen.changes if one.kind in {"ASSIGN", "UNASSIGN", "CLAIM", "RELEASE"}]
        young = [one for one in changes if self.bank.seen.roots[one.customer_id].rev == one.rev_after]
        change = self.bank.some(young if young and self.chance.random() < 0.9 else changes[-6:])
        head = self.bank.head_of(change.branch_id)
        caller, who, named = self.bank.caller(head), self.who(head), (change.customer_id, change.change_id)
        await self.database.repeat(lambda tx: change_history.undo(tx, caller, who, named, "a mistake"))

    def _row_and_head(self) -> tuple[Any, Any]:
        row = self.bank.some(self.bank.seen.lives() if self.chance.random() < 0.9 else self.bank.seen.owners)
        return row, self.bank.head_of(row.branch_id)

    # Requests.

    async def ask(self) -> None:
        """Somebody asks for a transfer, a lock, an override or a reclaim."""
        kind, plan = self.chance.choice(
            (
                (Kind.PUSH, self._push),
                (Kind.PUSH, self._push),
                (Kind.PULL, self._pull),
                (Kind.PULL, self._pull),
                (Kind.LOCK, self._lock),
                (Kind.UNLOCK, self._unlock),
                (Kind.OFFICER, self._officer),
                (Kind.RECLAIM, self._reclaim),
            )
        )
        maker, row, more = plan()
        wish = Wish(kind, "for good reasons", row.customer_id, **more)
        caller, who = self.bank.caller(maker), self.who(maker)
        await self.database.repeat(lambda tx: requests.create(tx, caller, who, wish))
        self.bank.tally[f"asked {kind}"] += 1

    def _asker(self, row: Any) -> Any:
        """The manager of a row, or the head of its branch."""
        head = self.bank.head_of(row.branch_id)
        return self.chance.choice([head, self.bank.seen.staff.get(row.manager_id or "") or head])

    def _somebody(self, branch: str) -> str | None:
        found = self.chance.choice([None, *self.bank.seen.active(self.bank.today, branch)])
        return found and found.staff_id

    def _push(self) -> tuple[Any, Any, dict[str, Any]]:
        row, _ = self._row_and_head()
        target = self.chance.choice([row.branch_id, *self.bank.seen.open_branches()])
        return self._asker(row), row, {"to_branch_id": target, "to_manager_id": self._somebody(target)}

    def _pull(self) -> tuple[Any, Any, dict[str, Any]]:
        row, _ = self._row_and_head()
        branch = self.bank.some(self.bank.seen.open_branches())
        maker = self.bank.some([*self.bank.seen.active(self.bank.today, branch), self.bank.head_of(branch)])
        given = {"to_branch_id": maker.branch_id, "to_manager_id": self._somebody(maker.branch_id)}
        return maker, row, {**given, "display_name": "王", "masked_id_number": "1***8"}

    def _lock(self) -> tuple[Any, Any, dict[str, Any]]:
        row, _ = self._row_and_head()
        end = self.bank.day + timedelta(days=self.chance.choice((10, 90, 300)))
        return self._asker(row), row, {"end_date": end, "to_manager_id": self._somebody(row.branch_id)}

    def _unlock(self) -> tuple[Any, Any, dict[str, Any]]:
        locks = {(one.customer_id, one.branch_id) for one in self.bank.seen.holds if one.kind == "LOCK"}
        row = self.bank.some(row for row in self.bank.seen.owners if (row.customer_id, row.branch_id) in locks)
        return self._asker(row), row, {}

    def _officer(self) -> tuple[Any, Any, dict[str, Any]]:
        loans = {(one.customer_id, one.branch_id): one.loan_id for one in self.bank.seen.facts if one.loan_live}
        row = self.bank.some(row for row in self.bank.seen.lives() if (row.customer_id, row.branch_id) in loans)
        to = self.bank.some(self.bank.seen.active(self.bank.today, row.branch_id))
        given = {"loan_id": loans[row.customer_id, row.branch_id], "to_manager_id": to.staff_id}
        return self._asker(row), row, given

    def _reclaim(self) -> tuple[Any, Any, dict[str, Any]]:
        row = self.bank.some(row for row in self.bank.seen.lives() if row.manager_id)
        return self.bank.head_of(row.branch_id), row, {"seen_manager_id": row.manager_id}

    async def answer(self) -> None:
        """Who answers for one side of a request says yes or no, or its maker takes it back."""
        request = self.bank.some(self.bank.seen.requests)
        say = self.chance.choices((approvals.approve, approvals.refuse, approvals.withdraw), (8, 1, 1))[0]
        staff = self.bank.seen.staff[request.creator]
        if say is not approvals.withdraw:
            staff = self.bank.some(await self._answering("a.request_id = :of", request.request_id, request.creator))
        caller, who, given = self.bank.caller(staff), self.who(staff), Given(request.request_id, "well")
        view = await self.database.repeat(lambda tx: say(tx, caller, who, given))
        self.bank.tally[f"{say.__name__} {request.kind} {view.state}"] += 1

    async def _answering(self, which: str, of: str, creator: str) -> list[Any]:
        desks = await self.bank.run(
            "SELECT DISTINCT a.desk_branch_id FROM request_approval a LEFT JOIN bulk_transfer_line l USING (request_id)"
            f" WHERE a.answer = 'WAITING' AND a.desk_branch_id IS NOT NULL AND {which}",
            of=of,
        )
        heads = [one for (desk,) in desks for one in self.bank.seen.active(self.bank.today, desk, "BRANCH_HEAD")]
        return [one for one in heads if one.staff_id != creator]

    async def deadlines(self) -> None:
        """The job that asks the next level and ends what nobody answered."""
        await escalations.run_once(self.database, Wakeups(None))

    async def file(self) -> None:
        """Several customers of one branch are to go to others, by a file."""
        branch = self.bank.some(self.bank.seen.open_branches())
        head = self.bank.head_of(branch)
        rows = [row for row in self.bank.seen.lives() if row.branch_id == branch and row.side == "PRIMARY"]
        lines = [
            Line(number, row.customer_id, self.bank.some(self.bank.seen.open_branches()), None)
            for number, row in enumerate(self.chance.sample(rows, min(len(rows), 2)), 2)
        ]
        if not lines:
            raise self.bank.nobody
        sent = Sent(str(uuid.uuid4()), lines, "for good reasons", validate_only=self.chance.random() < 0.2)
        result = await bulk_transfers.transfer(self.database, self.who(head), sent, goes_on)
        assert bool(result.faults) == (result.transfer is None) or sent.validate_only
        if result.transfer is not None:
            self.files.append(sent.bulk_transfer_id)

    async def answer_file(self) -> None:
        file_id = self.bank.some(self.files)
        staff = self.bank.some(await self._answering("l.bulk_transfer_id = :of", file_id, ""))
        said = (self.chance.choice((Answer.APPROVE, Answer.APPROVE, Answer.REFUSE)), "well")
        await bulk_transfers.answer(self.database, self.who(staff), file_id, said, goes_on)

    # Two customers who were one.

    async def merge(self) -> None:
        here = [customer for customer, root in self.bank.seen.roots.items() if not root.gone]
        one, other = self.chance.sample(here, 2) if len(here) > 6 else self.bank.some([])
        merging = Merging(f"m{next(self.bank.numbers)}", one, other)
        await merge_ownership(self.database, merging, validate_only=False)
        self.merges.append((merging, self.bank.day))

    async def part(self) -> None:
        """The last merge turns out to be a mistake."""
        young = [one for one in self.merges[-1:] if (self.bank.day - one[1]).days <= 30]
        merging, _ = self.bank.some(young)
        await self.database.repeat(lambda tx: undo_merge_ownership(tx, merging))
        self.merges.pop()


def check_by_hand(act: str, before: Any, after: Any, day: date) -> None:
    """Who got a customer by hand has room for him and works there; and what was changed is told with who and why."""
    known = {change.change_id for change in before.changes}
    changes = [change for change in after.changes if change.change_id not in known]
    if act not in BY_HAND:
        return
    loads, were = after.loads(), before.loads()
    relatives = {(one.staff_id, one.customer_id) for one in before.relations}
    for change in changes:
        taker = change.to_manager_id
        if taker is not None and loads[taker] > were[taker]:
            assert loads[taker] <= CAPACITY, f"{taker} has {loads[taker]} after {change}"
            assert (taker, change.customer_id) not in relatives, f"{taker} got a relative by {change}"
    for customer, branch, manager in after.managed() - before.managed():
        if manager is not None:
            staff = after.staff[manager]
            assert staff.branch_id == branch, f"{manager} manages {customer} at {branch}"
            assert staff in after.active(day, branch, staff.roles[0]), f"{manager} manages {customer} at {branch}"
    if act in {"claim", "assign", "release", "undo"}:
        told = {change.customer_id for change in changes}
        changed = {customer for customer, _, _ in after.managed() ^ before.managed()}
        assert changed <= told, f"nobody is told to have changed {changed - told}"


WEIGHTS_OF: dict[str, int] = {
    "facts": 30,
    "night_again": 4,
    "facts_by_day": 8,
    "claim": 18,
    "assign": 14,
    "release": 5,
    "undo": 8,
    "ask": 16,
    "answer": 20,
    "deadlines": 5,
    "file": 3,
    "answer_file": 5,
    "hire": 3,
    "leave": 4,
    "move": 3,
    "cover": 2,
    "declare": 2,
    "found_branch": 2,
    "rebuild_branches": 4,
    "merge": 4,
    "part": 3,
}
ACTS, WEIGHTS = list(WEIGHTS_OF), list(WEIGHTS_OF.values())


@pytest.mark.soak
async def test_a_bank_keeps_its_promises_through_the_years(years: Callable[[int], Awaitable[Any]], seed: int) -> None:
    bank = await years(seed)
    lived = Years(bank)
    log: list[str] = []
    try:
        bank.seen = await bank.picture()
        await lived.facts()
        await lived.night()
        bank.seen = await bank.picture()
        for _ in range(STEPS):
            await lived.step(log)
        await bank.check_past(bank.ended)
        assert min(bank.tally[act] for act in ("night", "claim", "ask")) > 0, f"nothing happened: {bank.tally}"
    except Exception as error:
        error.add_note(f"seed {seed}, after {log[-12:]}")
        raise
