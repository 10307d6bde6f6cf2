"""The `banyan` command; `banyan --help` lists what it does."""

import logging
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_group

from cli import keys, run, status
from cli.screen import Screen, fail
from devstack.bank import CUSTOMERS, Format, Source
from devstack.home import Home, HomeInUse
from devstack.process import StartFailed
from devstack.system import Options, System

NOT_RUNNING_EXIT_CODE = 3


class _Commands(TyperGroup):
    """Imports the commands on data when one of them is called: their query engine takes a second to import."""

    _data = ("import", "nightly", "demo")

    def list_commands(self, ctx: typer.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._data]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> object:
        if cmd_name not in self._data:
            return super().get_command(ctx, cmd_name)
        from cli import data  # noqa: PLC0415 - as said above

        return get_group(data.app).get_command(ctx, cmd_name)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may be somebody's data
)


@app.callback()
def show_warnings_only() -> None:
    """Customer relationships and marketing of a bank with many branches."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # stdout belongs to the result
    )


app.add_typer(keys.app, name="keys")

HomeOption = Annotated[Path, typer.Option("--home", help="The folder that keeps data, keys, ports and logs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DateOption = Annotated[
    datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The bank day whose state is loaded.")
]


@app.command("run")
def run_system(  # noqa: PLR0913 - a command has as many options as its users need
    *,
    home: HomeOption = Path(".banyan"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The gateway's port; 0 for any free one.")] = 8080,
    data_folder: Annotated[
        Path | None, typer.Option("--data", exists=True, file_okay=False, help="Load the bank in this folder.")
    ] = None,
    data_format: Annotated[
        Format | None, typer.Option("--format", help="What the data look like; feed with --data, demo without.")
    ] = None,
    business_date: DateOption = None,
    instances: Annotated[int, typer.Option(min=1, max=10, help="How many instances of each service.")] = 1,
    customers: Annotated[
        int | None, typer.Option(min=100, help=f"How many customers the demo bank has; {CUSTOMERS} if absent.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready, and leave it running.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Runs the whole system on this machine; loads a bank at the first start. Ctrl-C or `banyan stop` ends it."""
    chosen = data_format or (Format.FEED if data_folder else Format.DEMO)
    if chosen is not Format.DEMO and data_folder is None:
        raise typer.BadParameter(f"the format {chosen} needs --data")
    if chosen is Format.DEMO and data_folder is not None:
        raise typer.BadParameter("the demo bank is made up: it takes no --data")
    day = business_date.date() if business_date else None
    source = Source(format=chosen, data=data_folder, business_date=day, customers=customers)
    if not detach:
        run.foreground(Home(home), source, Options(port=port, instances=instances), _publish, Screen(as_json))
        return
    arguments = ["--home", str(home.resolve()), "--port", str(port), "--format", chosen]
    arguments += ["--instances", str(instances)]
    arguments += ["--customers", str(customers)] if customers else []
    arguments += ["--data", str(data_folder.resolve())] if data_folder else []
    arguments += ["--date", day.isoformat()] if day else []
    run.background(Home(home), arguments, Screen(as_json))


@app.command()
def stop(*, home: HomeOption = Path(".banyan"), as_json: JsonOption = False) -> None:
    """Stops the run of a home, and returns when everything has ended."""
    stopped = _was_used(home) and run.stop(Home(home))
    screen = Screen(as_json)
    screen.result({"stopped": stopped})
    if not as_json:
        screen.say("stopped" if stopped else "nothing was running")


@app.command("status")
def show_status(*, home: HomeOption = Path(".banyan"), as_json: JsonOption = False) -> None:
    """Shows processes, providers and how far followers are behind. Exit code 3 if nothing runs."""
    if not _was_used(home):
        fail(f"{home} is not the home of any run", NOT_RUNNING_EXIT_CODE)
    found = status.read(Home(home))
    screen = Screen(as_json)
    screen.result(found.as_json())
    if not as_json:
        screen.say(f"{found.home}: {found.phase} {found.url}")
    screen.table("Processes", [one.__dict__ for one in found.processes])
    screen.table("Providers", status.table(found.providers))
    screen.table("Followers", [one.__dict__ for one in found.followers])
    if not found.running:
        raise typer.Exit(NOT_RUNNING_EXIT_CODE)


@app.command()
def providers(
    *,
    home: HomeOption = Path(".banyan"),
    zookeeper: Annotated[
        str, typer.Option(envvar="BANYAN_ZOOKEEPER", help="ZooKeeper's `host:port,…`; the home's own if absent.")
    ] = "",
    zookeeper_auth: Annotated[
        str,
        typer.Option(envvar="BANYAN_ZOOKEEPER_AUTH", help="Its `user:password`; everybody sees those of a command."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Shows what is registered in ZooKeeper."""
    hosts = zookeeper or (status.zookeeper_of(Home(home)) if _was_used(home) else "")
    if not hosts:
        fail(f"nothing runs with the home {home}; name ZooKeeper by --zookeeper", NOT_RUNNING_EXIT_CODE)
    try:
        found = status.providers(hosts, zookeeper_auth)
    except status.NoZooKeeper as error:
        fail(str(error))
    screen = Screen(as_json)
    screen.result(status.rows(found))
    screen.table("Providers", status.table(found))


@app.command()
def migrate(*, home: HomeOption = Path(".banyan"), as_json: JsonOption = False) -> None:
    """Brings the databases of a home up to date. The system must not run: it does this itself when it starts."""
    screen = Screen(as_json)
    system = System(Home(home), screen.say)
    try:
        system.take_home()
        system.migrate()
    except (HomeInUse, StartFailed) as error:
        fail(str(error))
    finally:
        system.stop()
    screen.result({"migrated": True})


def _publish(folder: Path, home: Home, business_date: date | None, console: Console) -> None:
    from cli import data  # noqa: PLC0415 - only a first start needs it

    data.load(folder, home=home.root, business_date=business_date, console=console)


def _was_used(home: Path) -> bool:
    """Says whether there was a run with this home: who only looks leaves no folder behind."""
    return (home / "lock").exists()


if __name__ == "__main__":
    app()
