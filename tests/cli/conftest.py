"""Homes for commands, and the command itself."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How a user calls `banyan`, whatever the working folder."""
    return [sys.executable, "-P", "-m", "cli.main"]


@pytest.fixture
def home_folder() -> Iterator[Path]:
    """A short path: unix sockets stand below it."""
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def banyan(home_folder: Path, command: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of the home as a user would, and returns how it ended and what it said."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments, "--home", str(home_folder)], capture_output=True, text=True, check=False
        )

    return run
