"""What operators see of a process: logs in JSON, metrics for Prometheus, traces for OpenTelemetry."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import propagate, trace
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from chassis.caller import caller_or_none, current_request_id

if TYPE_CHECKING:
    import grpc

# Memory, CPU and open files of the process are told by prometheus_client itself (`process_…`).
RPC_SECONDS = Histogram(
    "rpc_seconds",
    "How long served calls took, by method and status code.",
    ("method", "code"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
RPCS_IN_FLIGHT = Gauge("rpcs_in_flight", "Calls and streams being served now, by kind.", ("kind",))
JOB_FAILURES = Counter("job_failures", "How often a job raised and was started again.", ("job",))
FEED_LAG = Gauge("feed_lag_seconds", "How far a followed feed is behind its source.", ("feed",))
FEED_STALL = Gauge(
    "feed_stall_seconds", "How long the oldest open transaction has held a published feed back.", ("feed",)
)

# A method as grpc.aio calls it; what it takes and returns differs by the kind of call.
Served = Callable[[Any, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[Any]]


def log_through_stdlib() -> None:
    """Hands what structlog is told to the standard library's logging, whose handlers decide where it goes."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_facts(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def set_up_logs(application: str, level: str) -> None:
    """Logs JSON lines to stderr, those of libraries too, each with the request's id and the caller's."""
    log_through_stdlib()

    def tell_application(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["application"] = application
        return event

    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_facts(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                tell_application,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def _facts() -> list[Any]:
    """Adds to an event what every line tells; the trace of an error without the values of its variables."""
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tell_call,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
    ]


def _tell_call(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    caller = caller_or_none()
    if caller is not None:
        event.setdefault("caller", caller.staff_id)
    request_id = current_request_id()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


def serve_metrics(host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Serves the process's metrics over HTTP; port 0 means a free one. Returns the port and what stops it."""
    server, thread = start_http_server(port, addr=host)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def set_up_traces(application: str, endpoint: str) -> Callable[[], None] | None:
    """Sends spans to an OTLP endpoint; None and no cost without one. Returns what flushes and stops it."""
    if not endpoint:
        return None
    # Here, since they take a tenth of a second to import, and most processes send no spans.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as said
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as said
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as said
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as said

    provider = TracerProvider(resource=Resource.create({"service.name": application}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def traced(path: str, served: Served) -> Served:
    """The served method inside a span that continues the caller's trace (`traceparent`)."""
    tracer = trace.get_tracer("banyan")

    async def in_span(argument: object, context: "grpc.aio.ServicerContext[Any, Any]") -> object:
        carrier = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with tracer.start_as_current_span(
            path.removeprefix("/"),
            context=propagate.extract(carrier),
            kind=trace.SpanKind.SERVER,
            record_exception=False,  # the status tells it; our faults' text is in the log only
        ):
            return await served(argument, context)

    return in_span
