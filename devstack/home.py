"""The home folder of a run: its paths, the ports it keeps, its passwords, and the lock that says it is in use."""

import fcntl
import hashlib
import json
import os
import secrets
import socket
import tempfile
from functools import cached_property
from pathlib import Path
from random import SystemRandom

# A unix socket's path has at most 107 bytes; the longest one under a home is `/postgres/.s.PGSQL.5432` or a service's
# `/services/assignment-10/ads.sock`, with room for names to come.
HOME_LENGTH_MAX = 60
# Below the range that outgoing connections take their ports from, so that a kept port is still free the next time.
_PORTS = (15_000, 32_000)
_PORT_ATTEMPTS = 1_000


class HomeInUse(Exception):
    """Another live run holds the home."""


class Home:
    """A folder that one run at a time may use; `root` is its path as it is on disk."""

    def __init__(self, folder: Path) -> None:
        self.root = folder.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = None
        for name in ("logs", "run", "secrets"):
            (self.root / name).mkdir(exist_ok=True)
        (self.root / "secrets").chmod(0o700)

    @cached_property
    def short(self) -> Path:
        """Leads to the same folder and is what sockets are named by.

        The same path, or for a long one a link under /tmp named by a hash of it, which is there while a run is.
        """
        return self.root if len(os.fsencode(self.root)) <= HOME_LENGTH_MAX else _link_to(self.root)

    def log(self, process: str) -> Path:
        """The log file of a process."""
        return self.root / "logs" / f"{process}.log"

    def lock(self) -> None:
        """Takes the home for this process until it ends, however it ends; refuses when another one has it."""
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode().strip()
            os.close(handle)
            raise HomeInUse(
                f"{self.root} is in use by the run with pid {owner}; `banyan stop` ends it, `--home` chooses another"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._lock = handle

    def unlock(self) -> None:
        """Gives the home back."""
        if self._lock is None:
            return
        if self.short != self.root:
            self.short.unlink()
        os.close(self._lock)
        self._lock = None

    def owner(self) -> int | None:
        """The pid of the live run that holds the home, or None."""
        try:
            with (self.root / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int((self.root / "lock").read_text())
        return None

    def port(self, name: str) -> int:
        """The port kept under a name; another one if somebody else took it meanwhile."""
        file = self.root / "ports.json"
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if name not in ports or not port_is_free(ports[name]):
            ports[name] = free_port(set(ports.values()))
            write_whole(file, json.dumps(ports, indent=1))
        return ports[name]

    def secret(self, name: str) -> str:
        """The password kept under a name, made at first use, readable by the owner only."""
        file = self.root / "secrets" / name
        if not file.exists():
            write_whole(file, secrets.token_urlsafe(18))
        return file.read_text()


def write_whole(file: Path, text: str) -> None:
    """Writes a file so that nobody ever reads half of it, nor anybody but the owner."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    part.replace(file)


def port_is_free(port: int) -> bool:
    """Says whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """Finds a port of 127.0.0.1 that is free now; chosen by chance, so that two runs at once seldom meet."""
    chance = SystemRandom()
    for _ in range(_PORT_ATTEMPTS):
        port = chance.randrange(*_PORTS)
        if port not in taken and port_is_free(port):
            return port
    raise OSError(f"no free port between {_PORTS[0]} and {_PORTS[1]}")


def _link_to(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:10]
    link = Path(tempfile.gettempdir()) / f"banyan-{os.getuid()}-{name}"
    if not link.is_symlink():
        link.symlink_to(root)
    # /tmp is everybody's: a link that is not ours may lead anywhere tomorrow.
    if link.lstat().st_uid != os.getuid() or link.readlink() != root:
        raise PermissionError(f"{link} does not lead to {root}: remove it, or choose a home with a shorter path")
    return link
