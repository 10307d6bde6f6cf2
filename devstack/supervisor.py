"""Keeps processes running: starts them side by side, restarts those that die, stops them in order."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import TypeAdapter

from chassis.clock import monotonic_seconds, now
from devstack.home import Home, write_whole
from devstack.process import Child, Spec, stop_all, wait_ready

TICK_SECONDS = 0.2
BACKOFF_SECONDS_FIRST = 0.25
BACKOFF_SECONDS_MAX = 30.0
# One that ran this long is taken to have recovered: its next death starts with the shortest back-off again.
SETTLED_SECONDS = 60.0


@dataclass
class Kept:
    """A process that is kept running."""

    child: Child
    start_time: datetime
    started: bool = False
    """It was ready once: until then its death is a failed start, afterwards a reason to restart it."""
    restarts: int = 0
    deaths_in_row: int = 0
    restart_at: float | None = None


@dataclass(frozen=True)
class ProcessState:
    """A process as `banyan status` shows it."""

    name: str
    pid: int
    port: int
    metrics_port: int
    restarts: int
    start_time: str
    running: bool


@dataclass(frozen=True)
class State:
    """What a run tells about itself in `state.json`."""

    pid: int
    phase: str
    ready: bool
    processes: tuple[ProcessState, ...] = ()
    details: dict[str, str] = field(default_factory=dict[str, str])


_STATE = TypeAdapter(State)


class Supervisor:
    """Owns the processes of a run.

    Groups are stopped in the reverse order of their start. Use it from one thread that lives as long as the process;
    restarts happen in a thread of its own that ends last.
    """

    def __init__(self, home: Home, pid: int) -> None:
        self._home = home
        self._state = State(pid=pid, phase="starting", ready=False)
        self._groups: list[list[Kept]] = []
        self._lock = threading.RLock()
        self._stopping = False
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._log = logging.getLogger("banyan.supervisor")

    def tell(self, phase: str, details: Mapping[str, str] | None = None, *, ready: bool = False) -> None:
        """Says in `state.json` how far the run has come; details stay until they are told anew."""
        with self._lock:
            known = {**self._state.details, **(details or {})}
            self._state = replace(self._state, phase=phase, ready=ready, details=known)
            self._write()

    def start(self, *groups: Sequence[Spec]) -> None:
        """Starts the groups side by side and returns when every process is ready."""
        started: list[Kept] = []
        with self._lock:
            for group in groups:
                kept: list[Kept] = []
                self._groups.append(kept)  # before its first process: whatever happens then, `stop` knows of all
                kept.extend(Kept(Child(spec, self._home), now()) for spec in group)
                started += kept
            self._write()
        if not self._watcher.is_alive():
            self._watcher.start()
        for one in started:
            wait_ready(one.child)
            one.started = True

    def stop(self) -> None:
        """Stops everything, the last group first; nothing is restarted any more."""
        with self._lock:
            self._stopping = True
        for group in reversed(self._groups):
            stop_all([kept.child for kept in group])
        self._stopped.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def _watch(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            with self._lock:
                if self._stopping:
                    continue
                for kept in (kept for group in self._groups for kept in group if kept.started):
                    self._look_after(kept)

    def _look_after(self, kept: Kept) -> None:
        code = kept.child.exit_code
        if code is None:
            return
        instant = monotonic_seconds()
        name = kept.child.spec.name
        if kept.restart_at is None:
            settled = instant - kept.child.start_seconds > SETTLED_SECONDS
            kept.deaths_in_row = 1 if settled else kept.deaths_in_row + 1
            wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_FIRST * 2 ** (kept.deaths_in_row - 1))
            kept.restart_at = instant + wait
            self._log.warning("%s ended with %s; it is started again in %.2f s", name, code, wait)
        elif instant >= kept.restart_at:
            kept.child, kept.start_time = Child(kept.child.spec, self._home), now()
            kept.restarts += 1
            kept.restart_at = None
            self._log.warning("%s runs again with pid %d", name, kept.child.pid)
        else:
            return
        self._write()

    def _write(self) -> None:
        processes = tuple(_process_state(kept) for group in self._groups for kept in group)
        state = replace(self._state, processes=processes)
        write_whole(self._home.root / "state.json", _STATE.dump_json(state, indent=1).decode())


def read_state(home: Home) -> State | None:
    """What the last run told about itself; None if there was none."""
    try:
        return _STATE.validate_json((home.root / "state.json").read_bytes())
    except FileNotFoundError:
        return None


def _process_state(kept: Kept) -> ProcessState:
    spec = kept.child.spec
    return ProcessState(
        name=spec.name,
        pid=kept.child.pid,
        port=spec.port,
        metrics_port=spec.metrics_port,
        restarts=kept.restarts,
        start_time=kept.start_time.isoformat(),
        running=kept.restart_at is None,
    )
