import asyncio
from datetime import timedelta

from banyan.assignment.v1 import branch_pb2, org_service_pb2, ownership_pb2, ownership_service_pb2

from chassis import clock, wire
from chassis.feed import Cursor, Follower, Wakeups
from chassis.tokens import Revocations
from services.customer_svc.jobs import follow
from services.customer_svc.store import org, ownership


def owned(customer: str, *branches: str) -> ownership_service_pb2.OwnershipChange:
    owners = [
        ownership_pb2.Owner(
            branch=f"branches/{branch}",
            side=ownership_pb2.SIDE_SECONDARY if place else ownership_pb2.SIDE_PRIMARY,
        )
        for place, branch in enumerate(branches)
    ]
    told = ownership_pb2.Ownership(name=f"customers/{customer}/ownership", owners=owners)
    return ownership_service_pb2.OwnershipChange(ownership=told, gone=not branches)


class Source:
    """Tells what a test says, once, and then keeps silent."""

    def __init__(self, *changes, epoch: int = 1) -> None:
        self.message = ownership_service_pb2.WatchOwnershipChangesResponse(
            changes=changes,
            resume_token=Cursor("node", epoch, 9, "z").token(),
            caught_up=True,
            source_time=wire.time_to_wire(clock.now()),
        )

    async def open(self, _token: str):
        yield self.message
        await asyncio.Event().wait()


async def followed(bank, source: Source, expected: set[tuple[str, str]]) -> None:
    """Follows until the copy is what is expected."""
    wakeups = Wakeups(None)
    follower = Follower(bank.database, "ownership", source.open, follow.store_ownership, ownership.drop_older, wakeups)
    running = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(10):
            while await stored(bank) != expected:  # noqa: ASYNC110 -- what is waited for is in the database
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await wakeups.close()


async def stored(bank) -> set[tuple[str, str]]:
    async with bank.database.read() as conn:
        rows = await conn.exec_driver_sql("SELECT customer_id, branch_id FROM owners")
        return {(row[0], row[1]) for row in rows}


async def test_owners_are_followed_and_a_new_epoch_drops_what_it_lacks(bank) -> None:
    await followed(bank, Source(owned("c1", "b1", "b2"), owned("c2", "b1")), {("c1", "b1"), ("c1", "b2"), ("c2", "b1")})
    await followed(bank, Source(owned("c1", "b2")), {("c1", "b2"), ("c2", "b1")})
    await followed(bank, Source(owned("c1")), {("c2", "b1")})
    await followed(bank, Source(owned("c3", "b3"), epoch=2), {("c3", "b3")})


async def test_a_revoked_session_is_known_to_every_instance(bank) -> None:
    expire_time = clock.now() + timedelta(minutes=5)
    revoked = org_service_pb2.RevokedSession(session="sessions/x1", expire_time=wire.time_to_wire(expire_time))
    branch = branch_pb2.Branch(name="branches/b1")
    changes = [org_service_pb2.OrgChange(revoked_session=revoked), org_service_pb2.OrgChange(branch=branch)]
    async with bank.database.begin() as tx:
        await follow.store_org(tx, changes, 1)
        assert await org.subtree(tx, "b1") == {"b1"}
    revocations = Revocations()
    watching = asyncio.create_task(follow.watch_revocations(bank.database, revocations))
    async with asyncio.timeout(10):
        while not revocations.is_revoked("x1"):  # noqa: ASYNC110 -- what is waited for has no event
            await asyncio.sleep(0.02)
    watching.cancel()
