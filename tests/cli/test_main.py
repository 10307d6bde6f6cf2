import json
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from devstack.home import Home
from devstack.supervisor import read_state


def test_help_lists_the_commands(command: list[str]):
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0
    for name in ("run", "stop", "status", "providers", "migrate", "import", "nightly", "demo"):
        assert name in told.stdout


def test_who_only_looks_leaves_no_folder_behind(banyan, home_folder: Path):
    home_folder.rmdir()
    assert banyan("status").returncode == 3
    assert banyan("providers").returncode == 3
    assert banyan("stop").returncode == 0
    assert not home_folder.exists()
    home_folder.mkdir()


def test_status_of_a_home_that_nothing_runs_in_says_so(banyan, home_folder: Path):
    home = Home(home_folder)
    home.lock()
    home.unlock()
    told = banyan("status", "--json")
    assert told.returncode == 3
    assert json.loads(told.stdout)["running"] is False


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_port_of_somebody_else_is_refused_before_anything_starts(banyan, home_folder: Path, detach):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = banyan("run", "--port", str(port), *detach)
    assert told.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in told.stderr
    assert not (home_folder / "postgres").exists()
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_home_in_use_is_refused(banyan, home_folder: Path, detach):
    home = Home(home_folder)
    home.lock()
    told = banyan("run", "--port", "0", *detach)
    assert told.returncode == 1
    assert f"{home.root} is in use by the run with pid" in told.stderr
    home.unlock()


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_while_it_starts_leaves_nothing(command, home_folder: Path, asked_by: signal.Signals):
    arguments = ["run", "--home", str(home_folder), "--port", "0"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        while "updating the databases" not in run.stdout.readline():
            assert run.poll() is None
        state = read_state(Home(home_folder))
        assert state
        run.send_signal(asked_by)
        _, told = run.communicate()
    assert run.returncode == 130
    assert "interrupted before it was ready" in told
    assert len(state.processes) == 3
    assert not any(psutil.pid_exists(one.pid) for one in state.processes)
    assert not list((home_folder / "run").iterdir())


def test_berka_without_data_is_refused(banyan):
    told = banyan("run", "--format", "berka")
    assert told.returncode == 2
    assert "needs --data" in told.stderr


def test_the_demo_bank_takes_no_data(banyan, home_folder: Path):
    told = banyan("run", "--format", "demo", "--data", str(home_folder))
    assert told.returncode == 2
    assert "takes no --data" in told.stderr
