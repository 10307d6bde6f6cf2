"""What a run that was killed left behind: recognised, so that a stranger with the same pid is never touched."""

import json
import os
import time
from pathlib import Path

import psutil

from chassis.clock import monotonic_seconds
from devstack.home import Home
from devstack.process import HOME_VARIABLE, POLL_SECONDS, Record, identity, kill_group

STOP_SECONDS = 15.0


def stop_leftovers(home: Home) -> list[str]:
    """Stops what still runs of an earlier run with this home, and returns the names; the home must be locked.

    Its processes die with their supervisor, each by its own signal: most often there is nothing to do but to wait for
    PostgreSQL's last write.
    """
    files = list((home.root / "run").glob("*.json"))
    alive = [record for record in map(_read, files) if record and identity(record.pid) == record.identity]
    for record in alive:
        os.kill(record.pid, record.stop_signal)
    end = monotonic_seconds() + STOP_SECONDS
    for record in alive:
        while identity(record.pid) == record.identity and _runs(record.pid):
            if monotonic_seconds() > end:
                kill_group(record.pid)
            time.sleep(POLL_SECONDS)
    strays = _kill_marked(home)
    for file in files:
        file.unlink()
    return [record.name for record in alive] + strays


def _read(file: Path) -> Record | None:
    try:
        return Record(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return None  # written by another version: its processes are found by their mark


def _runs(pid: int) -> bool:
    """Says whether a process does anything still: one that ended may stay listed until its new parent asks for it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill_marked(home: Home) -> list[str]:
    """Kills what the children had started themselves, and whose parent is gone."""
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    killed: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.pid not in spared and process.environ().get(HOME_VARIABLE) == str(home.root):
                killed.append(process.name())
                process.kill()
        except psutil.Error:  # ended meanwhile, or another user's
            continue
    return killed
