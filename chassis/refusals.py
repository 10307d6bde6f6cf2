"""How a no, or a fault of ours, is told on the wire: a status code with google.rpc details."""

from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from chassis.errors import CODE_OF, Kind, Refused, invalid_field

CHASSIS_DOMAIN = "banyan"
# Reasons that mean the same in every service; all others are of the service's own ErrorReason.
CHASSIS_REASONS = frozenset(
    {
        "DATABASE_BUSY",
        "DATABASE_UNREACHABLE",
        "DEADLINE_EXCEEDED",
        "FIELD_INVALID",
        "INTERNAL",
        "NOT_FOUND",
        "OVERLOADED",
        "PAGE_TOKEN_INVALID",
        "PEER_UNAVAILABLE",
        "REQUEST_ID_REUSED",
        "REQUEST_MALFORMED",
        "ROLE_FORBIDDEN",
        "ROWS_TOO_MANY",
        "STREAM_ENDED",
        "TOKEN_EXPIRED",
        "TOKEN_INVALID",
        "TOKEN_MISSING",
        "TOKEN_REVOKED",
    }
)
# gRPC refuses metadata above 8 KiB; the details travel in it, once more as text.
_DETAILS_BYTES_MAX = 5_000
_MESSAGE_LENGTH_MAX = 500
# What protobuf itself decodes, here and in Envoy; services set their own limits far below.
MESSAGE_DEPTH_MAX = 100
_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True)
class Answer:
    """What ends a call that did not go well."""

    code: grpc.StatusCode
    reason: str
    message: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def answer_to(error: BaseException, domain: str, request_id: str) -> Answer:
    """The answer to a call that raised: a refusal speaks for itself, everything else is a fault of ours.

    Of a fault the caller learns the request's id and nothing more: its text may hold anything.
    """
    if isinstance(error, Refused):
        own = error.reason in CHASSIS_REASONS
        info = ErrorInfo(reason=error.reason, domain=CHASSIS_DOMAIN if own else domain, metadata=error.metadata)
        return _answer(CODE_OF[error.kind], error.message, info, error)
    code = error.code() if isinstance(error, grpc.aio.AioRpcError) else None
    if code is grpc.StatusCode.UNAVAILABLE:
        info = ErrorInfo(reason="PEER_UNAVAILABLE", domain=CHASSIS_DOMAIN)
        return _answer(code, "a service that is needed cannot be reached", info)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return late()
    info = ErrorInfo(reason="INTERNAL", domain=CHASSIS_DOMAIN, metadata={"request_id": request_id})
    return _answer(grpc.StatusCode.INTERNAL, "internal error", info)


def late() -> Answer:
    """The answer to a call whose time is over."""
    info = ErrorInfo(reason="DEADLINE_EXCEEDED", domain=CHASSIS_DOMAIN)
    return _answer(grpc.StatusCode.DEADLINE_EXCEEDED, "the time for this call is over", info)


def malformed() -> Refused:
    """Refuses bytes that are no message of the request's type, or one that is nested deeper than protobuf goes."""
    message = f"the request cannot be decoded: it is no such message, or it is nested deeper than {MESSAGE_DEPTH_MAX}"
    return Refused(Kind.INVALID, "REQUEST_MALFORMED", message, {"limit": str(MESSAGE_DEPTH_MAX)})


def request_id_reused() -> Refused:
    """Refuses a request whose id the caller gave to another request before."""
    return invalid_field("request_id", "was used for another request; choose a new one", "REQUEST_ID_REUSED")


def _answer(code: grpc.StatusCode, message: str, info: ErrorInfo, refused: Refused | None = None) -> Answer:
    message = message[:_MESSAGE_LENGTH_MAX]
    status = Status(code=code.value[0], message=message)
    _pack(status, info)
    if refused is not None and refused.violations:
        # As many violations as fit into the metadata, the first ones.
        room = _DETAILS_BYTES_MAX - status.ByteSize()
        bad = BadRequest()
        for violation in refused.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
            if bad.ByteSize() > room and len(bad.field_violations) > 1:
                del bad.field_violations[-1]
                break
        _pack(status, bad)
    return Answer(code, info.reason, message, ((_DETAILS_KEY, status.SerializeToString()),))


def _pack(status: Status, detail: Message) -> None:
    status.details.add().Pack(detail)
