import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.home import Home
from devstack.process import Spec, StartFailed
from devstack.supervisor import State, Supervisor, read_state

Wait = Callable[[Callable[[], object]], None]
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def supervisor(home: Home) -> Iterator[Supervisor]:
    supervisor = Supervisor(home, os.getpid())
    yield supervisor
    supervisor.stop()


def state(home: Home) -> State:
    found = read_state(home)
    assert found
    return found


def test_a_home_never_used_has_no_state(home: Home):
    assert read_state(home) is None


def test_the_state_tells_how_far_the_run_has_come(home: Home, supervisor: Supervisor):
    supervisor.tell("loading", {"zookeeper": "127.0.0.1:1"})
    supervisor.start([Spec("sleep", SLEEP, home.root, port=1234)])
    supervisor.tell("ready", {"url": "http://127.0.0.1:8080"}, ready=True)
    found = state(home)
    assert (found.pid, found.phase, found.ready) == (os.getpid(), "ready", True)
    assert found.details == {"zookeeper": "127.0.0.1:1", "url": "http://127.0.0.1:8080"}
    assert [(one.name, one.port, one.restarts, one.running) for one in found.processes] == [("sleep", 1234, 0, True)]


def test_a_process_that_dies_is_started_again_and_this_is_told(home: Home, supervisor: Supervisor, wait_until: Wait):
    supervisor.start([Spec("sleep", SLEEP, home.root)])
    pid = state(home).processes[0].pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: state(home).processes[0].restarts == 1)
    again = state(home).processes[0]
    assert again.running
    assert again.pid != pid
    os.kill(again.pid, 0)


def test_one_that_dies_again_and_again_waits_longer_each_time(home: Home, supervisor: Supervisor, wait_until: Wait):
    supervisor.start([Spec("short", (sys.executable, "-c", "print('up', flush=True)"), home.root)])
    wait_until(lambda: state(home).processes[0].restarts == 3)
    [kept] = supervisor._groups[0]
    assert kept.deaths_in_row >= 3
    wait_until(lambda: kept.restart_at is not None)
    assert not state(home).processes[0].running


def test_the_last_group_is_stopped_first(home: Home, supervisor: Supervisor):
    noted = home.root / "noted"
    script = "import signal, sys, time\n"
    script += f"def end(*_): open({str(noted)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
    script += "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"

    def spec(name: str) -> Spec:
        log = home.log(name)
        return Spec(name, (sys.executable, "-c", script, name), home.root, ready=lambda _pid: log.read_text() != "")

    supervisor.start([spec("a")])
    supervisor.start([spec("b")], [spec("c")])
    supervisor.stop()
    assert noted.read_text() == "cba"


def test_a_failed_start_can_be_stopped(home: Home, supervisor: Supervisor):
    broken = Spec("broken", (sys.executable, "-c", "raise SystemExit('no disk')"), home.root, ready=lambda _pid: False)
    with pytest.raises(StartFailed, match="no disk"):
        supervisor.start([Spec("sleep", SLEEP, home.root)], [broken])
    supervisor.stop()
    assert not list((home.root / "run").iterdir())


def test_nothing_is_started_again_while_stopping(home: Home, supervisor: Supervisor):
    supervisor.start([Spec("sleep", SLEEP, home.root)])
    supervisor.stop()
    assert state(home).processes[0].restarts == 0
    assert not Path(f"/proc/{state(home).processes[0].pid}").exists()
