"""Servers and processes that benchmarks measure against, each in a throw-away home."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from chassis.sql.migrations import migrate
from devstack import postgres
from devstack.home import Home
from devstack.postgres import Postgres
from devstack.process import Child, Spec, start_all, stop_all


@contextmanager
def home() -> Generator[Home]:
    """A short folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bnb-"))
    folder.chmod(0o711)
    try:
        yield Home(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(specs: Sequence[Spec], at: Home) -> Generator[list[Child]]:
    """Processes that run for the length of the block."""
    children = start_all(specs, at)
    try:
        yield children
    finally:
        stop_all(children)


@contextmanager
def postgres_of(at: Home) -> Generator[Postgres]:
    """PostgreSQL as a run of the system has it, on the disk, for the length of the block."""
    with running([postgres.spec(at)], at) as (child,):
        yield Postgres(at, child.spec.port)


def database(server: Postgres, name: str, migrations: Path) -> str:
    """A fresh database of a service, and its URL."""
    url = server.create(name)
    migrate(url, migrations)
    return url


def serving(at: Home, name: str, port: int, *arguments: object, environment: Mapping[str, str] | None = None) -> Spec:
    """A process `python -m ARGUMENTS` that is ready when it listens on its port."""
    command = [sys.executable, "-P", "-m", *map(str, arguments)]
    return Spec(name, command, at.short, ready=partial(_listens, port), environment=environment or {}, port=port)


def cpu_seconds(child: Child) -> float:
    """What a process and those that it started have spent so far."""
    parent = psutil.Process(child.pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def output_of(module: str, *arguments: object) -> str:
    """The last line that `python -m module …` prints, when it has ended well; what comes before is its log."""
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return printed.splitlines()[-1]


def _listens(port: int, _pid: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
