"""One child process: started through `launch.py`, recorded in a pid file, known again by when it started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chassis.clock import monotonic_seconds
from devstack.home import Home, write_whole

# Marks every process of a run: a grandchild whose parent is gone is told from a stranger by it. PostgreSQL and Valkey
# lose it, since they write their titles over their environment.
HOME_VARIABLE = "BANYAN_DEVSTACK_HOME"
LOG_TAIL_LINES = 20
POLL_SECONDS = 0.02
POLL_SECONDS_MAX = 0.2
_LAUNCH = Path(__file__).with_name("launch.py")


def always_ready(_pid: int) -> bool:
    """Says that a process is ready as soon as it runs."""
    return True


@dataclass(frozen=True)
class Spec:
    """What to run and how to tell that it is ready.

    `death_signal` is what it gets when the supervisor dies without stopping it. One that ends by itself has
    `ready_seconds` to do so.
    """

    name: str
    command: Sequence[str]
    directory: Path
    ready: Callable[[int], bool] = always_ready
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int = 0
    metrics_port: int = 0
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    ready_seconds: float = 120.0
    stop_seconds: float = 20.0


class Child:
    """A running process of a spec.

    Made in a thread that outlives it: Linux tells the child of the death of that thread, not of the whole process.
    """

    def __init__(self, spec: Spec, home: Home) -> None:
        self.spec = spec
        self._pid_file = pid_file(home, spec.name)
        launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(spec.death_signal))]
        self.log = home.log(spec.name)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - programs of our own choice
                [*launcher, spec.user or "-", *spec.command],
                cwd=spec.directory,
                env={**os.environ, **spec.environment, HOME_VARIABLE: str(home.root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the others in order
            )
        self.pid = self._process.pid
        self.start_seconds = monotonic_seconds()
        record = Record(spec.name, self.pid, identity(self.pid), int(spec.stop_signal))
        write_whole(self._pid_file, json.dumps(asdict(record)))

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs. What it had started itself does not outlive it."""
        if self._process.returncode is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            # Not reaped yet: as long as it is a zombie, its number is given to nobody else.
            kill_group(self.pid)
            self._process.wait()
            self._pid_file.unlink(missing_ok=True)
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, if it runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it and what it started, as a crash would."""
        if self.exit_code is None:
            kill_group(self.pid)
        self.wait_stopped()

    def wait_stopped(self) -> None:
        """Waits for its end, and forces it after `stop_seconds`."""
        end = monotonic_seconds() + self.spec.stop_seconds
        while self.exit_code is None:
            if monotonic_seconds() > end:
                kill_group(self.pid)
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


class StartFailed(Exception):
    """A process ended, or was not ready in time; the message shows the end of its log."""

    def __init__(self, child: Child) -> None:
        how = "took too long" if child.exit_code is None else f"ended with {child.exit_code}"
        super().__init__(f"{child.spec.name} {how}; the end of {child.log}:\n{child.log_tail()}")


def start_all(specs: Iterable[Spec], home: Home) -> list[Child]:
    """Starts processes side by side and returns when all are ready; if one fails, all are stopped again."""
    children = [Child(spec, home) for spec in specs]
    try:
        for child in children:
            wait_ready(child)
    except BaseException:
        stop_all(children)
        raise
    return children


def wait_ready(child: Child) -> None:
    """Waits until a process is ready, asking it less and less often."""
    wait = POLL_SECONDS
    while not child.spec.ready(child.pid):
        if child.exit_code is not None or monotonic_seconds() - child.start_seconds > child.spec.ready_seconds:
            raise StartFailed(child)
        time.sleep(wait)
        wait = min(wait * 1.2, POLL_SECONDS_MAX)


def stop_all(children: Sequence[Child]) -> None:
    """Stops processes side by side."""
    for child in children:
        child.send(child.spec.stop_signal)
    for child in children:
        child.wait_stopped()


def run_all_to_end(specs: Iterable[Spec], home: Home) -> None:
    """Runs processes that end by themselves, side by side; if one fails, the others are stopped."""
    children = [Child(spec, home) for spec in specs]
    try:
        for child in children:
            _wait_done(child)
    except BaseException:
        stop_all(children)
        raise


def _wait_done(child: Child) -> None:
    while child.exit_code is None and monotonic_seconds() - child.start_seconds <= child.spec.ready_seconds:
        time.sleep(POLL_SECONDS)
    if child.exit_code != 0:
        raise StartFailed(child)


@dataclass(frozen=True)
class Record:
    """What a pid file holds."""

    name: str
    pid: int
    identity: str
    stop_signal: int


def pid_file(home: Home, name: str) -> Path:
    """Where a process of a run is recorded."""
    return home.root / "run" / f"{name}.json"


def identity(pid: int) -> str:
    """Which process a pid is now: the boot and the clock tick of its start; empty when there is none."""
    try:
        # The second field is the program's name in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def kill_group(pid: int) -> None:
    """Kills what is left of the process group that a child led."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
