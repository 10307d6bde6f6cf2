"""Channels to other services: `xds:///` targets, the caller's deadline and token handed on, all set up by `mesh`."""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from chassis import clock
from chassis.caller import caller_or_none, current_request_id
from chassis.discovery import Discovery
from chassis.registry import Registry
from chassis.settings import ServiceSettings
from chassis.tokens import Signer
from chassis.xds import XdsServer
from chassis.xds_resources import CERTIFICATE_PROVIDER, Tls
from chassis.zookeeper import ZooKeeper

# When the call that is being served must be over, in monotonic seconds; set by the server's interceptors.
call_deadline: ContextVar[float | None] = ContextVar("call_deadline", default=None)

UNARY_TIMEOUT_SECONDS = 5.0
# A call whose time is already over is still made, so that it ends in the one way that calls end.
_TIMEOUT_SECONDS_MIN = 0.001

_OPTIONS = (
    # A stopped process or machine acknowledges no ping: its connection ends within 2.5 s and its calls go elsewhere.
    # gRPC's core answers pings on its own threads, so a busy event loop does not look dead.
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.http2.ping_timeout_ms", 1500),  # tried: keepalive_timeout_ms alone ends nothing
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A provider that returns is used again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def timeout_seconds(asked: float | None, *, unary: bool) -> float | None:
    """What a call may take: as asked (a unary call: 5 s), but never more than the call being served has left."""
    allowed = UNARY_TIMEOUT_SECONDS if asked is None and unary else asked
    deadline = call_deadline.get()
    if deadline is None:
        return allowed
    left = max(deadline - clock.monotonic_seconds(), _TIMEOUT_SECONDS_MIN)
    return left if allowed is None else min(allowed, left)


class Channels:
    """One channel per service, all opened at start, through the xDS server of this process."""

    def __init__(self, socket_path: Path, caller_token: Callable[[], str | None], tls: Tls | None = None) -> None:
        self._socket_path = socket_path
        self._tls = tls
        self._caller_token = caller_token
        self._channels: dict[str, GovernedChannel] = {}

    def open(self, service_names: Iterable[str]) -> None:
        """Opens the channels. gRPC reads where xDS is when it resolves a target for the first time."""
        bootstrap: dict[str, Any] = {
            "xds_servers": [
                {
                    "server_uri": f"unix:{self._socket_path.absolute()}",
                    "channel_creds": [{"type": "insecure"}],
                    "server_features": ["xds_v3"],
                }
            ],
            "node": {"id": f"banyan-{os.getpid()}"},
        }
        if self._tls is not None:
            bootstrap["certificate_providers"] = {CERTIFICATE_PROVIDER: _file_watcher(self._tls)}
        os.environ["GRPC_XDS_BOOTSTRAP_CONFIG"] = json.dumps(bootstrap)
        for name in service_names:
            channel = self._open(f"xds:///{name}")
            channel.get_state(try_to_connect=True)
            self._channels[name] = GovernedChannel(channel, self._caller_token)

    def _open(self, target: str) -> grpc.aio.Channel:
        if self._tls is None:
            return grpc.aio.insecure_channel(target, options=_OPTIONS)
        # The cluster says whom to trust; were that lost, the fallback trusts public authorities only, so none of ours.
        return grpc.aio.secure_channel(target, grpc.xds_channel_credentials(), options=_OPTIONS)

    def channel(self, service_name: str) -> grpc.aio.Channel:
        return self._channels[service_name]

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()


def _file_watcher(tls: Tls) -> dict[str, Any]:
    return {
        "plugin_name": "file_watcher",
        "config": {
            "certificate_file": str(tls.certificate),
            "private_key_file": str(tls.key),
            "ca_certificate_file": str(tls.authority),
            "refresh_interval": "60s",
        },
    }


def tls_of(settings: ServiceSettings) -> Tls | None:
    """The files for mutual TLS; None when it is off. All three or none must be set."""
    files = [path for path in (settings.tls_certificate, settings.tls_key, settings.tls_ca) if path is not None]
    if not files:
        return None
    if len(files) < 3:  # noqa: PLR2004 (all of them)
        raise ValueError("tls_certificate, tls_key and tls_ca go together")
    return Tls(*files)


class GovernedChannel(grpc.aio.Channel):
    """A channel whose calls carry deadline, token and request id.

    It wraps the calls instead of intercepting them: grpc.aio's interceptors start a task for every call.
    """

    def __init__(self, channel: grpc.aio.Channel, caller_token: Callable[[], str | None]) -> None:
        self._channel: Any = channel
        self._caller_token = caller_token

    def unary_unary(self, *arguments: object, **options: object) -> Callable[..., Any]:
        return self._governed(self._channel.unary_unary(*arguments, **options), unary=True)

    def unary_stream(self, *arguments: object, **options: object) -> Callable[..., Any]:
        return self._governed(self._channel.unary_stream(*arguments, **options), unary=False)

    def stream_unary(self, *arguments: object, **options: object) -> Callable[..., Any]:
        return self._governed(self._channel.stream_unary(*arguments, **options), unary=False)

    def stream_stream(self, *arguments: object, **options: object) -> Callable[..., Any]:
        return self._governed(self._channel.stream_stream(*arguments, **options), unary=False)

    def _governed(self, call: Callable[..., Any], *, unary: bool) -> Callable[..., Any]:
        def governed(
            request: object = None,
            *,
            timeout: float | None = None,
            metadata: Iterable[tuple[str, str | bytes]] | None = None,
            **options: object,
        ) -> object:
            return call(
                request,
                timeout=timeout_seconds(timeout, unary=unary),
                metadata=self._metadata(metadata),
                **options,
            )

        return governed

    def _metadata(self, given: Iterable[tuple[str, str | bytes]] | None) -> Sequence[tuple[str, str | bytes]]:
        metadata = list(given or ())
        keys = {key for key, _ in metadata}
        if "authorization" not in keys:
            caller = caller_or_none()
            token = caller.token if caller is not None else self._caller_token()
            if token:
                metadata.append(("authorization", f"Bearer {token}"))
        if "x-request-id" not in keys:
            metadata.append(("x-request-id", current_request_id() or secrets.token_hex(16)))
        return metadata

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 (gRPC's own)
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@dataclass(frozen=True)
class Mesh:
    """How a process is found by others and finds them."""

    zookeeper: ZooKeeper
    registry: Registry
    discovery: Discovery
    xds: XdsServer
    channels: Channels

    def channel(self, service_name: str) -> grpc.aio.Channel:
        """The channel to one of the services that `mesh` was told to need."""
        return self.channels.channel(service_name)

    async def close(self) -> None:
        """Closes everything, the session last: what is still registered leaves with it."""
        await self.channels.close()
        await self.xds.stop()
        await self.discovery.stop()
        await self.registry.unregister()
        await self.zookeeper.stop()


async def mesh(settings: ServiceSettings, application: str, needs: Sequence[str], signer: Signer | None) -> Mesh:
    """Starts all that stands between this process and the others; `needs` are the proto services it calls.

    Comes up without ZooKeeper too, on the last snapshot on disk. Import the generated code of `needs` before: what may
    be repeated is read from it.
    """
    zookeeper = ZooKeeper(settings.zookeeper, settings.zookeeper_auth, settings.session_timeout_seconds)
    discovery = Discovery(zookeeper, needs, settings.home / "discovery.json")
    tls = tls_of(settings)
    xds = XdsServer(discovery, settings.home / "xds.sock", tls=tls)
    channels = Channels(
        settings.home / "xds.sock",
        lambda: signer.service_token(clock.now()) if signer is not None else None,
        tls,
    )
    await zookeeper.start()
    await discovery.start()
    await xds.start()
    channels.open(needs)
    return Mesh(zookeeper, Registry(zookeeper, application), discovery, xds, channels)
