"""What xDS clients are told: pure functions from services and providers to Envoy's resources.

The dictionaries are the proto's JSON form, so they read like Envoy's own documentation; a wrong field name raises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory

from chassis import envoy_secrets
from chassis.provider import Provider
from chassis.wire import Idempotency, methods

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_UPSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_UPSTREAM_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# `_message` finds these messages by name; they come without type stubs.
for _module in (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    import_module(_module)

# Twice more, soon, and only where the provider says that it did nothing or that doing it again does nothing.
RETRY_POLICY = {
    "retry_on": "unavailable",
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.250s"},
}
# gRPC ignores consecutive_5xx. Without this a hung instance takes the throughput from 2,400 calls a second to 30.
OUTLIER_DETECTION = {
    "failure_percentage_threshold": 50,
    "enforcing_failure_percentage": 100,
    "failure_percentage_minimum_hosts": 2,
    "failure_percentage_request_volume": 5,
    "interval": "1s",
    "base_ejection_time": "10s",
    "max_ejection_percent": 50,
}


# The certificate provider that a bootstrap must define; gRPC reads certificates by it, never from resources.
CERTIFICATE_PROVIDER = "own"
_MESH_CERTIFICATE = "mesh_certificate.json"
_MESH_AUTHORITY = "mesh_authority.json"


@dataclass(frozen=True)
class Tls:
    """The files (PEM) that mutual TLS needs; they are read again when they change."""

    certificate: Path
    key: Path
    authority: Path
    secrets: Path | None = None
    """For Envoy: the folder where `write_secrets` says it where the others are."""


def write_secrets(tls: Tls) -> None:
    """Tells an Envoy that is to be started where the files are."""
    assert tls.secrets is not None
    envoy_secrets.write_certificate(tls.secrets / _MESH_CERTIFICATE, tls.certificate, tls.key)
    envoy_secrets.write_authority(tls.secrets / _MESH_AUTHORITY, tls.authority)


def identity(service: str) -> str:
    """The name in the certificate of who serves a proto service: `banyan.customer.v1.X` → `banyan/customer_svc`."""
    bank, name, *_ = [*service.split("."), "", ""]
    return f"{bank}/{name}_svc"


def retried_paths(service: str) -> list[str]:
    """The methods that may be called again, as their contracts say (idempotency_level).

    None for a service whose generated code this process has not imported: nothing of it is repeated then.
    """
    try:
        return [method.path for method in methods([service]) if method.idempotency is not Idempotency.UNKNOWN]
    except KeyError:
        return []


def listener(service: str, hash_header: str = "") -> any_pb2.Any:
    """The listener that gRPC asks for by the channel's target: one route per method."""
    action: dict[str, Any] = {"cluster": service}
    if hash_header:
        action["hash_policy"] = [{"header": {"header_name": hash_header}}]
    routes: list[dict[str, Any]] = [
        {"match": {"path": path}, "route": {**action, "retry_policy": RETRY_POLICY}} for path in retried_paths(service)
    ]
    routes.append({"match": {"prefix": ""}, "route": action})
    connection_manager = {
        "@type": _HTTP,
        "route_config": {
            "name": service,
            "virtual_hosts": [{"name": service, "domains": ["*"], "routes": routes}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    return _message(LISTENER, {"name": service, "api_listener": {"api_listener": connection_manager}})


def cluster(service: str, hash_header: str = "", tls: Tls | None = None, *, for_envoy: bool = False) -> any_pb2.Any:
    """How the providers of a service are chosen, ejected and, with TLS, recognised."""
    content: dict[str, Any] = {
        "name": service,
        "type": "EDS",
        "eds_cluster_config": {
            "service_name": service,
            "eds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "lb_policy": "RING_HASH" if hash_header else "ROUND_ROBIN",
        "outlier_detection": OUTLIER_DETECTION,
    }
    if tls is not None:
        context = _envoy_tls(service, tls) if for_envoy else _grpc_tls(service)
        content["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _UPSTREAM_TLS, "common_tls_context": context},
        }
    if for_envoy:
        content |= {
            "connect_timeout": "1s",
            "common_lb_config": {"locality_weighted_lb_config": {}},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": _UPSTREAM_HTTP,
                    "explicit_http_config": {"http2_protocol_options": {}},
                }
            },
        }
    return _message(CLUSTER, content)


def endpoints(service: str, providers: Sequence[Provider]) -> any_pb2.Any:
    """Who provides a service now: one locality per instance, since round_robin honours only localities' weights.

    An instance of weight 0 gets no calls, unless all have weight 0: then all count the same.
    """
    all_zero = all(provider.weight == 0 for provider in providers)
    weights = [(provider, 1 if all_zero else provider.weight) for provider in providers]
    return _message(
        ENDPOINTS,
        {
            "cluster_name": service,
            "endpoints": [_locality(provider, weight) for provider, weight in weights if weight > 0],
        },
    )


def _locality(provider: Provider, weight: int) -> Mapping[str, Any]:
    address = {"socket_address": {"address": provider.host, "port_value": provider.port}}
    return {
        "locality": {"sub_zone": provider.address},
        "load_balancing_weight": weight,
        "lb_endpoints": [{"endpoint": {"address": address}, "health_status": "HEALTHY"}],
    }


def _grpc_tls(service: str) -> Mapping[str, Any]:
    provider = {"instance_name": CERTIFICATE_PROVIDER}
    return {
        "tls_certificate_provider_instance": provider,
        "validation_context": {
            "ca_certificate_provider_instance": provider,
            "match_subject_alt_names": [{"exact": identity(service)}],
        },
    }


def _envoy_tls(service: str, tls: Tls) -> Mapping[str, Any]:
    assert tls.secrets is not None, "Envoy needs a folder of secrets"
    names = [{"san_type": "URI", "matcher": {"exact": identity(service)}}]
    return {
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [envoy_secrets.reference(tls.secrets / _MESH_CERTIFICATE)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": names},
            "validation_context_sds_secret_config": envoy_secrets.reference(tls.secrets / _MESH_AUTHORITY),
        },
    }


def _message(type_url: str, content: Mapping[str, Any]) -> any_pb2.Any:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    message = json_format.ParseDict(dict(content), message_factory.GetMessageClass(descriptor)())
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed
