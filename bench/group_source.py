"""Groups as a process of its own, behind the whole chain: `python -m bench.group_source URL HOME PORT`."""

import asyncio
import sys
from pathlib import Path

import uvloop
from banyan.customer.v1 import customer_group_service_pb2_grpc

from chassis import paging
from chassis.operations import Operations
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.rpc.customer_group_service import CustomerGroupServicer
from services.customer_svc.rpc.permissions import ALLOWED


async def serve(url: str, home: Path, port: int) -> None:
    """Serves until it is killed."""
    signed_in = SignedIn(home / "keys")
    database = Database(url)
    operations = Operations(database, "customer", {})
    servicer = CustomerGroupServicer(database, operations, paging.secret(signed_in.keys), "CNY")
    add = customer_group_service_pb2_grpc.add_CustomerGroupServiceServicer_to_server
    app = app_of([Served("banyan.customer.v1.CustomerGroupService", add, servicer)], ALLOWED, signed_in)
    async with in_process(app, home / "group-source", keys=signed_in.keys, port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
