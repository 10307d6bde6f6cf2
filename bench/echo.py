"""A service that answers at once: `python -m bench.echo bare|governed HOME ZOOKEEPER PORT`, and its caller.

Both serve and call the same generated code with the same messages; `governed` has everything that a service of ours
has around it: ZooKeeper, xDS, the whole chain of interceptors, tokens.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop
from banyan.campaign.v1 import product_pb2, product_service_pb2, product_service_pb2_grpc

from chassis.caller import ANY_ROLE
from chassis.channel import Mesh, mesh
from chassis.server import App, Served, serve
from chassis.settings import ServiceSettings
from chassis.streams import Context
from chassis.testing import SignedIn

SERVICE = "banyan.campaign.v1.ProductService"
CALLERS = 16
SECONDS = 4.0
WARM_UP_SECONDS = 1.0
PRODUCT = product_pb2.Product(name="products/p1", display_name="定期存款三年", category="deposit")
_ALLOWED = {f"/{SERVICE}/GetProduct": ANY_ROLE, f"/{SERVICE}/ListProducts": ANY_ROLE}


class EchoServicer(product_service_pb2_grpc.ProductServiceServicer):
    async def GetProduct(  # noqa: N802 - gRPC method name
        self, _request: product_service_pb2.GetProductRequest, _context: Context
    ) -> product_pb2.Product:
        return PRODUCT


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
    net = await mesh(told, "campaign_svc", [], None)
    add = product_service_pb2_grpc.add_ProductServiceServicer_to_server
    served = Served(SERVICE, add, EchoServicer())
    app = App("campaign_svc", "campaign.banyan", [served], _ALLOWED, SignedIn(told.keys).verifier, close=[net.close])
    await serve(told, app, net.registry)


async def rate(call: Callable[[], Awaitable[object]]) -> float:
    """Calls per second of 16 callers, after a second to warm up."""
    counted = 0
    begin = time.perf_counter() + WARM_UP_SECONDS
    end = begin + SECONDS

    async def caller() -> None:
        nonlocal counted
        while (now := time.perf_counter()) < end:
            await call()
            counted += now >= begin

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return counted / SECONDS


async def call_bare(port: int) -> float:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = product_service_pb2_grpc.ProductServiceStub(channel)
        request = product_service_pb2.GetProductRequest(name="products/p1")
        return await rate(lambda: stub.GetProduct(request))


async def open_mesh(home: Path, zookeeper: str) -> Mesh:
    told = settings(home / "caller", zookeeper)
    return await mesh(told, "cli", [SERVICE], SignedIn(told.keys).signer("cli"))


async def call_governed(home: Path, zookeeper: str) -> float:
    net = await open_mesh(home, zookeeper)
    stub = product_service_pb2_grpc.ProductServiceStub(net.channel(SERVICE))
    request = product_service_pb2.GetProductRequest(name="products/p1")
    await stub.GetProduct(request, wait_for_ready=True, timeout=20)
    measured = await rate(lambda: stub.GetProduct(request))
    await net.close()
    return measured


def main(role: str, home: str, zookeeper: str, port: str) -> None:
    folder, number = Path(home), int(port)
    match role:
        case "serve-bare":
            uvloop.run(serve_bare(number))
        case "serve-governed":
            uvloop.run(serve_governed(folder, zookeeper, number))
        case "call-bare":
            print(uvloop.run(call_bare(number)))
        case _:
            print(uvloop.run(call_governed(folder, zookeeper)))


if __name__ == "__main__":
    main(*sys.argv[1:])
