"""Valkey as a child process: a cache and a loudspeaker, so nothing of it is kept on disk."""

import socket

from devstack import wheels
from devstack.home import Home
from devstack.process import Spec

MEMORY_MAX = "256mb"


def spec(home: Home) -> Spec:
    """Valkey on a port of 127.0.0.1."""
    port = home.port("valkey")
    folder = home.root / "valkey"
    folder.mkdir(exist_ok=True)
    options = {"port": port, "bind": "127.0.0.1", "dir": home.short / "valkey", "save": "", "appendonly": "no"}
    options |= {"maxmemory": MEMORY_MAX, "maxmemory-policy": "allkeys-lru", "daemonize": "no"}
    return Spec(
        name="valkey",
        command=[
            str(wheels.valkey_server()),
            *(str(part) for key, value in options.items() for part in (f"--{key}", value)),
        ],
        directory=folder,
        ready=lambda _pid: answers(port, b"PING\r\n", b"+PONG"),
        port=port,
    )


def url(port: int) -> str:
    """What clients connect to."""
    return f"redis://127.0.0.1:{port}/0"


def answers(port: int, question: bytes, wanted: bytes) -> bool:
    """Says whether a server on a port of 127.0.0.1 answers a line with what is wanted, at once."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(question)
            return connection.recv(1024).startswith(wanted)
    except OSError:
        return False
