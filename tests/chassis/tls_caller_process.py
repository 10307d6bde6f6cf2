"""A caller in a process of its own: `tls_caller_process.py PORT SOCKET [CERTIFICATE KEY AUTHORITY]`.

gRPC keeps its xDS bootstrap, the certificates named in it too, as long as any xDS client of the process lives; so every
call with other certificates needs a new process. It calls assignment_svc at the port and prints what came of it.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import cast

import grpc

from chassis.channel import Channels
from chassis.discovery import Discovery, Snapshot
from chassis.provider import Provider
from chassis.xds import XdsServer
from chassis.xds_resources import Tls

SERVICE = "banyan.assignment.v1.TlsService"


class Knowing:
    """Stands for discovery that knows one provider."""

    def __init__(self, provider: Provider) -> None:
        self.snapshot = Snapshot(MappingProxyType({provider.interface: (provider,)}))

    def subscribe(self, _callback: object) -> Callable[[], None]:
        return lambda: None


async def main(port: int, socket: Path, tls: Tls | None) -> dict[str, str]:
    xds = XdsServer(cast("Discovery", Knowing(Provider(SERVICE, "127.0.0.1", port))), socket, tls=tls)
    await xds.start()
    channels = Channels(socket, lambda: "token", tls)
    channels.open([SERVICE])
    try:
        return {"answer": (await channels.channel(SERVICE).unary_unary(f"/{SERVICE}/Get")(b"")).decode()}
    except grpc.aio.AioRpcError as error:
        return {"code": error.code().name, "details": str(error.details())}
    finally:
        await channels.close()
        await xds.stop()


if __name__ == "__main__":
    files = [Path(each) for each in sys.argv[3:]]
    outcome = asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), Tls(*files) if files else None))
    sys.stdout.write(json.dumps(outcome) + "\n")
