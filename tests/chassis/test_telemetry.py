import json
import logging
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest
from banyan.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from chassis import telemetry
from chassis.caller import Role
from chassis.testing import SignedIn
from tests.chassis.processes import serving

ROOT = Path(__file__).parents[2]
LOGGING = """
import logging
from datetime import UTC, datetime
import structlog
from chassis.caller import Caller, Role, calling
from chassis.telemetry import set_up_logs

set_up_logs("test_svc", "info")
until = datetime(2026, 1, 1, tzinfo=UTC)
caller = Caller("s7", "b1", frozenset({Role.TELLER}), "x1", "banyan/assignment_svc", until, "token")
with calling(caller, "r-7"):
    structlog.stdlib.get_logger("chassis").info("stored", rows=3, name="榕")
    logging.getLogger("a.library").warning("%d left", 2)
structlog.stdlib.get_logger("chassis").debug("too much")
try:
    secret = "correct-horse"
    {}["key"]
except KeyError:
    structlog.stdlib.get_logger("chassis").exception("failed")
"""


def test_every_line_is_json_and_tells_whose_call_it_was():
    done = subprocess.run([sys.executable, "-c", LOGGING], cwd=ROOT, capture_output=True, text=True, check=True)
    stored, library, failed = (json.loads(line) for line in done.stderr.splitlines())
    assert {"request_id": "r-7", "caller": "s7", "application": "test_svc", "level": "info"}.items() <= stored.items()
    assert (stored["event"], stored["rows"], stored["name"]) == ("stored", 3, "榕")
    assert (library["event"], library["logger"], library["request_id"]) == ("2 left", "a.library", "r-7")
    assert "KeyError: 'key'" in failed["exception"]
    assert "request_id" not in failed
    assert "correct-horse" not in failed["exception"].replace('secret = "correct-horse"', "")
    assert done.stdout == ""


def test_metrics_are_served_until_stopped():
    telemetry.FEED_LAG.labels("ownership").set(1.5)
    telemetry.FEED_STALL.labels("ownership").set(0)
    port, stop = telemetry.serve_metrics("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    stop()
    assert 'feed_lag_seconds{feed="ownership"} 1.5' in text
    assert 'feed_stall_seconds{feed="ownership"} 0.0' in text
    assert "process_resident_memory_bytes" in text
    again, stop = telemetry.serve_metrics("127.0.0.1", port)
    stop()
    assert again == port


def test_without_an_endpoint_nothing_is_traced():
    assert telemetry.set_up_traces("test_svc", "") is None


def test_structlog_goes_where_logging_goes(caplog: Any):
    telemetry.log_through_stdlib()
    with caplog.at_level(logging.INFO):
        telemetry.structlog.stdlib.get_logger("x").info("told", rows=1)
    assert "told" in caplog.text


class Collector(TraceServiceServicer):
    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    async def Export(self, request: ExportTraceServiceRequest, _context: Any) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()


async def test_a_served_call_is_a_span_of_its_callers_trace(tmp_path: Path):
    collector, server = Collector(), grpc.aio.server()
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = SignedIn(tmp_path / "keys").staff(Role.MANAGER)
    async with serving(tmp_path, otlp_endpoint=f"http://127.0.0.1:{port}", drain_seconds=0) as process:
        alerts: Any = AlertServiceStub(process.channel)
        traced = (*metadata, ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"))
        await alerts.GetAlert(GetAlertRequest(name="alerts/1"), metadata=traced)
        process.process.terminate()
        await process.end()
    await server.stop(0)
    spans = {
        span.name: span
        for request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    span = spans["banyan.alert.v1.AlertService/GetAlert"]
    assert span.trace_id.hex() == trace_id
    assert span.parent_span_id.hex() == "00f067aa0ba902b7"


def test_a_process_that_sends_no_traces_does_not_pay_for_what_sends_them():
    program = "import sys, chassis.telemetry; print('opentelemetry.exporter' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "False"
