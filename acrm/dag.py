"""The nightly batch as steps: check the feed, derive tables from it, hand all to the services, allocate.

Every step may be repeated without harm, and is not repeated once it is done: what was done stands in `state.json` in
the night's folder, so that a run that failed goes on where it stopped. Nights run in order.
"""

import asyncio
import fcntl
import hashlib
import json
import shutil
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from acrm import sources
from acrm.columns import Table
from acrm.derive import STEPS, Bench, derive, keep_merged
from acrm.derived import DERIVED
from acrm.ingest import Ingested
from acrm.parameters import DEFAULTS, Parameters
from acrm.progress import Progress
from acrm.publish import Allocated, Sent
from acrm.publish_scores import ScoreCards
from acrm.sources import FeedReport
from acrm.tables import FEED
from chassis.clock import monotonic_seconds

# What others refer to, whatever the service.
_FIRST = ("products",)
# Then tables in the order in which they need one another; the chains do not wait for each other.
_CHAINS = (
    ("branches", "staff", "branch_facts", "customer_locations", "balance_steps", "customer_months"),
    (
        *("customers", "relations", "accounts", "loans", "cards", "holdings", "consents", "opt_outs"),
        *("monthly_balances", "customer_branch_figures", "customer_figures", "customer_tags", "key_tests"),
    ),
)


class FeedRejected(Exception):
    """The feed is not valid, and nothing was imported."""

    def __init__(self, report: FeedReport) -> None:
        super().__init__(f"{report.fault_count} bad rows")
        self.report = report


class NightOutOfOrder(Exception):
    """Another night has to run first, or a later one has run already."""


class Services(Protocol):
    """The services as the batch needs them; `publish.Publisher` is the real one."""

    async def merged_customers(self) -> Sequence[tuple[str, str]]: ...
    async def send(self, table: Table, path: Path, business_date: date) -> Sent: ...
    async def allocate(self, business_date: date) -> Allocated: ...
    async def build_score_cards(self, business_date: date) -> ScoreCards: ...
    async def send_transactions(self, path: Path) -> Ingested: ...


@dataclass(frozen=True)
class Night:
    """What a night is made from."""

    feed: Path
    business_date: date
    work: Path
    """The folder that keeps the nights' state and files."""
    engine_url: str
    skip_bad_rows: bool = False
    parameters: Parameters = DEFAULTS

    @property
    def folder(self) -> Path:
        return self.work / self.business_date.isoformat()

    def clean(self, table: str) -> Path:
        return self.folder / "clean" / f"{table}.parquet"

    @property
    def bench(self) -> Bench:
        folder, day = self.folder, self.business_date
        return Bench(self.engine_url, folder / "clean", folder / "stages", day, self.parameters)

    def fingerprint(self) -> str:
        """Changes when the feed's files do, or what its rules compare with."""
        files = sorted(path for path in self.feed.rglob("*") if path.is_file())
        told = [f"{path.relative_to(self.feed)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
        return hashlib.sha256("\n".join([str(self.skip_bad_rows), str(self.parameters), *told]).encode()).hexdigest()


@dataclass(frozen=True)
class NightReport:
    """What a night did. The counts of steps done by an earlier, failed run are included."""

    business_date: date
    row_counts: Mapping[str, int]
    """Rows of the feed that were imported, by table."""
    skipped_count: int
    """Faults of rows that were left out."""
    steps: Mapping[str, Mapping[str, Any]]
    """What became of each step's rows, and how many seconds it took."""


class _State:
    """A night's `state.json`: which steps are done for which feed, and what came of them."""

    def __init__(self, night: Night) -> None:
        self._path = night.folder / "state.json"
        fingerprint = night.fingerprint()
        self.kept: dict[str, Any] = _read_json(self._path)
        if self.kept.get("fingerprint") != fingerprint:
            self.kept = {"fingerprint": fingerprint, "steps": {}, "published": self.kept.get("published", False)}

    def result(self, step: str) -> dict[str, Any] | None:
        return self.kept["steps"].get(step)

    def done(self, step: str, result: Mapping[str, Any]) -> None:
        self.kept["steps"][step] = dict(result)
        self.save()

    def save(self) -> None:
        _write_json(self._path, self.kept)


Connect = Callable[[], AbstractAsyncContextManager[Services]]


async def run_night(night: Night, connect: Connect, progress: Progress) -> NightReport:
    """Runs what is left of a night, one at a time. Raises FeedRejected, NightOutOfOrder, or what the services said."""
    with _alone(night.work):
        return await _run(night, connect, progress)


async def _run(night: Night, connect: Connect, progress: Progress) -> NightReport:
    _check_order(night)
    state = _State(night)
    night.folder.mkdir(exist_ok=True)
    await _step(state, "check", lambda: asyncio.to_thread(_check, night, progress))
    if state.result("finished") is None:
        async with connect() as services:
            await _step(state, "merges", lambda: _ask_merges(night, services))
            for step in STEPS:
                await _step(state, step, lambda step=step: asyncio.to_thread(derive, step, night.bench, progress))
            # From here on the services know something of this night: no other one may come between.
            state.kept["published"] = True
            state.save()
            await _publish(night, state, services)
        _finish(night, state)
    check = state.result("check") or {}
    steps = {
        name: result for name, result in state.kept["steps"].items() if name not in {"check", "merges", "finished"}
    }
    return NightReport(night.business_date, check["row_counts"], check["fault_count"], steps)


async def _step(state: _State, name: str, work: Callable[[], Awaitable[Any]]) -> None:
    """Does a step that is not done yet and remembers what came of it."""
    if state.result(name) is None:
        began = monotonic_seconds()
        result = await work()
        told = result if isinstance(result, dict) else asdict(result)
        state.done(name, {**told, "seconds": round(monotonic_seconds() - began, 1)})


def _check(night: Night, progress: Progress) -> dict[str, Any]:
    progress("check", 0, 0)
    report = sources.check_feed(
        night.feed,
        night.folder / "clean",
        night.business_date,
        rejects=night.folder / "rejects",
        skip_bad_rows=night.skip_bad_rows,
    )
    if not report.accepted:
        raise FeedRejected(report)
    progress("check", 1, 1)
    return {"row_counts": dict(report.row_counts), "fault_count": report.fault_count}


async def _ask_merges(night: Night, services: Services) -> dict[str, int]:
    """Asks who was merged into whom, once for the whole night: sources tell the old ids for good."""
    merged = await services.merged_customers()
    await asyncio.to_thread(keep_merged, night.bench, merged)
    return {"merged_customers": len(merged)}


async def _publish(night: Night, state: _State, services: Services) -> None:
    async def send_all(names: Sequence[str]) -> None:
        for name in names:
            table = (FEED | DERIVED)[name]
            await _step(
                state, name, lambda table=table: services.send(table, night.clean(table.name), night.business_date)
            )

    await send_all(_FIRST)
    try:
        async with asyncio.TaskGroup() as group:
            for names in _CHAINS:
                group.create_task(send_all(names))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one is enough to say why it failed
    await _step(state, "allocate", lambda: services.allocate(night.business_date))
    await send_all(["contacts"])
    await _step(state, "transactions", lambda: services.send_transactions(night.clean("transactions")))
    # By the owners of this night; last, since nothing else waits for them.
    await _step(state, "score_cards", lambda: services.build_score_cards(night.business_date))


@contextmanager
def _alone(work: Path) -> Generator[None]:
    """Holds the folder, where personal data stand, against other users and runs.

    The operating system lets go of it when this process ends, however it ends.
    """
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NightOutOfOrder(f"another run holds {work}; wait for its end") from None
        yield


def _check_order(night: Night) -> None:
    """Refuses a night before one that ran, and one after a night that was begun and not finished."""
    for folder in sorted(night.work.glob("????-??-??")):
        kept = _read_json(folder / "state.json")
        finished = "finished" in kept.get("steps", {})
        if folder.name > night.business_date.isoformat() and kept.get("published"):
            raise NightOutOfOrder(f"the night of {folder.name} has run already; {night.business_date} is before it")
        if folder.name < night.business_date.isoformat() and kept.get("published") and not finished:
            raise NightOutOfOrder(f"the night of {folder.name} was begun and has not finished; run it again first")


def _finish(night: Night, state: _State) -> None:
    """Marks the night as done; of the nights before only the state is kept, for their rows are personal data."""
    state.done("finished", {})
    for folder in night.work.glob("????-??-??"):
        if folder.name < night.business_date.isoformat():
            for rows in ("clean", "stages"):
                shutil.rmtree(folder / rows, ignore_errors=True)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a file whole: a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(value, indent=1))
    unfinished.replace(path)


def nights_due(feeds: Path, work: Path, until: date) -> list[date]:
    """The dates up to `until` that have a feed and have not run yet; `until` itself in any case, if it has a feed."""
    states = {folder.name: _read_json(folder / "state.json") for folder in work.glob("????-??-??")}
    finished = [name for name, kept in states.items() if "finished" in kept.get("steps", {})]
    last = max(finished, default="")
    found = sorted(folder.name for folder in feeds.glob("????-??-??") if folder.is_dir())
    return [date.fromisoformat(name) for name in found if last < name < until.isoformat() or name == until.isoformat()]
