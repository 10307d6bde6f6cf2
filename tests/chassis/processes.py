"""Serving processes that tests start, signal and listen to."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).parents[2]


@dataclass
class Process:
    """A serving process and what it has told so far."""

    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel | None = None
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [told["event"] for told in self.told]

    async def until(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while not self.told or self.told[-1]["event"] != event:
                line = await self.process.stdout.readline()
                assert line, f"it ended before {event!r}, after {self.events}"
                self.told.append(json.loads(line))
        return self.told[-1]

    async def end(self) -> list[dict[str, Any]]:
        """Waits for the end and returns the lines of its log."""
        async with asyncio.timeout(20):
            stdout, stderr = await self.process.communicate()
        self.told += [json.loads(line) for line in stdout.splitlines()]
        return [json.loads(line) for line in stderr.splitlines() if line.startswith(b"{")]


@asynccontextmanager
async def serving(home: Path, **settings: object) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chassis.server_process", str(home), json.dumps(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
    )
    try:
        told = Process(process)
        registered = await told.until("registered")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{registered['port']}") as channel:
            told.channel = channel
            yield told
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
