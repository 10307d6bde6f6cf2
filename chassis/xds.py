"""Serves what discovery knows over xDS on a unix socket of this process: gRPC itself picks, retries and ejects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2

from chassis.discovery import Discovery, Snapshot
from chassis.xds_resources import CLUSTER, ENDPOINTS, LISTENER, Tls, cluster, endpoints, listener

log = structlog.get_logger(__name__)

# What the operating system takes as a unix socket's name, less its closing zero.
SOCKET_PATH_BYTES_MAX = 107
_STOP_SECONDS = 0.5

# Generated without type stubs.
_Response: Callable[..., Any] = discovery_pb2.DiscoveryResponse  # pyright: ignore[reportAttributeAccessIssue]
_ORDER = (CLUSTER, ENDPOINTS, LISTENER)  # make before break: nobody hears of a cluster that it cannot find


class XdsServer:
    """An ADS server, state of the world: each answer carries all that its stream asked for, or it would be deleted.

    A known service without providers gets an empty endpoint list at once, since an unanswered name costs its caller
    15 s; before discovery has its first snapshot nothing is sent at all, since "empty" would be a lie.
    """

    def __init__(
        self,
        discovery: Discovery,
        socket_path: Path,
        hash_headers: Mapping[str, str] | None = None,
        *,
        for_envoy: bool = False,
        tls: Tls | None = None,
    ) -> None:
        self._discovery = discovery
        self._socket_path = socket_path
        self._hash_headers = dict(hash_headers or {})
        self._for_envoy = for_envoy
        self._tls = tls
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        assert self._server is None, "started twice"
        path = str(self._socket_path.absolute())
        if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
            raise ValueError(f"the unix socket's path is longer than {SOCKET_PATH_BYTES_MAX} bytes: {path}")
        self._socket_path.parent.mkdir(parents=True, exist_ok=True)
        self._socket_path.unlink(missing_ok=True)  # left by a killed process
        self._server = grpc.aio.server()
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(_Servicer(self), self._server)
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            # In good order, which is over at once when the channels are closed: a client that is cut off logs it.
            await server.stop(_STOP_SECONDS)

    def resources(self, type_url: str, names: frozenset[str], snapshot: Snapshot) -> list[any_pb2.Any]:
        """What of the wanted names is known; no name or "*" means all (Envoy's wildcard)."""
        known = snapshot.providers
        wanted = sorted(known if not names or "*" in names else names & set(known))
        if type_url == LISTENER:
            return [listener(name, self._hash_headers.get(name, "")) for name in wanted]
        if type_url == CLUSTER:
            return [self._cluster(name) for name in wanted]
        if type_url == ENDPOINTS:
            return [endpoints(name, known[name]) for name in wanted]
        return []

    def _cluster(self, name: str) -> any_pb2.Any:
        return cluster(name, self._hash_headers.get(name, ""), self._tls, for_envoy=self._for_envoy)

    async def stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """One client's stream: answers what it asks, and tells it again whenever the snapshot changes that."""
        inbox: asyncio.Queue[Any] = asyncio.Queue()  # bounded by the client: it sends one request per answer
        unsubscribe = self._discovery.subscribe(inbox.put_nowait)
        reader = asyncio.create_task(_read_into(inbox, requests))
        asked: dict[str, _Asked] = {}
        try:
            while (news := await inbox.get()) is not None:
                if not isinstance(news, Snapshot):
                    _hear(asked, news)
                snapshot = self._discovery.snapshot
                if snapshot is None:
                    continue
                for type_url in (known for known in _ORDER if known in asked):
                    answer = self._answer(type_url, asked[type_url], snapshot)
                    if answer is not None:
                        yield answer
        finally:
            unsubscribe()
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    def _answer(self, type_url: str, asked: "_Asked", snapshot: Snapshot) -> object | None:
        found = self.resources(type_url, asked.names, snapshot)
        if not asked.unanswered and found == asked.told:
            return None
        asked.unanswered = False
        asked.told = found
        asked.serial += 1
        serial = str(asked.serial)
        return _Response(version_info=serial, nonce=serial, type_url=type_url, resources=found)


@dataclass
class _Asked:
    """What a stream wants of one type, and what it was told last."""

    names: frozenset[str] = frozenset()
    unanswered: bool = True
    told: list[any_pb2.Any] = field(default_factory=list[any_pb2.Any])
    serial: int = 0


def _hear(asked: dict[str, _Asked], request: Any) -> None:  # noqa: ANN401 (generated without types)
    """Takes in one request: a first wish, a change of it, or only a yes or no to the last answer."""
    names = frozenset(request.resource_names)
    wish = asked.setdefault(request.type_url, _Asked(names))
    if request.HasField("error_detail"):
        log.error("xds_answer_refused", type_url=request.type_url, detail=request.error_detail.message[:1000])
    if names != wish.names:
        wish.names = names
        wish.unanswered = True


async def _read_into(inbox: asyncio.Queue[Any], requests: AsyncIterator[Any]) -> None:
    try:
        async for request in requests:
            inbox.put_nowait(request)
    finally:
        inbox.put_nowait(None)


class _Servicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    def __init__(self, server: XdsServer) -> None:
        self._server = server

    async def StreamAggregatedResources(  # noqa: N802 (gRPC's name; grpc.aio wants a generator, not one returned)
        self,
        request_iterator: AsyncIterator[Any],
        _context: object,
    ) -> AsyncIterator[Any]:
        async for answer in self._server.stream(request_iterator):
            yield answer
