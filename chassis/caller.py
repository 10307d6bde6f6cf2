"""Who calls: read from a verified token, kept for the length of the call."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; the values are those of the token and of the database (design.md 4.4)."""

    BRANCH_HEAD = "BRANCH_HEAD"
    MANAGER = "MANAGER"
    PRIVATE_MANAGER = "PRIVATE_MANAGER"
    LOBBY = "LOBBY"
    TELLER = "TELLER"
    MARKETER = "MARKETER"
    APPROVER = "APPROVER"
    ANALYST = "ANALYST"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"
    SERVICE = "SERVICE"


ANY_STAFF = frozenset(Role) - {Role.SERVICE}
ANY_ROLE = frozenset(Role)
# In a service's table of permissions: called without a token.
PUBLIC: frozenset[Role] = frozenset()


@dataclass(frozen=True)
class Caller:
    """A staff member with his session, or a service: `staff_id` is then the issuer, the other ids are empty."""

    staff_id: str
    branch_id: str
    roles: frozenset[Role]
    session_id: str
    issuer: str
    expire_time: datetime
    token: str = field(repr=False, compare=False)

    @property
    def is_service(self) -> bool:
        return Role.SERVICE in self.roles


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def current_caller() -> Caller:
    """The caller of the RPC being served. Public RPCs have none and must not ask."""
    caller = _caller.get()
    assert caller is not None, "this RPC is public or this code runs outside a call: there is no caller"
    return caller


def caller_or_none() -> Caller | None:
    """The caller of the RPC being served, if any; channels forward his token."""
    return _caller.get()


def current_request_id() -> str:
    """The id of the request being served; empty outside a call."""
    return _request_id.get()


def enter_call(caller: Caller | None, request_id: str) -> None:
    """Sets who calls for the rest of the running task. For the interceptors: each RPC is a task of its own."""
    _caller.set(caller)
    _request_id.set(request_id)


@contextmanager
def calling(caller: Caller | None, request_id: str) -> Generator[None]:
    """Sets who calls for the code inside. For the interceptor and for tests."""
    before = _caller.set(caller), _request_id.set(request_id)
    try:
        yield
    finally:
        _caller.reset(before[0])
        _request_id.reset(before[1])
