"""`banyan run`: the system in the foreground until Ctrl-C, or in the background once it is ready."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from chassis.clock import monotonic_seconds
from cli.screen import Screen, fail
from devstack import bank
from devstack.bank import Bank, OtherBank, Source
from devstack.home import Home, HomeInUse
from devstack.leftovers import stop_leftovers
from devstack.process import StartFailed
from devstack.supervisor import read_state
from devstack.system import Options, PortInUse, System

LOG_NAME = "run"
POLL_SECONDS = 0.2
STOP_SECONDS = 120.0
# What a shell reports for a program ended by Ctrl-C.
INTERRUPTED_EXIT_CODE = 130

# Loads a feed's folder as of a date into the running system of a home.
Publish = Callable[[Path, Home, date | None, Console], None]


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop."""


def foreground(home: Home, source: Source, options: Options, publish: Publish, screen: Screen) -> None:
    """Runs the system until a signal, restarting what dies; whatever happens, nothing is left running."""
    began = monotonic_seconds()
    system = System(home, lambda phase: screen.say(f"[{monotonic_seconds() - began:5.1f} s] {phase}"))
    ready = False
    try:
        _raise_on_signals()
        url, held = _start(system, source, options, lambda folder, day: publish(folder, home, day, screen.console))
        ready = True
        _welcome(screen, url, held, monotonic_seconds() - began)
        while True:
            time.sleep(POLL_SECONDS)
    except Interrupted:
        if not ready:
            fail("interrupted before it was ready", INTERRUPTED_EXIT_CODE)
    except (StartFailed, HomeInUse, PortInUse, OtherBank) as error:
        fail(str(error))
    finally:
        system.stop()


def background(home: Home, arguments: Sequence[str], screen: Screen) -> None:
    """Starts a run of its own session, and returns when it is ready; shows its log and fails if it ends before."""
    log = home.log(LOG_NAME)
    began = monotonic_seconds()
    log.touch()
    log.chmod(0o600)  # the sign-ins are shown in it
    with log.open("wb") as out:
        run = subprocess.Popen(  # noqa: S603 - this program again
            [sys.executable, "-P", "-m", "cli.main", "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_ready(home, run, screen)
    except KeyboardInterrupt:
        run.terminate()
        run.wait(STOP_SECONDS)
        fail("interrupted before it was ready", INTERRUPTED_EXIT_CODE)
    if run.returncode is not None:
        fail(f"it ended with {run.returncode}:\n{log.read_text(errors='replace').strip()}")
    state = read_state(home)
    held = bank.read(home)
    assert state is not None
    assert held is not None
    _welcome(screen, state.details["url"], held, monotonic_seconds() - began)
    run.returncode = 0  # it goes on without us: nobody is to wait for it


def stop(home: Home) -> bool:
    """Stops the run of a home, or what a killed one left; returns whether there was one."""
    owner = home.owner()
    if owner is None:
        return _clean_up(home)
    process = os.pidfd_open(owner)
    if home.owner() == owner:  # still: the handle is of that run, whatever gets its pid later
        signal.pidfd_send_signal(process, signal.SIGTERM)
    os.close(process)
    end = monotonic_seconds() + STOP_SECONDS
    while home.owner() == owner:
        if monotonic_seconds() > end:
            fail(f"the run with pid {owner} did not stop within {STOP_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return True


def _clean_up(home: Home) -> bool:
    home.lock()
    try:
        return bool(stop_leftovers(home))
    finally:
        home.unlock()


def _start(
    system: System, source: Source, options: Options, publish: Callable[[Path, date | None], None]
) -> tuple[str, Bank]:
    system.take_home()
    held = bank.choose(system.home, source)
    url = system.start(options, held.currency)
    if not held.loaded:
        system.tell(f"loading the bank ({held.format})")
        held = bank.load(system.home, held.source, publish)
    system.tell_ready(url)
    return url, held


def _wait_ready(home: Home, run: subprocess.Popen[bytes], screen: Screen) -> None:
    with screen.console.status("starting") as status:
        while run.poll() is None:
            state = read_state(home)
            if state and state.pid == run.pid:
                status.update(state.phase)
                if state.ready:
                    return
            time.sleep(POLL_SECONDS)


def _welcome(screen: Screen, url: str, held: Bank, seconds: float) -> None:
    sign_ins = [one.__dict__ for one in held.sign_ins]
    screen.result({"url": url, "docs": f"{url}/docs/", "bank": held.format, "sign_ins": sign_ins, "seconds": seconds})
    if screen.as_json:
        return
    as_of = f" as of {held.business_date}" if held.business_date else ""
    screen.say(f"\nBanyan is ready after {seconds:.0f} s, with the bank '{held.format}'{as_of}.")
    screen.say(f"  API           {url}\n  API browser   {url}/docs/\n")
    screen.table("Sign in as", sign_ins)


def _raise_on_signals() -> None:
    """Turns the first signal to stop into `Interrupted`; later ones do not disturb the stopping."""

    def interrupt(_number: int, _frame: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for one in signals:
        signal.signal(one, interrupt)
