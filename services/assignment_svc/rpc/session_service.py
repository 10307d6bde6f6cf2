"""The servicer of SessionService."""

import json

from banyan.assignment.v1 import session_pb2, session_service_pb2_grpc
from banyan.assignment.v1 import session_service_pb2 as pb
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis import names
from chassis.caller import Role, current_caller
from chassis.errors import Violation, invalid_fields, not_found
from chassis.streams import Context
from chassis.tokens import KeyRing, Signer
from services.assignment_svc.rpc import convert
from services.assignment_svc.usecases.sessions import LOGIN_LENGTH_MAX, PASSWORD_LENGTH_MAX, Sessions, SignIn

_OWN = "sessions/-"


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    def __init__(self, sessions: Sessions, signer: Signer, keys: KeyRing) -> None:
        self._sessions = sessions
        self._signer = signer
        self._keys = keys

    async def CreateSession(self, request: pb.CreateSessionRequest, _context: Context) -> session_pb2.Session:
        lengths = (("login", request.login, LOGIN_LENGTH_MAX), ("password", request.password, PASSWORD_LENGTH_MAX))
        violations = [
            Violation(field, f"must have at most {most} characters")
            for field, given, most in lengths
            if len(given) > most
        ]
        if violations:
            raise invalid_fields(violations)
        return self._told(await self._sessions.sign_in(request.login, request.password))

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


def _session_of(name: str) -> str:
    return current_caller().session_id if name == _OWN else names.parse_one("sessions", name)
