"""Makes the OpenAPI 3.1 document of the gateway from the protos: nothing in it is written by hand twice."""

from collections.abc import Iterator

from google.api.field_behavior_pb2 import FieldBehavior
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.descriptors import Protos, Rpc
from gateway.schemas import ID_PATTERN, Schema, Schemas, Way

# What the gateway lets in without a token; everything else is refused with 401 before it reaches a service.
PUBLIC_RPCS = frozenset(
    {
        "/banyan.assignment.v1.SessionService/ChangePassword",
        "/banyan.assignment.v1.SessionService/CreateOidcSession",
        "/banyan.assignment.v1.SessionService/CreateSession",
        "/banyan.assignment.v1.SessionService/RefreshSession",
        "/banyan.assignment.v1.SessionService/GetJwks",
    }
)

_DESCRIPTION = """\
Sign in with `POST /v1/sessions` and send the access token as `Authorization: Bearer …`. Every path is also served as
gRPC and gRPC-Web on the same port.

- 64-bit integers are strings. A field that is unset is absent; one that cannot be unset is always there.
- Unknown query parameters are refused with 400, unknown fields of a JSON body are ignored. A body is at most 4 MiB.
- RPCs that take a stream of messages take a JSON array of them; streams of answers come as `text/event-stream`, each
  event's data one message. A stream that breaks off is opened again with its last resume token.
- Every error, the gateway's own too, is a `google.rpc.Status`: 400 the request is wrong or cannot be done now (one
  that the gateway itself refuses has the reason `REQUEST_MALFORMED`), 401 no
  good token, 403 the role may not, 404 absent or hidden, 405 wrong method, 409 somebody was faster or it exists,
  413 too large, 429 too many, 503 no instance can be reached, 504 no answer in time.
"""
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def document(protos: Protos) -> dict[str, object]:
    """The whole document, stable in its order."""
    schemas = Schemas(protos)
    paths: dict[str, dict[str, Schema]] = {}
    for rpc in protos.rpcs():
        path, _ = rpc.http.expanded()
        paths.setdefault(path, {})[rpc.http.verb] = _operation(rpc, schemas)
    paths["/healthz"] = {"get": _health()}
    schemas.named["google.rpc.Status"] = _status()
    schemas.named["JsonWebKeySet"] = _key_set()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Banyan", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": protos.service_comment(name)} for name in protos.services()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": dict(sorted(schemas.named.items())),
        },
    }


def _operation(rpc: Rpc, schemas: Schemas) -> Schema:
    operation: Schema = {
        "operationId": f"{rpc.service}.{rpc.method.name}",
        "summary": rpc.comment.split(". ")[0].rstrip("."),
        "description": rpc.comment,
        "tags": [rpc.service],
        "parameters": [*_path_parameters(rpc), *_query_parameters(rpc, schemas)],
        "responses": {"200": _answer(rpc, schemas), "default": _refusal("Refused or failed.")},
    }
    if rpc.http.body:
        operation["requestBody"] = _body(rpc, schemas)
    if rpc.grpc_path in PUBLIC_RPCS:
        operation["security"] = []
    return operation


def _path_parameters(rpc: Rpc) -> list[Schema]:
    _, names = rpc.http.expanded()
    schema = {"type": "string", "pattern": f"^{ID_PATTERN}$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(rpc: Rpc, schemas: Schemas) -> list[Schema]:
    if rpc.http.body == "*":
        return []
    bound = {*rpc.http.variables(), rpc.http.body}
    return [
        {"name": name, "in": "query", "required": required, "schema": schemas.field(leaf, Way.ASKED)}
        for name, leaf, required in _leaves(rpc.method.input_type, schemas)
        if name.split(".")[0] not in bound
    ]


def _leaves(
    message: Descriptor, schemas: Schemas, prefix: str = "", *, required: bool = True
) -> Iterator[tuple[str, FieldDescriptor, bool]]:
    """The fields that a query string can carry: messages are spread, `businessDate.year` and so on."""
    for field in message.fields:
        needed = required and FieldBehavior.REQUIRED in schemas.protos.behaviors(field)
        name = prefix + field.json_name
        inner = field.message_type
        if inner is None or inner.full_name in {"google.protobuf.Timestamp", "google.protobuf.Duration"}:
            yield name, field, needed
        elif not field.is_repeated:
            yield from _leaves(inner, schemas, f"{name}.", required=needed)


def _body(rpc: Rpc, schemas: Schemas) -> Schema:
    if rpc.http.body == "*":
        schema = schemas.body_without(rpc.method.input_type, set(rpc.http.variables()))
    else:
        schema = schemas.field(rpc.method.input_type.fields_by_name[rpc.http.body], Way.ASKED)
    if rpc.method.client_streaming:
        schema = {"type": "array", "items": schema, "minItems": 1}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer(rpc: Rpc, schemas: Schemas) -> Schema:
    output = rpc.method.output_type
    if output.full_name == "google.api.HttpBody" and rpc.method.server_streaming:
        return _content("The file.", "application/octet-stream", {"type": "string", "format": "binary"})
    if output.full_name == "google.api.HttpBody":
        return _content("The keys.", "application/json", {"$ref": "#/components/schemas/JsonWebKeySet"})
    schema = schemas.message(output, Way.ANSWERED)
    if rpc.method.server_streaming:
        # OpenAPI 3.1 has no word for the schema of an event, and programs differ in what they take the type to be of.
        event = {"description": f"Events, the data of each a {output.full_name} as JSON."}
        return _content("A stream of events.", "text/event-stream", {**event, "x-event-data": schema})
    return _content("Done.", "application/json", schema)


def _content(description: str, media_type: str, schema: Schema) -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _refusal(description: str) -> Schema:
    return _content(description, "application/json", {"$ref": "#/components/schemas/google.rpc.Status"})


def _health() -> Schema:
    return {
        "operationId": "healthz",
        "summary": "Tells whether every service has an instance",
        "tags": ["gateway"],
        "security": [],
        "responses": {"200": _refusal("Ready; the code is 0."), "default": _refusal("Not ready.")},
    }


def _status() -> Schema:
    violation = {
        "type": "object",
        "properties": {"field": {"type": "string"}, "description": {"type": "string"}, "reason": {"type": "string"}},
        "required": ["field", "description"],
    }
    detail = {
        "type": "object",
        "properties": {
            "@type": {"type": "string", "description": f"`{_ERROR_INFO}`, or another type of google.rpc."},
            "reason": {"type": "string", "description": "In ErrorInfo: why, a word that does not change."},
            "domain": {"type": "string", "description": "In ErrorInfo: whose word it is, `customer.banyan` and so on."},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "fieldViolations": {"type": "array", "items": violation, "description": "In BadRequest: at most 50."},
        },
        "required": ["@type"],
    }
    return {
        "type": "object",
        "description": "Why a call was refused or failed.",
        "properties": {
            "code": {"type": "integer", "minimum": 0, "maximum": 16, "description": "The gRPC status code's number."},
            "message": {"type": "string", "description": "For developers, in English."},
            "details": {"type": "array", "items": detail},
        },
        "required": ["code", "message", "details"],
        "additionalProperties": False,
    }


def _key_set() -> Schema:
    key = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("kty", "kid", "alg", "use", "n", "e")},
        "required": ["kty", "kid"],
    }
    return {
        "type": "object",
        "description": "Public keys (RFC 7517).",
        "properties": {"keys": {"type": "array", "items": key}},
        "required": ["keys"],
    }
