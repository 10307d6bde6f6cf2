"""A service that answers at once: `python -m bench.echo ROLE HOME ZOOKEEPER PORT [SECONDS]`, and its caller.

Both serve and call the same generated code with the same messages; `governed` has everything that a service of ours
has around it: ZooKeeper, xDS, the whole chain of interceptors, tokens. It serves the keys that a gateway asks for.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import uvloop
from banyan.assignment.v1 import session_service_pb2, session_service_pb2_grpc
from banyan.campaign.v1 import product_pb2, product_service_pb2, product_service_pb2_grpc
from google.api import httpbody_pb2

from chassis.caller import ANY_ROLE, PUBLIC
from chassis.channel import Mesh, mesh
from chassis.server import App, Served, serve
from chassis.settings import ServiceSettings
from chassis.streams import Context
from chassis.testing import SignedIn
from chassis.tokens import KeyRing

SERVICE = "banyan.campaign.v1.ProductService"
SESSIONS = "banyan.assignment.v1.SessionService"
CALLERS = 16
PRODUCT = product_pb2.Product(name="products/p1", display_name="定期存款三年", category="deposit")
REQUEST = product_service_pb2.GetProductRequest(name=PRODUCT.name)
_ALLOWED = {f"/{SERVICE}/{method}": ANY_ROLE for method in ("GetProduct", "ListProducts")} | {
    f"/{SESSIONS}/{method}": PUBLIC
    for method in session_service_pb2.DESCRIPTOR.services_by_name["SessionService"].methods_by_name
}


class EchoServicer(product_service_pb2_grpc.ProductServiceServicer):
    async def GetProduct(  # noqa: N802 - gRPC method name
        self, _request: product_service_pb2.GetProductRequest, _context: Context
    ) -> product_pb2.Product:
        return PRODUCT


class KeysServicer(session_service_pb2_grpc.SessionServiceServicer):
    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def GetJwks(  # noqa: N802 - gRPC method name
        self, _request: session_service_pb2.GetJwksRequest, _context: Context
    ) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(self._ring.jwks()).encode())


def settings(home: Path, zookeeper: str, port: int = 0) -> ServiceSettings:
    told = {"home": home, "keys": home.parent / "keys", "zookeeper": zookeeper, "port": port, "database_url": ""}
    home.mkdir(parents=True, exist_ok=True)
    return ServiceSettings.model_validate({**told, "metrics_port": -1, "drain_seconds": 0})


async def serve_bare(port: int) -> None:
    server = grpc.aio.server()
    product_service_pb2_grpc.add_ProductServiceServicer_to_server(EchoServicer(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def serve_governed(home: Path, zookeeper: str, port: int) -> None:
    told = settings(home / f"echo-{port}", zookeeper, port)
    signed_in = SignedIn(told.keys)
    net = await mesh(told, "campaign_svc", [], None)
    served = [
        Served(SERVICE, product_service_pb2_grpc.add_ProductServiceServicer_to_server, EchoServicer()),
        Served(SESSIONS, session_service_pb2_grpc.add_SessionServiceServicer_to_server, KeysServicer(signed_in.ring)),
    ]
    app = App("campaign_svc", "campaign.banyan", served, _ALLOWED, signed_in.verifier, close=[net.close])
    await serve(told, app, net.registry)


@dataclass(frozen=True)
class Load:
    """What 16 callers in one process did."""

    rate: float
    """Calls per second, once warmed up."""
    calls: int
    """All of them, so that the server's CPU can be divided by it."""
    cpu: float
    """CPU seconds that this process spent on all of them."""


async def put_load(call: Callable[[], Awaitable[object]], seconds: float) -> Load:
    """Calls as fast as it goes, warmed up by a quarter of the time."""
    calls, counted, cpu = 0, 0, time.process_time()
    begin = time.perf_counter() + seconds / 4
    end = begin + seconds

    async def caller() -> None:
        nonlocal calls, counted
        while (now := time.perf_counter()) < end:
            await call()
            calls += 1
            counted += now >= begin

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return Load(counted / seconds, calls, time.process_time() - cpu)


async def call_bare(port: int, seconds: float) -> Load:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = product_service_pb2_grpc.ProductServiceStub(channel)
        return await put_load(lambda: stub.GetProduct(REQUEST), seconds)


async def open_mesh(home: Path, zookeeper: str) -> Mesh:
    """A caller's net, when a call over it has been answered."""
    told = settings(home / "caller", zookeeper)
    net = await mesh(told, "cli", [SERVICE], SignedIn(told.keys).signer("cli"))
    stub = product_service_pb2_grpc.ProductServiceStub(net.channel(SERVICE))
    await stub.GetProduct(REQUEST, wait_for_ready=True, timeout=20)
    return net


async def call_governed(home: Path, zookeeper: str, seconds: float) -> Load:
    net = await open_mesh(home, zookeeper)
    stub = product_service_pb2_grpc.ProductServiceStub(net.channel(SERVICE))
    load = await put_load(lambda: stub.GetProduct(REQUEST), seconds)
    await net.close()
    return load


def main(role: str, home: str, zookeeper: str, port: str, seconds: str = "0") -> None:
    folder, number = Path(home), int(port)
    match role:
        case "serve-bare":
            uvloop.run(serve_bare(number))
        case "serve-governed":
            uvloop.run(serve_governed(folder, zookeeper, number))
        case "call-bare":
            print(json.dumps(asdict(uvloop.run(call_bare(number, float(seconds))))))
        case _:
            print(json.dumps(asdict(uvloop.run(call_governed(folder, zookeeper, float(seconds))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
