"""`banyan import`, `banyan nightly` and `banyan demo`: data in, and data made up."""

import asyncio
import json
from collections.abc import Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from argon2 import PasswordHasher
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from acrm import dag
from acrm.dag import FeedRejected, Night, NightOutOfOrder, NightReport
from acrm.engines import LOCAL
from acrm.ingest import PublishFailed
from acrm.publish import Publisher, System, publisher
from acrm.sources import FeedReport
from chassis.clock import monotonic_seconds
from cli.screen import Screen, fail
from devstack import demo as demo_bank
from devstack.home import Home
from devstack.supervisor import read_state

FAULTS_SHOWN = 20
DEMO_PASSWORD = "banyan-demo"  # noqa: S105 - of people who do not exist

app = typer.Typer()

HomeOption = Annotated[
    Path, typer.Option("--home", help="The home of the running system, or a folder of the batch's own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ZooKeeperOption = Annotated[
    str, typer.Option(envvar="BANYAN_ZOOKEEPER", help="ZooKeeper's `host:port,…`; the home's own if absent.")
]
KeysOption = Annotated[
    Path | None, typer.Option(envvar="BANYAN_KEYS", help="The folder of keys; the home's own if absent.")
]
EngineOption = Annotated[str, typer.Option("--engine", help="Where the derivations run.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad-rows", help="Import the good rows of a feed that has bad ones.")]
RemovalsOption = Annotated[
    bool, typer.Option("--allow-removals", help="Let a feed end more than half of what is known of customers.")
]


@dataclass(frozen=True)
class LoadReport:
    """What a load did, and how long it took."""

    night: NightReport
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        night = self.night
        return {
            "business_date": night.business_date.isoformat(),
            "seconds": round(self.seconds, 1),
            "rows": dict(night.row_counts),
            "skipped_rows": night.skipped_count,
            "steps": {name: dict(result) for name, result in night.steps.items()},
        }


@dataclass(frozen=True)
class Target:
    """Where a load goes, and how it is made."""

    home: Path
    zookeeper: str = ""
    keys: Path | None = None
    engine_url: str = LOCAL
    skip_bad_rows: bool = False
    allow_removals: bool = False

    def system(self) -> System:
        """The system as the options name it, else the one that runs in the home."""
        state = read_state(Home(self.home)) if not (self.zookeeper and self.keys) else None
        details = state.details if state else {}
        zookeeper, keys = self.zookeeper or details.get("zookeeper", ""), self.keys or details.get("keys", "")
        if not zookeeper or not keys:
            fail(f"nothing runs with the home {self.home}; name a running system by --zookeeper and --keys")
        return System(zookeeper, Path(keys))


def load(folder: Path, *, home: Path, business_date: date | None, console: Console) -> LoadReport:
    """Loads a feed into the system that runs in `home`; ends the command with the reason if that cannot be done.

    The business date is the one given, else the one of the feed's `feed.json`.
    """
    return _load(folder, Target(home), business_date, console)


def _load(folder: Path, target: Target, business_date: date | None, console: Console) -> LoadReport:
    night = Night(
        folder, business_date or _date_of(folder), target.home / "acrm", target.engine_url, target.skip_bad_rows
    )
    began = monotonic_seconds()
    try:
        with _bars(console) as bars:

            def connect() -> AbstractAsyncContextManager[Publisher]:
                return publisher(target.system(), bars.show, allow_removals=target.allow_removals)

            report = asyncio.run(dag.run_night(night, connect, bars.show))
    except FeedRejected as rejected:
        _tell_faults(console, rejected.report)
        fail(f"the feed has {rejected.report.fault_count} faults; nothing was imported")
    except (NightOutOfOrder, PublishFailed, ValueError) as error:
        fail(str(error))
    return LoadReport(report, monotonic_seconds() - began)


def _date_of(folder: Path) -> date:
    try:
        return date.fromisoformat(json.loads((folder / "feed.json").read_text())["business_date"])
    except FileNotFoundError:
        fail(f"{folder} has no feed.json that tells its business date; give it by --date")
    except (KeyError, TypeError, ValueError) as error:
        fail(f"{folder / 'feed.json'} tells no business date: {error}")


class _Bars:
    """A progress bar for each step that is under way or done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total or None)
        self._progress.update(self._tasks[step], completed=done, total=total or None)


@contextmanager
def _bars(console: Console) -> Generator[_Bars]:
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Bars(progress)


def _tell_faults(console: Console, report: FeedReport) -> None:
    for fault in report.faults[:FAULTS_SHOWN]:
        place = f"{fault.file}:{fault.line}" if fault.line else fault.file or fault.table
        value = f" ({fault.value})" if fault.value else ""
        console.print(f"{place} {fault.column} {fault.reason}{value}", markup=False, soft_wrap=True)
    if report.fault_count > FAULTS_SHOWN:
        console.print(f"… and {report.fault_count - FAULTS_SHOWN} more", markup=False)
    console.print(f"all of them: {report.rejects}", markup=False, soft_wrap=True)


@app.command("import")
def import_command(  # noqa: PLR0913 - a command has as many options as its users need
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The feed (docs/feed.md).")],
    *,
    business_date: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Its business date; else feed.json tells.")
    ] = None,
    home: HomeOption = Path(".banyan"),
    zookeeper: ZooKeeperOption = "",
    keys: KeysOption = None,
    engine_url: EngineOption = LOCAL,
    skip_bad_rows: SkipOption = False,
    allow_removals: RemovalsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Checks a feed, derives what is derived, and gives all of it to the running system."""
    screen = Screen(as_json)
    target = Target(home, zookeeper, keys, engine_url, skip_bad_rows, allow_removals)
    _tell(screen, [_load(folder, target, business_date.date() if business_date else None, screen.console)])


@app.command("nightly")
def nightly_command(  # noqa: PLR0913 - a command has as many options as its users need
    *,
    business_date: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="The business date to run.")],
    feeds: Annotated[
        Path | None, typer.Option(help="The folder with a feed per date, `2026-06-30/` …; HOME/feeds if absent.")
    ] = None,
    home: HomeOption = Path(".banyan"),
    zookeeper: ZooKeeperOption = "",
    keys: KeysOption = None,
    engine_url: EngineOption = LOCAL,
    skip_bad_rows: SkipOption = False,
    allow_removals: RemovalsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Runs the nightly batch of a date, after those of earlier dates that have a feed and have not run yet."""
    screen = Screen(as_json)
    target = Target(home, zookeeper, keys, engine_url, skip_bad_rows, allow_removals)
    source = feeds or home / "feeds"
    due = dag.nights_due(source, home / "acrm", business_date.date())
    if not due or due[-1] != business_date.date():
        fail(f"there is no feed {source / business_date.date().isoformat()}")
    _tell(screen, [_load(source / day.isoformat(), target, day, screen.console) for day in due])


@app.command("demo")
def demo_command(  # noqa: PLR0913 - a command has as many options as its users need
    folder: Annotated[Path, typer.Argument(file_okay=False, help="The folder to write the feed to.")],
    *,
    customers: Annotated[int, typer.Option(min=demo_bank.CUSTOMERS_MIN, help="How many customers.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another bank.")] = 1,
    traffic: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The share of transactions and of contacted customers.")
    ] = None,
    password: Annotated[str, typer.Option(help="The password of all logins.")] = DEMO_PASSWORD,
    as_json: JsonOption = False,
) -> None:
    """Writes a demo bank as a feed; the same seed gives the same bank."""
    screen = Screen(as_json)
    began = monotonic_seconds()
    with screen.console.status(f"making up {customers} customers"):
        day = demo_bank.generate(
            folder, customers=customers, seed=seed, password_hash=PasswordHasher().hash(password), traffic=traffic
        )
    seconds = round(monotonic_seconds() - began, 1)
    screen.result({"folder": str(folder), "business_date": day.isoformat(), "customers": customers, "seconds": seconds})
    if not as_json:
        screen.say(f"{folder}: a bank of {customers} customers as of {day}, written in {seconds} s")


def _tell(screen: Screen, reports: Sequence[LoadReport]) -> None:
    screen.result([report.as_json() for report in reports])
    for report in () if screen.as_json else reports:
        night = report.night
        screen.table(f"Imported as of {night.business_date}", [_row(name, told) for name, told in night.steps.items()])
        skipped = f", {night.skipped_count} faults skipped" if night.skipped_count else ""
        screen.say(f"done in {report.seconds:.1f} s{skipped}")


def _row(step: str, told: dict[str, Any] | Any) -> dict[str, str]:  # noqa: ANN401 - what a step tells is its own
    return {"step": step, "result": ", ".join(f"{name} {value}" for name, value in told.items())}
