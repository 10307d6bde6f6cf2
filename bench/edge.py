"""Callers of the gateway and of the service behind it: `python -m bench.edge ROLE HOME ZOOKEEPER PORT COUNT`.

REST is asked by raw HTTP/1.1 over connections that stay open: an HTTP library in Python costs more than Envoy.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import grpc
import uvloop
from banyan.campaign.v1 import product_service_pb2_grpc

from bench.echo import CALLERS, PRODUCT, REQUEST, SERVICE, open_mesh
from chassis.caller import Role
from chassis.testing import SignedIn

BLOCK = 50
_HEAD_END = b"\r\n\r\n"


class Rest:
    """One connection that asks for the product, again and again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        head = f"GET /v1/{PRODUCT.name} HTTP/1.1\r\nhost: bank\r\nauthorization: {token}\r\n\r\n"
        self._request = head.encode()

    @classmethod
    async def open(cls, port: int, token: str) -> "Rest":
        """Connects to the gateway."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), token)

    async def ask(self) -> None:
        """One request and its whole answer, which must be the product."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(_HEAD_END)
        status, *lines = head.decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        body = await self._reader.readexactly(length)
        assert " 200 " in status, (status, body)

    def close(self) -> None:
        """Closes the connection."""
        self._writer.close()


def staff_token(home: Path) -> str:
    """A manager's `Bearer …`."""
    ((_, value),) = SignedIn(home / "keys").staff(Role.MANAGER)
    return value


async def ask_rest(home: Path, port: int, count: int) -> int:
    """Asks `count` times in all over 16 connections."""
    connections = [await Rest.open(port, staff_token(home)) for _ in range(CALLERS)]
    await _share(count, [connection.ask for connection in connections])
    for connection in connections:
        connection.close()
    return count


async def call_direct(home: Path, zookeeper: str, count: int) -> float:
    """CPU seconds of this process for each of `count` governed calls by 16 callers."""
    net = await open_mesh(home, zookeeper)
    stub = product_service_pb2_grpc.ProductServiceStub(net.channel(SERVICE))
    await _share(count // 10, [lambda: stub.GetProduct(REQUEST)] * CALLERS)
    before = time.process_time()
    await _share(count, [lambda: stub.GetProduct(REQUEST)] * CALLERS)
    spent = time.process_time() - before
    await net.close()
    return spent / count


async def latencies(home: Path, zookeeper: str, port: int, count: int) -> dict[str, float]:
    """Median seconds of single calls, one at a time: directly, over gRPC through the gateway, over REST."""
    net = await open_mesh(home, zookeeper)
    direct = product_service_pb2_grpc.ProductServiceStub(net.channel(SERVICE))
    token = staff_token(home)
    rest = await Rest.open(port, token)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        through = product_service_pb2_grpc.ProductServiceStub(channel)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "direct": lambda: direct.GetProduct(REQUEST),
            "grpc": lambda: through.GetProduct(REQUEST, metadata=(("authorization", token),)),
            "rest": rest.ask,
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(max(count // BLOCK, 1)):
            for way, call in ways.items():
                taken[way] += [await _seconds(call) for _ in range(BLOCK)]
    rest.close()
    await net.close()
    return {way: median(seconds) for way, seconds in taken.items()}


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await call()
    return time.perf_counter() - begin


async def _share(count: int, calls: list[Callable[[], Awaitable[object]]]) -> None:
    left = iter(range(count))

    async def caller(call: Callable[[], Awaitable[object]]) -> None:
        for _ in left:
            await call()

    await asyncio.gather(*map(caller, calls))


def main(role: str, home: str, zookeeper: str, port: str, count: str) -> None:
    folder = Path(home)
    match role:
        case "rest":
            print(uvloop.run(ask_rest(folder, int(port), int(count))))
        case "direct":
            print(uvloop.run(call_direct(folder, zookeeper, int(count))))
        case _:
            print(json.dumps(uvloop.run(latencies(folder, zookeeper, int(port), int(count)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
