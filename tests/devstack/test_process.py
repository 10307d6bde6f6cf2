import os
import pwd
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from devstack import launch
from devstack.home import Home
from devstack.process import Child, Spec, StartFailed, run_all_to_end, start_all, stop_all

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
# The three servers of a run, started and then left to whatever happens to this process.
SERVERS = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from devstack.home import Home
    from devstack.system import System
    system = System(Home(Path(sys.argv[1])), print)
    system.take_home()
    servers = system.start_servers()
    postgres = servers.postgres
    postgres.ensure("kept")
    told = postgres.sql("CREATE TABLE IF NOT EXISTS started (number int)", "INSERT INTO started VALUES (1)",
                        "SELECT count(*) FROM started", database="kept")
    print("up", told, postgres.sql("SHOW data_directory"), flush=True)
    sys.stdin.read()
    system.stop()
    print("stopped", flush=True)
""")


def start_servers(command: list[str]) -> tuple[subprocess.Popen[str], list[str]]:
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout
    lines: list[str] = []
    while not lines or not lines[-1].startswith("up"):
        lines.append(run.stdout.readline().strip())
        assert lines[-1], "it ended before the servers were up"
    return run, lines


def end(run: subprocess.Popen[str]) -> None:
    told, _ = run.communicate("")
    assert told.endswith("stopped\n")
    assert run.returncode == 0


def test_a_process_is_started_and_stopped(home: Home, home_folder: Path):
    child = Child(Spec("sleep", SLEEP, home_folder), home)
    assert child.exit_code is None
    assert (home_folder / "run" / "sleep.json").exists()
    stop_all([child])
    assert child.exit_code == -signal.SIGTERM
    assert not (home_folder / "run" / "sleep.json").exists()


def test_one_that_ignores_its_stop_signal_is_killed(home: Home, home_folder: Path):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    stubborn += "time.sleep(600)"
    log = home.log("stubborn")
    spec = Spec(
        "stubborn",
        (sys.executable, "-c", stubborn),
        home_folder,
        ready=lambda _pid: log.read_text() == "up\n",
        stop_seconds=0.2,
    )
    [child] = start_all([spec], home)
    stop_all([child])
    assert child.exit_code == -signal.SIGKILL


def test_a_failed_start_shows_the_end_of_the_log_and_stops_the_others(home: Home, home_folder: Path):
    broken = Spec(
        "broken", (sys.executable, "-c", "raise SystemExit('no disk')"), home_folder, ready=lambda _pid: False
    )
    with pytest.raises(StartFailed, match=r"broken ended with 1; the end of .*/logs/broken.log:\nno disk"):
        start_all([Spec("sleep", SLEEP, home_folder), broken], home)
    assert not list((home_folder / "run").iterdir())


def test_one_that_never_gets_ready_is_a_failed_start(home: Home, home_folder: Path):
    slow = Spec("slow", SLEEP, home_folder, ready=lambda _pid: False, ready_seconds=0.1)
    with pytest.raises(StartFailed, match="slow took too long"):
        start_all([slow], home)


def test_a_program_that_ends_badly_is_told(home: Home, home_folder: Path):
    spec = Spec("once", (sys.executable, "-c", "raise SystemExit(3)"), home_folder)
    with pytest.raises(StartFailed, match="once ended with 3"):
        run_all_to_end([spec], home)


def test_a_program_that_does_not_end_is_stopped(home: Home, home_folder: Path):
    with pytest.raises(StartFailed, match="sleep took too long"):
        run_all_to_end([Spec("sleep", SLEEP, home_folder, ready_seconds=0.1)], home)
    assert not list((home_folder / "run").iterdir())


def test_what_a_child_started_ends_with_it(
    home: Home, home_folder: Path, processes_of: Callable[[], list[psutil.Process]], wait_until
):
    parent = f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(600)"
    child = Child(Spec("parent", (sys.executable, "-c", parent), home_folder), home)
    wait_until(lambda: len(processes_of()) == 2)
    child.send(signal.SIGKILL)
    child.wait_stopped()
    wait_until(lambda: not processes_of())


def test_killing_the_parent_leaves_no_child_and_the_next_start_keeps_the_data(
    home_folder: Path, processes_of: Callable[[], list[psutil.Process]], wait_until
):
    command = [sys.executable, "-c", SERVERS, str(home_folder)]
    run, lines = start_servers(command)
    assert lines[-1].startswith("up 1 ")
    assert len(processes_of()) >= 3
    run.kill()
    run.communicate()
    wait_until(lambda: not processes_of())
    again, lines = start_servers(command)
    assert lines[-1].startswith("up 2 ")
    end(again)
    assert not processes_of()


def test_an_ordinary_user_runs_the_servers_too(home_folder: Path):
    command = [sys.executable, "-c", SERVERS, str(home_folder)]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(home_folder, nobody.pw_uid, nobody.pw_gid)
        command = [sys.executable, str(launch.__file__), str(os.getpid()), "9", "nobody", *command]
    run, lines = start_servers(command)
    assert lines[-1] == f"up 1 {home_folder}/postgres/data"
    assert psutil.Process(run.pid).uids().effective != 0
    end(run)
    assert psutil.Process().uids().effective == os.geteuid()
