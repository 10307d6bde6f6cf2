"""Runs the gateway: renders Envoy's configuration, tells Envoy over ADS who serves what, and runs Envoy."""

import asyncio
import signal
import sys

import structlog

from chassis.discovery import Discovery
from chassis.telemetry import set_up_logs
from chassis.xds import XdsServer
from chassis.zookeeper import ZooKeeper
from gateway.configuration import ADMIN_SOCKET, ADS_SOCKET, WWW, render, write_secrets, write_static_files
from gateway.descriptors import Protos
from gateway.envoy import Envoy
from gateway.settings import GatewaySettings

# When the whole system stops, nobody else is to take over: what is under way may end, that is all.
HURRIED_DRAIN_SECONDS = 0.5

log = structlog.get_logger(__name__)


async def main() -> int:
    """Serves until SIGTERM, then drains, at SIGINT not for long. Returns 1 if Envoy ended by itself, else 0."""
    settings = GatewaySettings()  # pyright: ignore[reportCallIssue] - its fields come from the environment
    set_up_logs("gateway", settings.log_level)
    stopping: asyncio.Queue[float] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.put_nowait, settings.drain_seconds)
    loop.add_signal_handler(signal.SIGINT, stopping.put_nowait, min(HURRIED_DRAIN_SECONDS, settings.drain_seconds))
    protos = Protos()
    settings.home.mkdir(parents=True, exist_ok=True)
    configuration = settings.home / "envoy.yaml"
    configuration.write_text(render(settings, protos))
    write_secrets(settings)
    write_static_files(settings.home / WWW, protos)
    zookeeper = ZooKeeper(settings.zookeeper, settings.zookeeper_auth)
    discovery = Discovery(zookeeper, protos.services(), settings.home / "discovery.json")
    xds = XdsServer(discovery, settings.home / ADS_SOCKET, tls=settings.mesh_tls, for_envoy=True)
    await zookeeper.start()
    await discovery.start()
    await xds.start()
    envoy = await Envoy.start(
        configuration, settings.home / ADMIN_SOCKET, settings.envoy_log_level, settings.drain_seconds
    )
    log.info("gateway_started", host=settings.host, port=settings.port)
    exit_code = await _until_stopped(envoy, stopping)
    await xds.stop()
    await discovery.stop()
    await zookeeper.stop()
    return exit_code


async def _until_stopped(envoy: Envoy, stopping: asyncio.Queue[float]) -> int:
    """Waits until Envoy ends or is to stop; the queue tells how long calls may then go on."""
    ended = asyncio.create_task(envoy.ended())
    asked = asyncio.create_task(stopping.get())
    await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        asked.cancel()
        log.error("envoy_ended", exit_code=ended.result())
        return 1
    log.info("gateway_draining")
    await envoy.drain(asked.result())
    await envoy.stop()
    await ended
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
