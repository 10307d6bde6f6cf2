"""The ownership feed as a process of its own, behind the whole chain: `python -m bench.feed_source URL HOME PORT`."""

import asyncio
import sys
from pathlib import Path

import uvloop
from banyan.assignment.v1 import ownership_service_pb2_grpc

from chassis import paging
from chassis.feed import Publisher, Wakeups
from chassis.operations import Operations
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.rpc.ownership_service import OwnershipServicer
from services.assignment_svc.rpc.permissions import ALLOWED
from services.assignment_svc.rpc.private_managers import PrivateManagers
from services.assignment_svc.store import ownership_feed, ownerships


async def _nobody_is_key(_customer_id: str) -> bool:
    return False


async def serve(url: str, home: Path, port: int) -> None:
    """Serves until it is killed."""
    signed_in = SignedIn(home / "keys")
    database = Database(url)
    wakeups = Wakeups(None)
    servicer = OwnershipServicer(
        database,
        Publisher(database, ownerships.FEED, ownership_feed.read_page, wakeups),
        Operations(database, "assignment", {}),
        PrivateManagers(database, wakeups, _nobody_is_key),
        paging.secret(signed_in.keys),
    )
    add = ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server
    app = app_of([Served("banyan.assignment.v1.OwnershipService", add, servicer)], ALLOWED, signed_in)
    async with in_process(app, home / "feed-source", keys=signed_in.keys, port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
