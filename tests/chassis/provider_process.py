"""A provider of its own process, for tests to kill, stop and hang: `provider_process.py ZOOKEEPER SESSION_SECONDS`.

It registers OrgService, prints its port and answers GetBranch with the port as the branch's display name. SIGUSR1
makes it take calls and never answer them.
"""

import asyncio
import signal
import sys

import grpc
from banyan.assignment.v1 import branch_pb2, org_service_pb2, org_service_pb2_grpc

from chassis.registry import Registry, Traits
from chassis.zookeeper import ZooKeeper

SERVICE = "banyan.assignment.v1.OrgService"


class Org(org_service_pb2_grpc.OrgServiceServicer):
    def __init__(self) -> None:
        self.port = 0
        self.hung = False

    async def GetBranch(self, request: org_service_pb2.GetBranchRequest, _context: object) -> branch_pb2.Branch:
        if self.hung:
            await asyncio.sleep(3600)
        return branch_pb2.Branch(name=request.name, display_name=str(self.port))


async def main(hosts: str, session_seconds: float, weight: int) -> None:
    org = Org()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, setattr, org, "hung", True)  # noqa: FBT003 -- setattr takes it so
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = grpc.aio.server(options=[("grpc.http2.max_ping_strikes", 0), ("grpc.so_reuseport", 0)])
    org_service_pb2_grpc.add_OrgServiceServicer_to_server(org, server)
    org.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    zookeeper = ZooKeeper(hosts, session_timeout_seconds=session_seconds)
    await zookeeper.start()
    registry = Registry(zookeeper, "assignment_svc")
    await registry.register([(SERVICE, ["GetBranch"])], "127.0.0.1", org.port, Traits(weight=weight))
    assert registry.registered
    print(org.port, flush=True)  # noqa: T201 (the test reads it)
    await stopped.wait()
    await registry.unregister()
    await asyncio.sleep(0.5)
    await server.stop(2)
    await zookeeper.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
