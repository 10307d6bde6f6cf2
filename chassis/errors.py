"""The one way to say no: `Refused`, its closed set of kinds, and the one table from kinds to status codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

import grpc

# A request may break in more places than anybody wants to read.
VIOLATIONS_MAX = 50


class Kind(Enum):
    """What kind of no it is; each has one status code, so that no handler can choose a wrong one."""

    INVALID = auto()
    """The request itself is wrong, whatever the state of the system."""
    UNAUTHENTICATED = auto()
    """Who calls is not known: no token, or one that is forged, expired or revoked."""
    FORBIDDEN = auto()
    """The caller's roles never allow this call."""
    NOT_FOUND = auto()
    """The thing is absent, or hidden from the caller: the answer is the same."""
    ALREADY_EXISTS = auto()
    CONFLICT = auto()
    """Somebody else was faster: read again, decide again."""
    PRECONDITION = auto()
    """The system is not in the state that the call needs; trying again alone does not help."""
    EXHAUSTED = auto()
    """A limit is used up: a rate, a size, a number of calls."""
    UNAVAILABLE = auto()
    """Something that is needed cannot be reached now; trying again may help."""


CODE_OF: Mapping[Kind, grpc.StatusCode] = MappingProxyType(
    {
        Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
        Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
        Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
        Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
        Kind.CONFLICT: grpc.StatusCode.ABORTED,
        Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
        Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    }
)
assert set(CODE_OF) == set(Kind)


@dataclass(frozen=True)
class Violation:
    """One field that is wrong: its path as the caller wrote it, and what would be right."""

    field: str
    description: str


class Refused(Exception):
    """A no that the caller may read: it leaves no trace in the data, since raising it rolls back.

    `reason` is an ErrorReason of the service's package without its prefix (`BRANCH_CYCLE`), or one of the chassis'
    own; every dynamic part of the message stands in `metadata` too, so that no client parses text.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.violations = tuple(violations)[:VIOLATIONS_MAX]


def invalid_fields(violations: Sequence[Violation], reason: str = "FIELD_INVALID") -> Refused:
    """Refuses a request for the fields that are wrong in it; the message names the first."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return Refused(Kind.INVALID, reason, f"{first.field}: {first.description}{more}", violations=violations)


def invalid_field(field: str, description: str, reason: str = "FIELD_INVALID") -> Refused:
    """Refuses a request for one field."""
    return invalid_fields([Violation(field, description)], reason)


def not_found() -> Refused:
    """Refuses with the one answer for what is absent and for what is hidden from the caller."""
    return Refused(Kind.NOT_FOUND, "NOT_FOUND", "it does not exist, or you may not see it")
