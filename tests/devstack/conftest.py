"""Homes and child processes for the tests of devstack."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devstack.home import Home
from devstack.process import HOME_VARIABLE

WAIT_SECONDS = 30


@pytest.fixture
def home_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(home_folder: Path) -> Home:
    return Home(home_folder)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Waits for something to become true, and fails when it never does."""

    def wait(holds: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def processes_of(home_folder: Path) -> Callable[[], list[psutil.Process]]:
    """Lists the live processes of a home's run, grandchildren included: by their mark, or by where they work.

    Valkey and PostgreSQL write their titles over their environment, so that the mark is lost.
    """
    home = home_folder.resolve()

    def marked() -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                works_there = home in Path(process.cwd()).parents
                if works_there or process.environ().get(HOME_VARIABLE) == str(home):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    return marked
