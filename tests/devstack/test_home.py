import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.home import HOME_LENGTH_MAX, Home, HomeInUse

HOLD = """
import sys, time
from pathlib import Path
from devstack.home import Home
Home(Path(sys.argv[1])).lock()
print('held', flush=True)
time.sleep(600)
"""


def test_a_home_in_use_is_refused_until_its_run_is_killed(home_folder: Path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(home_folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        home = Home(home_folder)
        assert home.owner() == other.pid
        with pytest.raises(HomeInUse, match=f"in use by the run with pid {other.pid}"):
            home.lock()
        other.kill()
        other.wait()
        assert home.owner() is None
        home.lock()
        home.unlock()


def test_a_home_never_used_has_no_owner(home: Home):
    assert home.owner() is None


def test_ports_are_kept(home: Home, home_folder: Path):
    assert home.port("a") == Home(home_folder).port("a")
    assert home.port("a") != home.port("b")


def test_a_port_taken_by_somebody_else_is_replaced(home: Home):
    port = home.port("a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert home.port("a") != port


def test_passwords_are_kept_and_only_the_owner_reads_them(home: Home, home_folder: Path):
    password = home.secret("someone")
    assert len(password) >= 24
    assert Home(home_folder).secret("someone") == password
    assert stat.S_IMODE((home_folder / "secrets" / "someone").stat().st_mode) == 0o600
    assert stat.S_IMODE((home_folder / "secrets").stat().st_mode) == 0o700


def test_a_long_path_is_reached_by_a_short_link(home_folder: Path):
    home = Home(home_folder / "a-folder-deep-down" / "with-a-long-name" / "for-the-home-of-a-run")
    assert len(str(home.short)) <= HOME_LENGTH_MAX
    (home.short / "written").touch()
    assert (home.root / "written").exists()
    assert Home(home.root).short == home.short
    home.lock()
    home.unlock()
    assert not home.short.is_symlink()


def test_a_link_that_leads_elsewhere_is_refused(home_folder: Path):
    home = Home(home_folder / "a-folder-deep-down" / "with-a-long-name" / "for-the-home-of-a-run")
    home.short.unlink()
    home.short.symlink_to("/nowhere")
    with pytest.raises(PermissionError, match="does not lead to"):
        _ = Home(home.root).short
    home.short.unlink()


def test_a_relative_path_is_taken_from_the_working_folder(home_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home_folder)
    assert Home(Path("here")).root == Path(os.path.realpath(home_folder)) / "here"
