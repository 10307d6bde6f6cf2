"""Servers and processes that benchmarks measure against, each in a throw-away home."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devstack.home import Home
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


def output_of(module: str, *arguments: object) -> str:
    """What `python -m module …` prints, when it has ended well."""
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
