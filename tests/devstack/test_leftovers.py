import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from devstack.home import Home
from devstack.leftovers import stop_leftovers
from devstack.process import HOME_VARIABLE, Record, identity, pid_file

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


def record(home: Home, pid: int, known_as: str) -> Path:
    file = pid_file(home, "left")
    file.write_text(json.dumps(asdict(Record("left", pid, known_as, int(signal.SIGTERM)))))
    return file


def test_a_process_of_a_killed_run_is_stopped(home: Home):
    left = subprocess.Popen(SLEEP, start_new_session=True)
    file = record(home, left.pid, identity(left.pid))
    assert stop_leftovers(home) == ["left"]
    assert left.wait() == -signal.SIGTERM
    assert not file.exists()


def test_the_pid_file_of_a_dead_process_is_removed(home: Home):
    dead = subprocess.Popen(SLEEP)
    known_as = identity(dead.pid)
    dead.kill()
    dead.wait()
    file = record(home, dead.pid, known_as)
    assert stop_leftovers(home) == []
    assert not file.exists()


def test_a_stranger_that_got_the_recorded_pid_is_left_alone(home: Home):
    with subprocess.Popen(SLEEP) as stranger:
        file = record(home, stranger.pid, identity(os.getpid()))
        assert stop_leftovers(home) == []
        assert not file.exists()
        assert stranger.poll() is None
        stranger.kill()


def test_a_grandchild_whose_parent_is_gone_is_killed(home: Home):
    stray = subprocess.Popen(SLEEP, env={**os.environ, HOME_VARIABLE: str(home.root)})
    assert len(stop_leftovers(home)) == 1
    assert stray.wait() == -signal.SIGKILL


def test_a_process_of_another_home_is_left_alone(home: Home):
    with subprocess.Popen(SLEEP, env={**os.environ, HOME_VARIABLE: f"{home.root}-other"}) as other:
        assert stop_leftovers(home) == []
        assert other.poll() is None
        other.kill()


def test_a_pid_file_that_cannot_be_read_is_removed(home: Home, wait_until: Callable[[Callable[[], object]], None]):
    file = pid_file(home, "left")
    file.write_text("{")
    assert stop_leftovers(home) == []
    wait_until(lambda: not file.exists())
