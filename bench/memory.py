"""Memory of each process of a running system that nobody asks anything of.

`memory.NAME` is what is resident; of several processes, such as PostgreSQL's, what they share counts once (PSS).
`.own` is what no other process has, so what one more would take. `.peak` is the most that was resident since the start.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench import servers
from bench.results import Result
from devstack.home import Home
from devstack.services import SERVICES
from devstack.system import Options, System

# Until the first pages of feeds have come and the pools are filled.
IDLE_SECONDS = 20.0
_GOAL = "≤ 200 MB idle"
_MEGABYTE = 1e6


def measure(idle_seconds: float = IDLE_SECONDS) -> list[Result]:
    """Starts a system of one instance each without a bank, and looks at it after a while."""
    with servers.home() as home:
        system = System(home, lambda _phase: None)
        try:
            system.take_home()
            system.start(Options(port=home.port("gateway")), "CNY")
            time.sleep(idle_seconds)
            return [result for name, pid in _recorded(home) for result in _of(name, pid)]
        finally:
            system.stop()


def _recorded(home: Home) -> list[tuple[str, int]]:
    """Every process of the run, by the name that it has there."""
    records = [json.loads(file.read_text()) for file in sorted((home.root / "run").glob("*.json"))]
    return [(record["name"], record["pid"]) for record in records]


def _of(name: str, pid: int) -> list[Result]:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    is_service = name.rpartition("-")[0] in SERVICES
    found = [
        Result(f"memory.{name}", _sum(processes, "rss" if is_service else "pss"), "MB", goal=_GOAL * is_service),
        Result(f"memory.{name}.own", _sum(processes, "uss"), "MB"),
    ]
    if is_service:
        # The kernel counts the peak in its own time, and may be some pages behind what is resident.
        found.append(Result(f"memory.{name}.peak", max(peak_megabytes(pid), found[0].value), "MB"))
    return found


def _sum(processes: Sequence[psutil.Process], kind: str) -> float:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker of PostgreSQL ended meanwhile
            total += getattr(process.memory_full_info(), kind)
    return total / _MEGABYTE


def peak_megabytes(pid: int) -> float:
    """The most of a process that was resident since its start."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / _MEGABYTE
