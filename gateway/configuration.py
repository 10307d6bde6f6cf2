"""Renders Envoy's configuration and the folder of static files: the template, the protos, the settings."""

import json
import re
from importlib import metadata
from pathlib import Path
from shutil import copy2
from string import Template

from chassis import envoy_secrets, xds_resources
from gateway.descriptors import DESCRIPTOR_SET, Protos, Rpc
from gateway.openapi import PUBLIC_RPCS, document
from gateway.settings import GatewaySettings

Config = dict[str, object]

HERE = Path(__file__).parent
SWAGGER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# Unix sockets allow 107 bytes; the folder is made short by whoever chooses it (devstack does).
ADS_SOCKET = "ads.sock"
ADMIN_SOCKET = "admin.sock"
INNER_SOCKET = "inner.sock"
EDGE_CERTIFICATE = "edge_certificate.json"
WWW = "www"
KEYS_SERVICE = "banyan.assignment.v1.SessionService"
FOLDERS = ("/app", "/docs")
ROOT = "/"
DOCUMENT = "/openapi.json"
FILE_THREADS: Config = {"thread_pool": {"thread_count": 1}}
CONTENT_TYPES = {
    "": "text/html; charset=utf-8",  # a folder stands for its index.html
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
# A service's own default is 5 s, so that it answers before the gateway gives up.
UNARY_TIMEOUT = "6s"
# Waiting for an operation is limited to 30 s by the service, which is told so by the deadline.
WAIT_TIMEOUT = "33s"
WATCH_IDLE_TIMEOUT = "60s"
# Between the last row of an import and its answer nothing is sent.
UPLOAD_IDLE_TIMEOUT = "600s"


def render(settings: GatewaySettings, protos: Protos) -> str:
    """Envoy's configuration as YAML."""
    rpcs = protos.rpcs()
    values: dict[str, object] = {
        "node_id": f"gateway-{settings.port}",
        "admin_socket": str(settings.home / ADMIN_SOCKET),
        "ads_socket": str(settings.home / ADS_SOCKET),
        "inner_socket": str(settings.home / INNER_SOCKET),
        "keys_service": KEYS_SERVICE,
        "host": settings.host,
        "port": settings.port,
        "metrics_port": settings.metrics_port,
        "connections_max": settings.connections_max,
        "transport_socket": _transport_socket(settings),
        "www": str(settings.home / WWW),
        "web": str(settings.web),
        "file_threads": FILE_THREADS,
        "content_types": CONTENT_TYPES,
        "descriptor_set": str(DESCRIPTOR_SET),
        "requests_per_second": settings.requests_per_second,
        "cors_origins": [{"exact": origin} for origin in settings.cors_origins],
        "services": protos.services(),
        "health_clusters": {service: {"value": 1.0} for service in protos.services()},
        "routes": _routes(rpcs, settings.home / WWW),
        "jwt_providers": {issuer: _provider(issuer) for issuer in settings.issuers},
        "jwt_rules": _rules(rpcs, settings.issuers),
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return Template((HERE / "envoy.yaml").read_text()).substitute(texts)


def write_static_files(folder: Path, protos: Protos) -> None:
    """Writes what the gateway serves as files: `/openapi.json` and the API browser at `/docs`."""
    docs = folder / "docs"
    docs.mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(json.dumps(document(protos)))
    swagger = metadata.distribution("flask-swagger-ui")
    for name in SWAGGER_FILES:
        copy2(str(swagger.locate_file(f"flask_swagger_ui/dist/{name}")), docs / name)
    for page in (HERE / "static").iterdir():
        copy2(page, docs / page.name)


def write_secrets(settings: GatewaySettings) -> None:
    """Writes where Envoy finds its certificates: it reads them again when others are moved to their place."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        secret = settings.secrets / EDGE_CERTIFICATE
        envoy_secrets.write_certificate(secret, settings.tls_certificate, settings.tls_key)
    if settings.mesh_tls is not None:
        xds_resources.write_secrets(settings.mesh_tls)


def _transport_socket(settings: GatewaySettings) -> Config | None:
    """TLS towards callers; None, plain text, unless a certificate is set."""
    if settings.tls_certificate is None:
        return None
    certificate = envoy_secrets.reference(settings.secrets / EDGE_CERTIFICATE)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificate_sds_secret_configs": [certificate],
            },
        },
    }


def _routes(rpcs: list[Rpc], www: Path) -> list[Config]:
    """The routes of RPCs, of files, and of REST paths.

    The transcoder turns a REST request into one for an RPC's path. What it leaves as it is has a path that takes other
    methods (405), or one that nothing lies at (404). Files are served before any route is followed.
    """
    special = [_route({"path": rpc.grpc_path}, rpc) for rpc in rpcs if rpc.streams or rpc.waits]
    one_of_each = {rpc.service: rpc for rpc in rpcs if not rpc.streams and not rpc.waits}
    services = [_route({"prefix": f"/{service}/"}, rpc) for service, rpc in one_of_each.items()]
    return [*special, *services, *_files(www), *_refusals(rpcs)]


def _files(www: Path) -> list[Config]:
    redirects: list[Config] = [{"match": {"path": path}, "redirect": {"path_redirect": f"{path}/"}} for path in FOLDERS]
    # Who opens the bare address sees what there is.
    redirects.append({"match": {"path": ROOT}, "redirect": {"path_redirect": "/docs/", "response_code": "FOUND"}})
    # The file server takes folders only, and this file lies in no folder of its own.
    document = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.file_server.v3.FileServerConfig",
        "manager_config": FILE_THREADS,
        "path_mappings": [{"request_path_prefix": "/", "file_path_prefix": str(www)}],
        "content_types": CONTENT_TYPES,
    }
    served: Config = {
        "match": {"path": DOCUMENT},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {"envoy.filters.http.file_server": document},
    }
    return [*redirects, served]


def _route(match: Config, rpc: Rpc) -> Config:
    match = {**match, "headers": [{"name": "content-type", "string_match": {"prefix": "application/grpc"}}]}
    if rpc.waits:
        deadline = {"header": {"key": "grpc-timeout", "value": "32S"}, "append_action": "ADD_IF_ABSENT"}
        route: Config = {"cluster": rpc.service, "timeout": WAIT_TIMEOUT}
        return {"match": match, "route": route, "request_headers_to_add": [deadline]}
    if not rpc.streams:
        return {"match": match, "route": {"cluster": rpc.service, "timeout": UNARY_TIMEOUT}}
    idle = WATCH_IDLE_TIMEOUT if rpc.method.server_streaming else UPLOAD_IDLE_TIMEOUT
    return {
        "match": match,
        "route": {"cluster": rpc.service, "timeout": "0s", "idle_timeout": idle},
        # A stream has no end to wait for.
        "typed_per_filter_config": {
            "envoy.filters.http.buffer": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
                "disabled": True,
            }
        },
    }


def _refusals(rpcs: list[Rpc]) -> list[Config]:
    verbs: dict[str, set[str]] = {}
    bound: dict[str, set[str]] = {}
    for rpc in rpcs:
        path, _ = rpc.http.expanded()
        pattern = "[^/]+".join(re.escape(piece) for piece in re.split(r"\{[^}]+\}", path))
        verbs.setdefault(pattern, set()).add(rpc.http.verb.upper())
        bound.setdefault(pattern, set()).update(rpc.http.variables())
    repeated = [_repetition(pattern, field) for pattern, fields in bound.items() for field in sorted(fields)]
    allowed = [
        _refusal({"safe_regex": {"regex": pattern}}, {"x-allow": ", ".join(sorted(each))})
        for pattern, each in verbs.items()
    ]
    return [*repeated, *allowed, _refusal({"prefix": "/"}, {})]


def _repetition(pattern: str, field: str) -> Config:
    """Refuses a query parameter for what the path says: the transcoder would take it in the path's place."""
    match: Config = {
        "safe_regex": {"regex": pattern},
        "query_parameters": [{"name": field, "present_match": True}],
    }
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    per_filter = {"envoy.filters.http.grpc_json_transcoder": off}
    return {**_refusal(match, {"x-repeated": field}), "typed_per_filter_config": per_filter}


def _refusal(match: Config, why: dict[str, str]) -> Config:
    """A route to the listener that answers 400, 405 or, without a reason why, 404."""
    added = [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in why.items()
    ]
    return {
        "match": match,
        "route": {"cluster": "inner", "timeout": "2s"},
        "request_headers_to_add": added,
        "request_headers_to_remove": [name for name in ("x-allow", "x-repeated") if name not in why],
    }


def _provider(issuer: str) -> Config:
    return {
        "issuer": issuer,
        "audiences": ["banyan"],
        "forward": True,  # services check it again
        "clock_skew_seconds": 5,
        "remote_jwks": {
            "http_uri": {"uri": "http://gateway/v1/jwks", "cluster": "inner", "timeout": "2s"},
            "cache_duration": "60s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"},
        },
    }


def _rules(rpcs: list[Rpc], issuers: tuple[str, ...]) -> list[Config]:
    """Public paths first: the first rule that matches decides."""
    folders: list[Config] = [{"match": {"path_separated_prefix": path}} for path in FOLDERS]
    files: list[Config] = [{"match": {"path": path}} for path in (ROOT, DOCUMENT)]
    public = [*files, *folders]
    for rpc in rpcs:
        if rpc.grpc_path in PUBLIC_RPCS:
            verb = [{"name": ":method", "string_match": {"exact": rpc.http.verb.upper()}}]
            public.append({"match": {"path": rpc.http.expanded()[0], "headers": verb}})
            public.append({"match": {"path": rpc.grpc_path}})
    requirements = [{"provider_name": issuer} for issuer in issuers]
    # Envoy takes no list of one.
    required = {"requires_any": {"requirements": requirements}} if len(requirements) > 1 else requirements[0]
    return [*public, {"match": {"prefix": "/"}, "requires": required}]
