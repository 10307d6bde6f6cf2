"""Says by its exit code whether a process serves: `python -m deploy.probe PORT TLS_FOLDER` or `… https://127.0.0.1…`."""

import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

TIMEOUT_SECONDS = 3


def main(arguments: Sequence[str]) -> None:
    """Exits with 1 unless the URL answers 200 or the service at the port says SERVING, in time."""
    match arguments:
        case [url] if url.startswith("https://127.0.0.1:"):
            context = ssl.create_default_context()
            # Who answers at this address is the container itself, with a certificate that callers know it by.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context).close()  # noqa: S310 - our own URL
        case [port, tls]:
            _ask_health(int(port), Path(tls))
        case _:
            sys.exit(__doc__)


def _ask_health(port: int, tls: Path) -> None:
    """Asks by mutual TLS, with the certificate that the instance itself shows."""
    authority, key, certificate = ((tls / f"{name}.pem").read_bytes() for name in ("ca", "key", "certificate"))
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        health: Any = HealthStub(channel)
        try:
            answer = health.Check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            sys.exit(str(error))
    if answer.status != HealthCheckResponse.SERVING:
        sys.exit(HealthCheckResponse.ServingStatus.Name(answer.status))


if __name__ == "__main__":
    main(sys.argv[1:])
