"""The servicer of SessionService."""

import json
from collections.abc import Awaitable, Callable

from banyan.assignment.v1 import session_pb2, session_service_pb2_grpc
from banyan.assignment.v1 import session_service_pb2 as pb
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis import names
from chassis.caller import Role, current_caller
from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from chassis.streams import Context
from chassis.tokens import KeyRing, Signer
from services.assignment_svc.domain.oidc import TOKEN_LENGTH_MAX
from services.assignment_svc.rpc import convert
from services.assignment_svc.usecases.oidc import OidcSignIn
from services.assignment_svc.usecases.sessions import LOGIN_LENGTH_MAX, PASSWORD_LENGTH_MAX, Sessions, SignIn

_OWN = "sessions/-"
_NONCE_LENGTH_MAX = 255
# Of a login, from the old password to the new one.
ChangePassword = Callable[[str, str, str], Awaitable[None]]


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    def __init__(
        self,
        sessions: Sessions,
        signer: Signer,
        keys: KeyRing,
        change_password: ChangePassword,
        oidc: OidcSignIn | None = None,
    ) -> None:
        self._change_password = change_password
        self._oidc = oidc
        self._sessions = sessions
        self._signer = signer
        self._keys = keys

    async def CreateSession(self, request: pb.CreateSessionRequest, _context: Context) -> session_pb2.Session:
        _check_lengths(("login", request.login, LOGIN_LENGTH_MAX), ("password", request.password, PASSWORD_LENGTH_MAX))
        return self._told(await self._sessions.sign_in(request.login, request.password))

    async def CreateOidcSession(self, request: pb.CreateOidcSessionRequest, _context: Context) -> session_pb2.Session:
        _check_lengths(("id_token", request.id_token, TOKEN_LENGTH_MAX), ("nonce", request.nonce, _NONCE_LENGTH_MAX))
        if self._oidc is None:
            raise Refused(Kind.PRECONDITION, "OIDC_OFF", "no OIDC issuer is set")
        return self._told(await self._oidc.sign_in(request.id_token, request.nonce))

    async def ChangePassword(self, request: pb.ChangePasswordRequest, _context: Context) -> Empty:
        _check_lengths(
            ("login", request.login, LOGIN_LENGTH_MAX),
            ("old_password", request.old_password, PASSWORD_LENGTH_MAX),
            ("new_password", request.new_password, PASSWORD_LENGTH_MAX),
        )
        await self._change_password(request.login, request.old_password, request.new_password)
        return Empty()

    async def GetSession(self, request: pb.GetSessionRequest, _context: Context) -> session_pb2.Session:
        session_id = _session_of(request.name)
        if session_id != current_caller().session_id:
            raise not_found()
        return convert.session_to_wire(*await self._sessions.get(session_id))

    async def RefreshSession(self, request: pb.RefreshSessionRequest, _context: Context) -> session_pb2.Session:
        return self._told(await self._sessions.refresh(request.refresh_token))

    async def DeleteSession(self, request: pb.DeleteSessionRequest, _context: Context) -> Empty:
        session_id = _session_of(request.name)
        caller = current_caller()
        if session_id != caller.session_id and Role.ADMIN not in caller.roles:
            raise not_found()
        await self._sessions.sign_out(session_id)
        return Empty()

    async def GetJwks(self, _request: pb.GetJwksRequest, _context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=json.dumps(self._keys.jwks()).encode())

    def _told(self, signed_in: SignIn) -> session_pb2.Session:
        staff, session = signed_in.staff, signed_in.session
        token = self._signer.staff_token(
            staff_id=staff.staff_id,
            branch_id=staff.branch_id,
            roles=[Role(role) for role in staff.roles],
            session_id=session.session_id,
            at=signed_in.now,
            expire_time=session.access_expire_time,
        )
        return convert.sign_in_to_wire(signed_in, token)


def _check_lengths(*told: tuple[str, str, int]) -> None:
    violations = [
        Violation(field, f"must have at most {most} characters") for field, given, most in told if len(given) > most
    ]
    if violations:
        raise invalid_fields(violations)


def _session_of(name: str) -> str:
    return current_caller().session_id if name == _OWN else names.parse_one("sessions", name)
