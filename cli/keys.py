"""`banyan keys`: the data keys that customers' contact data are sealed and hashed by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from chassis.clock import now
from chassis.data_keys import KEY_REST, DataKey, DataKeysUnusable, KeyPurpose, list_data_keys, make_data_key
from cli import status
from cli.screen import Screen, fail
from devstack import services
from devstack.home import Home
from devstack.supervisor import read_state

# An import seals at its start and stores at its end, and what was exported is kept sealed for a day.
UNCOUNTED_LENGTH_MAX = timedelta(days=2)
# Told by the instance of customer_svc that seals anew (services/customer_svc/jobs/reencrypt.py).
LEFT_METRIC = "data_key_rows_left"

app = typer.Typer(no_args_is_help=True, help="Shows, adds and takes away the keys that contact data are sealed by.")

HomeOption = Annotated[Path, typer.Option("--home", help="The home whose keys they are, and whose system is asked.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--data-keys", envvar="BANYAN_DATA_KEYS", help="The folder of data keys; the home's own if absent."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PurposeArgument = Annotated[KeyPurpose, typer.Argument(help="What the key is for.")]


@dataclass(frozen=True)
class KeyShown:
    """A key as it is told; `customers_left` is how many are under it though it writes no more, None if nobody told."""

    purpose: str
    key: int
    created: str
    state: str
    customers_left: int | None


@app.command("status")
def show_keys(
    *, home: HomeOption = Path(".banyan"), data_keys: FolderOption = None, as_json: JsonOption = False
) -> None:
    """Shows the keys, which of them write, and how many customers are still under an older one."""
    keys, left = _keys(_folder(home, data_keys)), left_in(home)
    shown = [_shown(key, left) for key in keys]
    screen = Screen(as_json)
    screen.result([one.__dict__ for one in shown])
    screen.table("Data keys", [one.__dict__ | {"customers_left": _told(one)} for one in shown])


@app.command("rotate")
def rotate(
    purpose: PurposeArgument = KeyPurpose.CIPHER,
    *,
    home: HomeOption = Path(".banyan"),
    data_keys: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Adds a key. It writes after 10 minutes, when every instance has read it; then all is sealed under it."""
    folder = _folder(home, data_keys)
    _keys(folder)  # of a folder that is none nothing is made
    key_id = make_data_key(folder, purpose, now())
    screen = Screen(as_json)
    screen.result({"purpose": purpose.value, "key": key_id, "rest_seconds": int(KEY_REST.total_seconds())})
    if not as_json:
        screen.say(f"{purpose.value} key {key_id} writes in {KEY_REST // timedelta(minutes=1)} minutes")


@app.command("remove")
def remove(
    purpose: PurposeArgument,
    key: Annotated[int, typer.Argument(help="The key, as `banyan keys status` shows it.")],
    *,
    home: HomeOption = Path(".banyan"),
    data_keys: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Takes a key away that nothing is under any more, as the running system tells; refuses any other."""
    folder = _folder(home, data_keys)
    keys = [one for one in _keys(folder) if one.purpose == purpose]
    found = next((one for one in keys if one.key_id == key), None)
    if found is None:
        fail(f"{folder} has no {purpose.value} key {key}")
    needed = _needed(found, keys, left_in(home).get((purpose.value, key)))
    if needed:
        fail(f"{purpose.value} key {key} is needed: {needed}")
    (folder / purpose / f"{key}.key").unlink()
    Screen(as_json).result({"removed": key})


def left_in(home: Path) -> Mapping[tuple[str, int], int]:
    """How many customers are left under each key that writes no more, as a running system tells by its metrics."""
    state = read_state(Home(home)) if (home / "lock").exists() else None
    return {
        (sample.labels["purpose"], int(sample.labels["key_id"])): int(sample.value)
        for process in (state.processes if state else ())
        if process.metrics_port
        for sample in status.samples(process)
        if sample.name == LEFT_METRIC
    }


def _folder(home: Path, given: Path | None) -> Path:
    if given is None and not (home / "lock").exists():
        fail(f"{home} is not the home of any run; name the folder of data keys by --data-keys")
    return given or services.data_keys(Home(home))


def _keys(folder: Path) -> list[DataKey]:
    try:
        return list_data_keys(folder, now())
    except DataKeysUnusable as error:
        fail(str(error))


def _needed(key: DataKey, keys: Sequence[DataKey], left: int | None) -> str:
    """Why a key may not go; empty if it may."""
    if key.writes:
        return "it writes"
    newer = min((one.create_time for one in keys if one.create_time > key.create_time), default=now())
    if now() < newer + KEY_REST + UNCOUNTED_LENGTH_MAX:
        return "exports, or an import under way, may be sealed by it"
    return "nobody told what is under it" if left is None else f"{left} customers are under it" if left else ""


def _shown(key: DataKey, left: Mapping[tuple[str, int], int]) -> KeyShown:
    state = "writes" if key.writes else "rests" if now() - key.create_time < KEY_REST else "reads"
    created = key.create_time.isoformat(timespec="seconds")
    return KeyShown(key.purpose.value, key.key_id, created, state, left.get((key.purpose.value, key.key_id)))


def _told(shown: KeyShown) -> str:
    if shown.customers_left is not None:
        return str(shown.customers_left)
    return "unknown" if shown.state == "reads" else ""
