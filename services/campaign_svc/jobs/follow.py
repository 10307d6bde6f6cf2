"""Follows owners, organisation and customers, and keeps this instance's list of revoked sessions fresh."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.channel import Mesh
from chassis.feed import Follower, Wakeups
from chassis.sql.engine import Database
from chassis.tokens import Revocations
from services.campaign_svc.peers import assignment, customers
from services.campaign_svc.peers.assignment import OrgChange, OwnershipChange
from services.campaign_svc.peers.customers import CustomerFactChange
from services.campaign_svc.store import followed

REVOCATIONS_EVERY_SECONDS = 1.0


def followers(database: Database, mesh: Mesh, wakeups: Wakeups) -> list[Follower[Any]]:
    """One for each feed; each is to run in one instance at a time."""
    ownership = mesh.channel(assignment.OWNERSHIP_SERVICE)
    org = mesh.channel(assignment.ORG_SERVICE)
    customer = mesh.channel(customers.CUSTOMER_SERVICE)

    async def store_ownerships(tx: AsyncConnection, changes: Sequence[OwnershipChange], generation: int) -> None:
        await followed.store_ownerships(tx, [assignment.ownership_fact(change) for change in changes], generation)

    async def store_org(tx: AsyncConnection, changes: Sequence[OrgChange], generation: int) -> None:
        await followed.store_org(tx, [assignment.org_fact(change) for change in changes], generation)

    async def store_customers(tx: AsyncConnection, changes: Sequence[CustomerFactChange], generation: int) -> None:
        await followed.store_customers(tx, [customers.customer_fact(change) for change in changes], generation)

    return [
        Follower(
            database,
            "ownership",
            partial(assignment.watch_ownerships, ownership),
            store_ownerships,
            followed.drop_ownerships,
            wakeups,
        ),
        Follower(database, "org", partial(assignment.watch_org, org), store_org, followed.drop_org, wakeups),
        Follower(
            database,
            "customer_facts",
            partial(customers.watch_customers, customer),
            store_customers,
            followed.drop_customers,
            wakeups,
        ),
    ]


async def watch_revocations(database: Database, revocations: Revocations) -> None:
    """Takes over what any instance followed: a signed-out token is refused within about two seconds."""
    while True:
        now = clock.now()
        async with database.read() as tx:
            found = await followed.revoked(tx, now)
        for session_id, expire_time in found:
            revocations.add(session_id, expire_time)
        revocations.forget(now)
        await asyncio.sleep(REVOCATIONS_EVERY_SECONDS)
