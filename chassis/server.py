"""Serves an application over gRPC until it is told to stop, and then stops in the order that loses no call."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from chassis import health as health_service
from chassis import ports, telemetry
from chassis.call import Chain, Limits
from chassis.caller import PUBLIC, Role
from chassis.certificates import server_credentials
from chassis.channel import tls_of
from chassis.health import Health
from chassis.interceptors import govern
from chassis.jobs import Job, Jobs
from chassis.settings import ServiceSettings
from chassis.streams import MESSAGE_BYTES_MAX, Streams
from chassis.tokens import Verifier
from chassis.wire import methods

REQUEST_BYTES_MAX = 4 * 1024 * 1024
STOP_SECONDS = 10.0
_UNREGISTER_SECONDS = 5.0
_READINESS_SECONDS = 1.0
# Health and reflection stay open to operators when the application has no room left.
_OPERATORS_MAX = 1_000

_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # Dubbo peers ping idle connections (dubbo-go every 10 s); gRPC's defaults call that abuse and hang up.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Two instances must never share a port: the kept one is taken only if it is really free.
    ("grpc.so_reuseport", 0),
)

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Served:
    """One gRPC service of the process."""

    name: str
    """Its full name, `banyan.customer.v1.CustomerService`."""
    add: Callable[[Any, grpc.aio.Server], None]
    """The generated `add_…_to_server`."""
    servicer: object


@dataclass(frozen=True)
class App:
    """What a process serves and does."""

    application: str
    """`customer_svc`; it registers under this name."""
    error_domain: str
    """The domain of its reasons, `customer.banyan`."""
    services: Sequence[Served]
    allowed: Mapping[str, frozenset[Role]]
    """Who may call what, by path; PUBLIC for everybody, even without a token. Every method must be named."""
    verifier: Verifier
    jobs: Sequence[Job] = ()
    not_ready: Callable[[], str | None] = lambda: None
    """Why the process should get no calls now; asked every second, told by health."""
    close: Sequence[Callable[[], Awaitable[None]]] = ()
    """Run last, in this order."""


class Registers(Protocol):
    """What the server needs of the registry."""

    async def register(self, services: Sequence[tuple[str, Sequence[str]]], host: str, port: int) -> None: ...

    async def unregister(self) -> None: ...


class Instance:
    """The gRPC server of a process, with health, reflection and the chain before every method."""

    def __init__(self, settings: ServiceSettings, app: App) -> None:
        self.limits = Limits(settings.calls_max, settings.streams_max)
        self.streams = Streams(app.verifier.is_revoked)
        self.health = Health([service.name for service in app.services])
        self.server = grpc.aio.server(options=_OPTIONS)
        self._settings = settings
        self._jobs = Jobs()
        tracing = bool(settings.otlp_endpoint)
        chain = Chain(app.error_domain, app.allowed, app.verifier, self.limits, self.streams, tracing)
        for service in app.services:
            self._add(service, chain)
        self._add_operators_services(app)

    def _add(self, service: Served, chain: Chain) -> None:
        handlers = _Handlers()
        service.add(service.servicer, handlers)  # pyright: ignore[reportArgumentType] -- the part of a server that is called
        assert set(handlers.by_service) == {service.name}, f"{service.name} adds {set(handlers.by_service)}"
        governed = {
            method.name: govern(method, handlers.by_service[service.name][method.name], chain)
            for method in methods([service.name])
        }
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.name, governed)])
        self.server.add_registered_method_handlers(service.name, governed)

    def _add_operators_services(self, app: App) -> None:
        names = [*(service.name for service in app.services), health_service.NAME, reflection.SERVICE_NAME]
        services = [
            Served(health_service.NAME, health_pb2_grpc.add_HealthServicer_to_server, self.health),
            Served(
                reflection.SERVICE_NAME,
                reflection_pb2_grpc.add_ServerReflectionServicer_to_server,
                reflection.aio.ReflectionServicer(names),
            ),
        ]
        allowed = {method.path: PUBLIC for method in methods(service.name for service in services)}
        limits = Limits(_OPERATORS_MAX, _OPERATORS_MAX)
        chain = Chain(app.error_domain, allowed, app.verifier, limits, self.streams)
        for service in services:
            self._add(service, chain)

    def bind(self) -> int:
        """Takes the port of the settings, else the one kept from last time, else a free one, and keeps it."""
        settings = self._settings
        add = _tls_port(self.server, settings) if settings.tls_certificate else self.server.add_insecure_port
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return ports.take(settings.home / "port", settings.port, lambda port: add(f"{host}:{port}"))

    async def start(self) -> None:
        """Begins to take calls."""
        self._jobs.start([self.streams.end_revoked])
        await self.server.start()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ends all streams with DRAINING, lets calls end for this long and cancels the rest."""
        self.streams.drain()
        await self.server.stop(seconds)
        await self._jobs.stop()


class _Handlers:
    """Stands in for a server while generated code registers its handlers."""

    def __init__(self) -> None:
        self.by_service: dict[str, dict[str, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Takes nothing: the same handlers come by the other way too."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.by_service[service] = handlers


def _tls_port(server: grpc.aio.Server, settings: ServiceSettings) -> Callable[[str], int]:
    tls = tls_of(settings)
    assert tls is not None
    credentials = server_credentials(tls)
    return lambda address: server.add_secure_port(address, credentials)


async def serve(settings: ServiceSettings, app: App, registry: Registers) -> None:
    """Serves until SIGTERM; then tells that it stops, leaves the registry, waits, ends streams and calls.

    SIGINT does not wait for others to hear of it: it is for a system that stops as a whole, or whoever is in a hurry.
    """
    stopping, hurried = asyncio.Event(), asyncio.Event()

    def hurry() -> None:
        hurried.set()
        stopping.set()

    async def drain() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.drain_seconds):
                await hurried.wait()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, hurry)
    telemetry.set_up_logs(app.application, settings.log_level)
    stop_traces = telemetry.set_up_traces(app.application, settings.otlp_endpoint)
    stop_metrics = _serve_metrics(settings)
    instance = Instance(settings, app)
    telemetry.RPCS_IN_FLIGHT.labels("call").set_function(lambda: instance.limits.calls)
    telemetry.RPCS_IN_FLIGHT.labels("stream").set_function(lambda: instance.limits.streams)
    jobs = Jobs()
    try:
        port = instance.bind()
        await instance.start()
        jobs.start([*app.jobs, partial(_tell_readiness, instance.health, app.not_ready)])
        names = [(service.name, [method.name for method in methods([service.name])]) for service in app.services]
        await registry.register(names, settings.reached_at, port)
        log.info("serving", host=settings.host, port=port)
        await stopping.wait()
    finally:
        log.info("stopping")
        await _stop(drain, app, registry, instance, jobs)
        stop_metrics()
        if stop_traces is not None:
            await asyncio.to_thread(stop_traces)
        log.info("stopped")


async def _stop(
    drain: Callable[[], Awaitable[None]], app: App, registry: Registers, instance: Instance, jobs: Jobs
) -> None:
    async def unregister() -> None:
        async with asyncio.timeout(_UNREGISTER_SECONDS):
            await registry.unregister()

    instance.health.leave()
    for step in (unregister, drain, instance.stop, jobs.stop, *app.close):
        try:
            await step()
        except Exception:
            # The steps that follow matter to others: connections, locks, files.
            log.exception("stop_failed", step=getattr(step, "__qualname__", str(step)))


async def _tell_readiness(health: Health, not_ready: Callable[[], str | None]) -> None:
    told: str | None = None
    while True:
        reason = not_ready()
        if reason != told:
            log.warning("readiness_changed", reason=reason or "ready")
            told = reason
        health.tell(serving=reason is None)
        await asyncio.sleep(_READINESS_SECONDS)


def _serve_metrics(settings: ServiceSettings) -> Callable[[], None]:
    if settings.metrics_port < 0:
        return lambda: None
    stops: list[Callable[[], None]] = []

    def listen(port: int) -> int:
        taken, stop = telemetry.serve_metrics(settings.host, port)
        stops.append(stop)
        return taken

    ports.take(settings.home / "metrics_port", settings.metrics_port, listen)
    return stops[0]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a process's main coroutine on uvloop."""
    # Until `serve` sets logs up, warnings go to stderr; structlog by itself would print variables' values with errors.
    telemetry.log_through_stdlib()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
