"""Follows owners and organisation, and keeps this instance's list of revoked sessions fresh."""

import asyncio
from collections.abc import Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.channel import Mesh
from chassis.feed import Follower, Wakeups
from chassis.sql.engine import Database
from chassis.tokens import Revocations
from services.customer_svc.peers import contact_rooms as contact_room_peer
from services.customer_svc.peers import org as org_peer
from services.customer_svc.peers import ownership as ownership_peer
from services.customer_svc.peers.contact_rooms import ContactRoomChange
from services.customer_svc.peers.org import OrgChange
from services.customer_svc.peers.ownership import OwnershipChange
from services.customer_svc.store import contact_rooms, org, ownership

REVOCATIONS_EVERY_SECONDS = 1.0
_FORGET_EVERY_ROUNDS = 600


def follow_ownership(database: Database, mesh: Mesh, wakeups: Wakeups) -> Follower[OwnershipChange]:
    """The follower of who owns whom; to run in one instance at a time."""
    channel = mesh.channel(ownership_peer.OWNERSHIP_SERVICE)
    opened = partial(ownership_peer.watch_ownership, channel)
    return Follower(database, "ownership", opened, store_ownership, ownership.drop_older, wakeups)


def follow_org(database: Database, mesh: Mesh, wakeups: Wakeups) -> Follower[OrgChange]:
    """The follower of branches, staff and revoked sessions; to run in one instance at a time."""
    opened = partial(org_peer.watch_org, mesh.channel(org_peer.ORG_SERVICE))
    return Follower(database, "org", opened, store_org, org.drop_older, wakeups)


def follow_contact_rooms(database: Database, mesh: Mesh, wakeups: Wakeups) -> Follower[ContactRoomChange]:
    """The follower of customers' room for contacts; to run in one instance at a time."""
    opened = partial(contact_room_peer.watch_contact_rooms, mesh.channel(contact_room_peer.CONTACT_ROOM_SERVICE))
    return Follower(database, "contact_room", opened, store_contact_rooms, contact_rooms.drop_older, wakeups)


async def store_ownership(tx: AsyncConnection, changes: Sequence[OwnershipChange], generation: int) -> None:
    """Stores each customer's owners as a whole."""
    await ownership.replace_owners(tx, dict(map(ownership_peer.change_from_wire, changes)), generation)


async def store_contact_rooms(tx: AsyncConnection, changes: Sequence[ContactRoomChange], generation: int) -> None:
    """Stores each customer's room and each policy as it is now."""
    items = [item for change in changes if (item := contact_room_peer.change_from_wire(change)) is not None]
    await contact_rooms.put_contact_rooms(tx, items, generation)


async def store_org(tx: AsyncConnection, changes: Sequence[OrgChange], generation: int) -> None:
    """Stores each branch, member of staff and revoked session as it is now."""
    items = [item for change in changes if (item := org_peer.change_from_wire(change)) is not None]
    await org.put_org(tx, items, generation)


async def watch_revocations(database: Database, revocations: Revocations) -> None:
    """Takes over what any instance followed: a signed-out token is refused within about two seconds."""
    rounds = 0
    while True:
        async with database.read() as conn:
            for session in await org.read_revoked(conn):
                revocations.add(session.session_id, session.expire_time)
            if rounds % _FORGET_EVERY_ROUNDS == 0:
                await org.forget_expired(conn)
        revocations.forget(clock.now())
        rounds += 1
        await asyncio.sleep(REVOCATIONS_EVERY_SECONDS)
