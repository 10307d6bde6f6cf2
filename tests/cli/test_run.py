"""The whole system as a user runs it: one run for the module, broken a little more by each test."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

Banyan = Callable[..., Any]
PROCESSES = {"postgres", "valkey", "zookeeper", "assignment-1", "customer-1", "campaign-1", "alert-1", "gateway"}
WAIT_SECONDS = 60

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def running_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def banyan(running_home: Path, command) -> Iterator[Banyan]:
    """Runs a command with the home, which must succeed, and returns what it told in JSON."""

    def run(*arguments: str):
        done = subprocess.run(
            [*command, *arguments, "--json", "--home", str(running_home)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    run("stop")


@pytest.fixture(scope="module")
def started(banyan: Banyan) -> Any:
    return banyan("run", "--detach", "--port", "0", "--customers", "200")


def is_healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
        return answer.status == 200


def sign_in(url: str, who: dict[str, str]) -> dict[str, Any]:
    body = json.dumps({"login": who["login"], "password": who["password"]}).encode()
    request = urllib.request.Request(f"{url}/v1/sessions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def test_a_detached_run_serves_when_the_command_returns(started):
    assert is_healthy(started["url"])


def test_every_role_that_is_shown_can_sign_in(started):
    assert started["sign_ins"]
    for who in started["sign_ins"]:
        assert sign_in(started["url"], who)


def test_status_shows_every_process_provider_and_follower(started, banyan: Banyan):
    status = banyan("status")
    assert status["running"]
    assert status["url"] == started["url"]
    assert {one["name"] for one in status["processes"]} == PROCESSES
    for process in status["processes"]:
        assert process["state"] == "running"
        assert process["memory_mb"] > 0
        assert process["restarts"] == 0
    ports = {f"127.0.0.1:{one['port']}" for one in status["processes"] if one["name"].endswith("-1")}
    assert {one["host"] + ":" + str(one["port"]) for one in status["providers"]} == ports
    assert {one["process"] for one in status["followers"]} >= {"customer-1", "alert-1"}


@pytest.mark.usefixtures("started")
def test_providers_shows_what_every_service_serves(banyan: Banyan):
    applications = {one["application"] for one in banyan("providers")}
    assert applications == {"assignment_svc", "customer_svc", "campaign_svc", "alert_svc"}


@pytest.mark.usefixtures("started")
def test_a_service_that_is_killed_runs_again(banyan: Banyan):
    [victim] = [one for one in banyan("status")["processes"] if one["name"] == "alert-1"]
    os.kill(victim["pid"], signal.SIGKILL)

    def runs_again() -> bool:
        [found] = [one for one in banyan("status")["processes"] if one["name"] == "alert-1"]
        return found["restarts"] == 1 and found["state"] == "running" and found["pid"] != victim["pid"]

    wait_until(runs_again)


def test_a_run_that_is_killed_leaves_nothing_and_the_next_one_keeps_the_bank(
    started, banyan: Banyan, running_home: Path
):
    processes = [psutil.Process(one["pid"]) for one in banyan("status")["processes"]]
    os.kill(int((running_home / "lock").read_text()), signal.SIGKILL)
    wait_until(lambda: not any(one.is_running() for one in processes))
    again = banyan("run", "--detach", "--port", "0")
    assert again["url"] == started["url"]
    assert again["sign_ins"] == started["sign_ins"]
    assert sign_in(again["url"], again["sign_ins"][0])


@pytest.mark.usefixtures("started")
def test_a_run_that_is_stopped_leaves_nothing(banyan: Banyan):
    processes = [psutil.Process(one["pid"]) for one in banyan("status")["processes"]]
    assert banyan("stop") == {"stopped": True}
    assert not any(one.is_running() for one in processes)
    assert banyan("stop") == {"stopped": False}
