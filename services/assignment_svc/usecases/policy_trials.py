"""Tells what other parameters of allocation would change, without changing anything of ownership."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import audit_reads
from chassis.sql.engine import Database
from policy.visibility import Scope
from services.assignment_svc.domain.explanation import Background
from services.assignment_svc.domain.ownership import Owner, Policy
from services.assignment_svc.domain.words import CHINESE, ENGLISH, changed
from services.assignment_svc.store import allocation, backgrounds, ownerships, policy_trials
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.store.policy_trials import BranchCount, ManagerCount, Trial, TrialRow
from services.assignment_svc.usecases.explain_ownership import Words, row_in_words
from services.assignment_svc.usecases.read_ownership import Reader, scope_of_caller, shown_row

# Two decisions over each customer: half of a night's batch.
_BATCH_CUSTOMERS = 10_000
# Who sees the counts of all branches.
_SEES_ALL = frozenset({Role.ADMIN, Role.APPROVER, Role.SERVICE})

# Tells for which date and how many customers of how many are done; answers whether to go on.
Tell = Callable[[date, int, int], Awaitable[bool]]


@dataclass(frozen=True)
class Asked:
    """Whose trial it is, under which id, and of which parameters."""

    trial_id: str
    parameters: Policy
    actor: str


@dataclass(frozen=True)
class Counted:
    """A trial with what would change, as far as the caller may see it."""

    trial: Trial
    branches: Sequence[BranchCount] = ()
    managers: Sequence[ManagerCount] = ()


@dataclass(frozen=True)
class ShownChange:
    """A row that would change, as the caller sees it, and why."""

    row: TrialRow
    words: Words


async def check_ready(tx: AsyncConnection) -> date:
    """The date of the facts that are there; until `tx` ends they stay. Refuses while there are none."""
    so_far = await allocation.hold_progress(tx)
    if so_far.business_date is None:
        raise Refused(Kind.PRECONDITION, "NIGHT_MISSING", "no night has run yet")
    if so_far.facts_date is None:
        raise Refused(Kind.PRECONDITION, "NIGHT_PENDING", "facts are being imported", {"facts_date": ""})
    known = so_far.known_date
    assert known is not None, "there are facts"
    return known


async def try_policy(database: Database, asked: Asked, tell: Tell) -> Counted | None:
    """Decides over everybody twice, as now and under the parameters, and keeps the difference; None if told to stop.

    A trial that was broken off before begins anew. Refuses to go on when facts of another date come.
    """
    await forget(database, asked.trial_id)
    async with database.begin() as tx:
        day = await check_ready(tx)
        now = await allocation.policy_in_force(tx, day)
        ranges, total = await policy_trials.batches(tx, _BATCH_CUSTOMERS)
    done = differing = 0
    goes_on = await tell(day, done, total)
    try:
        for bounds in ranges if goes_on else ():
            async with database.begin() as tx:
                await _check_same(tx, day)
                await allocation.prepare(tx)
                looked, differs = await policy_trials.decide(tx, asked.trial_id, bounds, day, (now, asked.parameters))
            done, differing = done + looked, differing + differs
            goes_on = await tell(day, done, total)
            if not goes_on:
                break
    except BaseException:
        await forget(database, asked.trial_id)
        raise
    if not goes_on:
        await forget(database, asked.trial_id)
        return None
    return await _keep(database, asked, replace(now, **_parameters(asked.parameters)), (day, done, differing))


async def forget(database: Database, trial_id: str) -> None:
    """Deletes whatever there is of a trial."""
    more = True
    while more:
        async with database.begin() as tx:
            more = await policy_trials.forget_some(tx, trial_id)


async def forget_expired(database: Database) -> None:
    """Deletes the trials that are past their time."""
    async with database.read() as conn:
        trial_id = await policy_trials.expired(conn)
    while trial_id is not None:
        await forget(database, trial_id)
        async with database.read() as conn:
            trial_id = await policy_trials.expired(conn)


async def get_trial(conn: AsyncConnection, trial_id: str, caller: Caller) -> Counted:
    """A trial with its counts; a head sees those of his branches, and not how many customers the bank has."""
    trial = await policy_trials.get(conn, trial_id)
    if trial is None:
        raise not_found()
    branch_ids: Sequence[str] | None = None
    if not caller.roles & _SEES_ALL:
        branch_ids = _branches_of(await scope_of_caller(conn, caller))
        trial = _without_totals(trial)
    branches = await policy_trials.branch_counts(conn, trial_id, branch_ids)
    return Counted(trial, branches, await policy_trials.manager_counts(conn, trial_id, branch_ids))


async def list_trials(conn: AsyncConnection, before: tuple[datetime, str], limit: int, caller: Caller) -> list[Trial]:
    """Trials, the youngest first."""
    found = await policy_trials.page(conn, before, limit)
    return found if caller.roles & _SEES_ALL else [_without_totals(trial) for trial in found]


async def list_changes(
    conn: AsyncConnection, trial_id: str, reader: Reader, place: tuple[str, str, int], currency: str
) -> tuple[list[ShownChange], tuple[str, str] | None]:
    """What would change for the customers whom a head sees, after a place, and where the next page starts."""
    trial = await policy_trials.get(conn, trial_id)
    if trial is None:
        raise not_found()
    scope = await scope_of_caller(conn, reader.caller)
    *after, size = place
    found = await policy_trials.rows(conn, trial_id, _branches_of(scope), (after[0], after[1]), size + 1)
    page = found[:size]
    ids = sorted({row.customer_id for row in page})
    known = {one.customer_id: one for one in await ownerships.of_customers(conn, ids)}
    behind = await backgrounds.of_customers(conn, ids)
    percents = (
        (await allocation.policy_in_force(conn, trial.business_date)).challenge_percent,
        trial.policy.challenge_percent,
    )
    shown = [
        change
        for row in page
        if row.customer_id in known
        and (change := _shown(row, (known[row.customer_id], scope), behind[row.customer_id], percents, currency))
    ]
    await audit_reads(conn, reader.entry, sorted({change.row.customer_id for change in shown}))
    last = page[-1] if len(found) > size else None
    return shown, (last.customer_id, last.branch_id) if last else None


def _shown(
    row: TrialRow, seen: tuple[Ownership, Scope], behind: Background, percents: tuple[int, int], currency: str
) -> ShownChange | None:
    """A change as a scope shows it; None if it does not."""

    def words(owner: Owner | None, percent: int) -> Words | None:
        return row_in_words(owner, seen, behind, percent, currency) if owner else None

    before, after = (shown_row(owner, *seen) if owner else None for owner in (row.before, row.after))
    if before is None and after is None:
        return None
    was, would_be = words(row.before, percents[0]), words(row.after, percents[1])
    chinese = changed(was and was.chinese, would_be and would_be.chinese, CHINESE)
    english = changed(was and was.english, would_be and would_be.english, ENGLISH)
    return ShownChange(replace(row, before=before, after=after), Words(chinese, english))


def _branches_of(scope: Scope) -> list[str]:
    """The branches whose every row the scope opens: those of a head."""
    whole = [
        grant.branch_ids
        for grant in scope.grants
        if grant.branch_ids is not None
        and grant.manager_id is None
        and grant.private_manager_id is None
        and not grant.existence_only
    ]
    return sorted(frozenset[str]().union(*whole))


def _without_totals(trial: Trial) -> Trial:
    return replace(trial, customer_count=0, changed_customer_count=0)


def _parameters(policy: Policy) -> dict[str, int]:
    return {name: value for name, value in vars(policy).items() if name != "version"}


async def _check_same(tx: AsyncConnection, day: date) -> None:
    found = await check_ready(tx)
    if found != day:
        given = {"facts_date": found.isoformat()}
        raise Refused(Kind.PRECONDITION, "NIGHT_PENDING", "facts of another date came: try again", given)


async def _keep(database: Database, asked: Asked, policy: Policy, told: tuple[date, int, int]) -> Counted:
    day, done, differing = told
    trial = Trial(asked.trial_id, policy, day, asked.actor, done, differing, datetime.min, datetime.min)  # noqa: DTZ901 -- the database's count
    async with database.begin() as tx:
        await policy_trials.add(tx, trial)
    async with database.read() as conn:
        kept = await policy_trials.get(conn, asked.trial_id)
        assert kept is not None, "it was just kept"
        branches = await policy_trials.branch_counts(conn, asked.trial_id, None)
        return Counted(kept, branches, await policy_trials.manager_counts(conn, asked.trial_id, None))
