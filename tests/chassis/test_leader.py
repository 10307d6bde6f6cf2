import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chassis.leader import Leader
from chassis.zookeeper import ZooKeeper
from devstack.testing import ZooKeeperServer

Client = Callable[..., Awaitable[ZooKeeper]]
Eventually = Callable[..., Awaitable[None]]


class Worker:
    def __init__(self, zookeeper: ZooKeeper) -> None:
        self.leader = Leader(zookeeper, "test/work")
        self.working = False
        self.task = asyncio.create_task(self.leader.while_leading(self._work))

    async def _work(self) -> None:
        self.working = True
        try:
            await asyncio.sleep(3600)
        finally:
            self.working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_exactly_one_of_two_works_and_the_other_takes_over(zookeeper_client: Client, eventually: Eventually):
    first = Worker(await zookeeper_client())
    await eventually(lambda: first.working)
    second = Worker(await zookeeper_client())
    await asyncio.sleep(0.5)
    assert (first.working, second.working) == (True, False)
    await first.stop()
    await eventually(lambda: second.working, within_seconds=3)  # told: it looks by itself only every 10 s
    assert not first.working
    await second.stop()


async def test_the_other_takes_over_when_the_leaders_session_ends(zookeeper_client: Client, eventually: Eventually):
    client = await zookeeper_client()
    first = Worker(client)
    await eventually(lambda: first.working)
    second = Worker(await zookeeper_client())
    await asyncio.sleep(0.2)
    await client.stop()
    await eventually(lambda: second.working, within_seconds=5)
    await first.stop()
    await second.stop()


async def test_work_is_cancelled_when_another_leads(
    zookeeper: ZooKeeper, zookeeper_client: Client, eventually: Eventually
):
    worker = Worker(zookeeper)
    await eventually(lambda: worker.working)
    usurper = await zookeeper_client()
    path = "/banyan/leaders/test/work"
    while await usurper.owner(path) != usurper.session_id:  # the leader, told of the loss, tries too
        await usurper.delete(path)
        await usurper.create_ephemeral(path)
    await eventually(lambda: not worker.working)
    await usurper.delete(path)
    await eventually(lambda: worker.working)
    await worker.stop()


async def test_work_goes_on_while_zookeeper_is_away(
    zookeeper: ZooKeeper, zookeeper_server: ZooKeeperServer, eventually: Eventually
):
    worker = Worker(zookeeper)
    await eventually(lambda: worker.working)
    await asyncio.to_thread(zookeeper_server.stop)
    await asyncio.sleep(1.5)
    assert worker.working
    await asyncio.to_thread(zookeeper_server.start)
    await eventually(lambda: zookeeper.connected and worker.working, within_seconds=30)
    await worker.stop()


async def test_what_the_work_raises_is_raised_and_leadership_given_up(zookeeper: ZooKeeper):
    async def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await Leader(zookeeper, "test/fails").while_leading(fail)
    assert await zookeeper.owner("/banyan/leaders/test/fails") is None
