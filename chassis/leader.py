"""Elects one instance of several to do work that needs doing once."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable

import structlog

from chassis.zookeeper import ZooKeeper, ZooKeeperFailed

log = structlog.get_logger(__name__)

AUDIT_SECONDS = 10.0
PAUSE_SECONDS = 1.0


class Leader:
    """Leads while an ephemeral node is this session's. It avoids double work; it never protects data.

    While ZooKeeper is away the leader goes on: nobody can follow it, and work that stops for an outage of ZooKeeper
    would stop the bank. It stops as soon as ZooKeeper says that another session leads.
    """

    def __init__(self, zookeeper: ZooKeeper, path: str) -> None:
        self._zookeeper = zookeeper
        self._path = f"/banyan/leaders/{path}"
        self._wake = asyncio.Event()
        self._leading = False

    @property
    def leading(self) -> bool:
        return self._leading

    async def while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work whenever this process leads, for ever; what the work raises is raised, and leadership given up.

        Work that returns is started again after a pause; work is cancelled when another leads.
        """
        self._zookeeper.on_connected(self._wake.set)
        try:
            while True:
                await self._until(leading=True)
                log.info("leader_begins", path=self._path)
                await self._work_until_lost(work)
                log.info("leader_ends", path=self._path)
        finally:
            self._zookeeper.remove_on_connected(self._wake.set)
            await self._give_up()

    async def _work_until_lost(self, work: Callable[[], Awaitable[None]]) -> None:
        async def for_ever() -> None:
            while True:
                await work()
                await asyncio.sleep(PAUSE_SECONDS)

        working = asyncio.create_task(for_ever())
        watching = asyncio.create_task(self._until(leading=False))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()  # raises what the work raised
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _until(self, *, leading: bool) -> None:
        """Returns once leadership is as wanted; looks again on every sign of change, and every 10 s without one."""
        while True:
            self._wake.clear()
            pause_seconds = AUDIT_SECONDS
            try:
                self._leading = await self._claim()
            except ZooKeeperFailed as failure:
                log.debug("leader_waits", path=self._path, failure=str(failure))
                pause_seconds = PAUSE_SECONDS
            if self._leading == leading:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._wake.wait()

    async def _claim(self) -> bool:
        """Makes the node if there is none, and says whose it is; watches it either way."""
        owner = await self._zookeeper.owner(self._path, watch=self._wake.set)
        if owner is None:
            # What it says is for operators only.
            await self._zookeeper.create_ephemeral(self._path, f"{socket.gethostname()} pid {os.getpid()}".encode())
            owner = await self._zookeeper.owner(self._path, watch=self._wake.set)
        return owner == self._zookeeper.session_id

    async def _give_up(self) -> None:
        """Lets another lead at once; without ZooKeeper, when the session ends."""
        if not self._leading:
            return
        self._leading = False
        with contextlib.suppress(ZooKeeperFailed):
            if await self._zookeeper.owner(self._path) == self._zookeeper.session_id:
                await self._zookeeper.delete(self._path)
