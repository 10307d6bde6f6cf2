"""Computes score cards: shares out credit for all customers, adds it up, and holds it against the targets.

A month is frozen by the last such run: from then on none changes it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import Database, begun
from services.assignment_svc.domain import score_cards as rules
from services.assignment_svc.domain.score_cards import Figure, Indicator, MonthState, ScorePolicy
from services.assignment_svc.domain.targets import Line, month_target
from services.assignment_svc.store import credit, score_builds, score_cards, score_imports, score_visits, targets
from services.assignment_svc.store.score_builds import CardKey, Month, Standing
from services.assignment_svc.store.score_visits import VisitsDone

# A feed waits for the oldest transaction of the server: a batch is at most this many aggregates (design 4.6).
BATCH_CUSTOMERS = 20_000
_WORKERS = 2
_LOCK_ASK_SECONDS = 0.5
_RATIOS = frozenset({Indicator.CROSS_SELL, Indicator.RETENTION, Indicator.VISIT_DUTY, Indicator.VISIT_QUALITY})

# Tells how many ranges of customers of how many are done; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


@dataclass(frozen=True)
class Report:
    """What a run did, over all of its months."""

    customers: int = 0
    cards: int = 0


async def build_score_cards(database: Database, business_date: date, tell: Progress) -> Report:
    """Computes a business date's month so far, and the month before; frozen ones stay as they are."""
    async with _only_build(database):
        async with database.read() as conn:
            await check_imported(conn, business_date)
            frozen = await score_cards.frozen_months(conn)
        report = Report()
        for first, last in rules.months_to_build(business_date, frozen):
            report = await _build(database, (first, last), tell, report)
        return report


async def check_freeze(tx: AsyncConnection, first: date) -> None:
    """Refuses to freeze a month that is frozen, not over, or of which the last day's figures are not there."""
    if await score_builds.month_state(tx, first) is MonthState.FROZEN:
        raise frozen_month(first)
    imported = await score_imports.imported_date(tx)
    known = await score_cards.get_month(tx, first)
    last = rules.next_month(first) - timedelta(days=1)
    if imported is None or imported < last or (not _within(first, imported) and known is None):
        given = {"month": f"{first:%Y-%m}", "last_date": last.isoformat()}
        message = "the figures of its last day were not imported"
        raise Refused(Kind.PRECONDITION, "MONTH_NOT_OVER", message, given)


async def freeze_month(database: Database, first: date, actor: str, tell: Progress) -> score_cards.Month | None:
    """Computes a month a last time, as long as its balances are there, and freezes it; once is enough.

    None if it was told to stop in a month of which nothing was computed before.
    """
    async with _only_build(database):
        async with database.read() as conn:
            known = await score_cards.get_month(conn, first)
            if known is not None and known.state is MonthState.FROZEN:
                return known
            await check_freeze(conn, first)
            imported = await score_imports.imported_date(conn)
        last = rules.next_month(first) - timedelta(days=1)
        assert imported is not None, "it was checked"
        if _within(first, imported):
            await _build(database, (first, last), tell, Report(), actor)
        else:
            async with database.begin() as tx:
                month = Month(first, last, await credit.policy_of(tx, first))
                await score_builds.lock_month(tx, month)
                await score_builds.close_month(tx, month, MonthState.FROZEN, actor)
    async with database.read() as conn:
        return await score_cards.get_month(conn, first)


async def check_unfreeze(tx: AsyncConnection, first: date) -> None:
    """Refuses a month that is not frozen, and one of which the balances are not kept any more."""
    state = await score_builds.month_state(tx, first)
    if state is not MonthState.FROZEN:
        raise Refused(Kind.PRECONDITION, "MONTH_NOT_FROZEN", "the month is not frozen", {"month": f"{first:%Y-%m}"})
    imported = await score_imports.imported_date(tx)
    if imported is None or not _within(first, imported):
        given = {"month": f"{first:%Y-%m}"}
        message = "its balances are not kept any more: corrections count in the months that are open"
        raise Refused(Kind.PRECONDITION, "MONTH_TOO_OLD", message, given)


def frozen_month(first: date) -> Refused:
    """Refuses to change a month that is frozen."""
    given = {"month": f"{first:%Y-%m}"}
    return Refused(Kind.PRECONDITION, "MONTH_FROZEN", f"the month {first:%Y-%m} is frozen", given)


def scored(
    cards: Mapping[CardKey, Sequence[Figure]], lines: Mapping[CardKey, Sequence[Line]], policy: ScorePolicy, first: date
) -> tuple[dict[CardKey, list[Figure]], dict[CardKey, Standing]]:
    """The figures with values and targets, and each card's score with its place.

    Managers are ranked within their branch, branches among all.
    """
    figures = {
        key: [_valued(figure, lines.get(key, ()), policy, first) for figure in of_card]
        for key, of_card in cards.items()
    }
    groups: dict[str, dict[CardKey, int | None]] = {}
    for key, of_card in figures.items():
        branch_id, staff_id = key
        groups.setdefault(branch_id if staff_id else "", {})[key] = rules.score(of_card)
    standings: dict[CardKey, Standing] = {}
    for scores in groups.values():
        places = rules.places(scores)
        standings |= {key: Standing(score, places.get(key), len(places)) for key, score in scores.items()}
    return figures, standings


def _valued(figure: Figure, lines: Sequence[Line], policy: ScorePolicy, first: date) -> Figure:
    value = rules.value_of(figure.whole, figure.base, ratio=figure.indicator in _RATIOS)
    target = month_target(lines, figure.indicator, first)
    achieved = rules.achieved_of(value, target, policy.achieved_percent_max)
    weight = policy.weights.get(figure.indicator, 0)
    return replace(figure, value=value, target=target, achieved=achieved, weight=weight)


async def _build(
    database: Database, days: tuple[date, date], tell: Progress, so_far: Report, freezer: str | None = None
) -> Report:
    """Computes a month; who freezes it is named. A month in which nobody has credit leaves nothing behind."""
    first, last = days
    async with database.read() as conn:
        month = Month(first, last, await credit.policy_of(conn, first))
        ranges = await score_builds.ranges(conn, BATCH_CUSTOMERS)
    credited = await _Crediting(database, month, tell).all_of(ranges)
    if credited is None:
        return so_far
    # What takes long and writes nothing comes before the transaction, for which feeds wait.
    async with database.read() as conn:
        if freezer is None and not await score_builds.has_credit(conn, first):
            return so_far
        done_visits = await score_visits.of_month(conn, first)
    async with database.begin() as tx:
        if await score_builds.lock_month(tx, month) is MonthState.FROZEN:
            raise frozen_month(first)
        cards = await score_builds.replace_cards(tx, first)
        _add_visits(cards, done_visits)
        figures, standings = scored(cards, await targets.of_month(tx, first), month.policy, first)
        await score_builds.set_figures(tx, first, figures)
        await score_builds.set_scores(tx, first, standings)
        await score_builds.close_month(tx, month, MonthState.FROZEN if freezer else MonthState.OPEN, freezer)
    await tell(len(ranges), len(ranges))
    return Report(so_far.customers + credited, so_far.cards + len(cards))


class _Crediting:
    """Two workers over the same list of ranges, one transaction a range; the database has a core for each."""

    def __init__(self, database: Database, month: Month, tell: Progress) -> None:
        self._database = database
        self._month = month
        self._tell = tell
        self._customers = self._done = 0
        self._stopped = False

    async def all_of(self, ranges: Sequence[tuple[str, str]]) -> int | None:
        """How many customers have credit; None if it was told to stop."""
        left = iter(ranges)
        workers = [asyncio.create_task(self._work(left, len(ranges))) for _ in range(_WORKERS)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        return None if self._stopped else self._customers

    async def _work(self, left: Iterator[tuple[str, str]], total: int) -> None:
        for bounds in left:
            self._stopped = self._stopped or not await self._tell(self._done, total)
            if self._stopped:
                return
            async with self._database.begin() as tx:
                await _check_open(tx, self._month.first)
                credited = await score_builds.credit_range(tx, self._month, bounds)
            self._customers += credited
            self._done += 1


def _add_visits(cards: Mapping[CardKey, list[Figure]], done: Mapping[CardKey, VisitsDone]) -> None:
    """Adds what managers' visits come to, to their cards and to those of their branches, where there are cards."""
    for key, of_card in cards.items():
        visits = done.get(key)
        if visits is not None:
            of_card += [
                Figure(Indicator.VISIT_DUTY, visits.done_percent, visits.due_percent, None),
                Figure(Indicator.VISIT_QUALITY, visits.valid_count, visits.visit_count, None),
            ]


async def _check_open(tx: AsyncConnection, first: date) -> None:
    if await score_builds.month_state(tx, first) is MonthState.FROZEN:
        raise frozen_month(first)


async def check_imported(conn: AsyncConnection, business_date: date) -> None:
    """Refuses a date of which the tables that cards are made from are not there."""
    imported = await score_imports.imported_date(conn)
    if imported != business_date:
        given = {"business_date": business_date.isoformat()}
        message = f"no balances and months of customers were imported for {business_date.isoformat()}"
        raise Refused(Kind.PRECONDITION, "SCORE_FIGURES_MISSING", message, given)


def _within(first: date, imported: date) -> bool:
    """Whether the balances of a month are there: its own and the one before an import's are."""
    return first >= rules.month_before(imported.replace(day=1))


@asynccontextmanager
async def _only_build(database: Database) -> AsyncGenerator[None]:
    """Holds the lock of builds; its session's end frees it, however the process ends."""
    async with database.alone() as connection:
        while not await _locked(connection):  # noqa: ASYNC110 - who unlocks may be another process
            await asyncio.sleep(_LOCK_ASK_SECONDS)
        yield


async def _locked(connection: AsyncConnection) -> bool:
    async with begun(connection):
        return await score_builds.try_lock(connection)
