"""The servicer of StaffAccountService."""

from banyan.assignment.v1 import oidc_mapping_pb2, staff_account_service_pb2_grpc, staff_pb2
from banyan.assignment.v1 import staff_account_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller, current_request_id
from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.oidc import SUBJECT_LENGTH_MAX
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_org
from services.assignment_svc.rpc.convert_accounts import mapping_to_wire, relation_to_wire
from services.assignment_svc.store import oidc_mappings, org
from services.assignment_svc.usecases import oidc, passwords, staff_relations
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.sessions import Sessions

_ISSUER_LENGTH_MAX = 400


class StaffAccountServicer(staff_account_service_pb2_grpc.StaffAccountServiceServicer):
    def __init__(self, database: Database, sessions: Sessions, wakeups: Wakeups, paging_secret: bytes) -> None:
        self._database = database
        self._sessions = sessions
        self._wakeups = wakeups
        self._paging_secret = paging_secret

    async def SetPassword(self, request: pb.SetPasswordRequest, _context: Context) -> pb.SetPasswordResponse:
        """Hashes before the transaction, and keeps the password out of what is remembered of the request."""
        staff_id = names.parse_one("staff", request.name)
        telling = convert_org.telling_of("SetPassword", checked_reason(request.reason))
        async with self._database.read() as conn:
            await passwords.check_password(conn, telling.actor, staff_id, request.password)
        password_hash = await self._sessions.hash(request.password)

        async def work(tx: AsyncConnection) -> pb.SetPasswordResponse:
            await passwords.check_password(tx, telling.actor, staff_id, request.password)
            count = await passwords.put_password(tx, telling, staff_id, password_hash)
            return pb.SetPasswordResponse(session_count=count)

        kept = pb.SetPasswordRequest(name=request.name, reason=request.reason, request_id=request.request_id)
        answer = await once(self._database, Write("SetPassword", kept), pb.SetPasswordResponse, work)
        await self._wakeups.notify(org.FEED)
        return answer

    async def ResetPassword(self, request: pb.ResetPasswordRequest, _context: Context) -> pb.ResetPasswordResponse:
        staff_id = names.parse_one("staff", request.name)
        telling = convert_org.telling_of("ResetPassword", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.ResetPasswordResponse:
            await passwords.check_password(tx, telling.actor, staff_id, None)
            count = await passwords.put_password(tx, telling, staff_id, None)
            return pb.ResetPasswordResponse(session_count=count)

        answer = await once(self._database, Write("ResetPassword", request), pb.ResetPasswordResponse, work)
        await self._wakeups.notify(org.FEED)
        return answer

    async def CreateOidcMapping(
        self, request: pb.CreateOidcMappingRequest, _context: Context
    ) -> oidc_mapping_pb2.OidcMapping:
        sent = request.oidc_mapping
        staff_id = names.parse_one("staff", sent.staff, "oidc_mapping.staff")
        for field, value, most in (
            ("issuer", sent.issuer, _ISSUER_LENGTH_MAX),
            ("subject", sent.subject, SUBJECT_LENGTH_MAX),
        ):
            if len(value) > most:
                raise invalid_field(f"oidc_mapping.{field}", f"must have at most {most} characters")
        telling = convert_org.telling_of("CreateOidcMapping", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> oidc_mapping_pb2.OidcMapping:
            return mapping_to_wire(await oidc.create_mapping(tx, telling, sent.issuer, sent.subject, staff_id))

        return await once(self._database, Write("CreateOidcMapping", request), oidc_mapping_pb2.OidcMapping, work)

    async def GetOidcMapping(
        self, request: pb.GetOidcMappingRequest, _context: Context
    ) -> oidc_mapping_pb2.OidcMapping:
        mapping_id = names.parse_one("oidcMappings", request.name)
        async with self._database.read() as conn:
            found = await oidc_mappings.get_mapping(conn, mapping_id)
        if found is None:
            raise not_found()
        return mapping_to_wire(found)

    async def ListOidcMappings(
        self, request: pb.ListOidcMappingsRequest, _context: Context
    ) -> pb.ListOidcMappingsResponse:
        size = paging.page_size(request.page_size)
        staff_id = names.parse_optional("staff", request.staff, "staff")
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await oidc_mappings.list_mappings(conn, staff_id, str(key[0]) if key else "", size + 1)
        more = len(found) > size
        return pb.ListOidcMappingsResponse(
            oidc_mappings=map(mapping_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1].mapping_id], request, self._paging_secret) if more else "",
        )

    async def DeleteOidcMapping(self, request: pb.DeleteOidcMappingRequest, _context: Context) -> Empty:
        mapping_id = names.parse_one("oidcMappings", request.name)
        telling = convert_org.telling_of("DeleteOidcMapping", "")
        await self._database.repeat(lambda tx: oidc.delete_mapping(tx, telling, mapping_id))
        await self._wakeups.notify(org.FEED)
        return Empty()

    async def DeclareStaffRelation(
        self, request: pb.DeclareStaffRelationRequest, _context: Context
    ) -> pb.DeclareStaffRelationResponse:
        staff_id = names.parse_one("staff", request.parent, "parent")
        customer_id = names.parse_one("customers", request.customer, "customer")
        kind = staff_pb2.StaffRelation.Kind.Name(request.kind).removeprefix("KIND_")
        reader, telling = _reader("DeclareStaffRelation"), convert_org.telling_of("DeclareStaffRelation", "")

        async def work(tx: AsyncConnection) -> pb.DeclareStaffRelationResponse:
            declared = await staff_relations.declare(tx, reader, telling, staff_id, (customer_id, kind))
            return pb.DeclareStaffRelationResponse(staff_relation=relation_to_wire(declared))

        write = Write("DeclareStaffRelation", request)
        return await once(self._database, write, pb.DeclareStaffRelationResponse, work)

    async def GetStaffRelation(self, request: pb.GetStaffRelationRequest, _context: Context) -> staff_pb2.StaffRelation:
        staff_id, customer_id = names.parse("staff/*/relations/*", request.name)
        async with self._database.read() as conn:
            found = await staff_relations.get_relation(conn, _reader("GetStaffRelation"), staff_id, customer_id)
        return relation_to_wire(found)

    async def ListStaffRelations(
        self, request: pb.ListStaffRelationsRequest, _context: Context
    ) -> pb.ListStaffRelationsResponse:
        size = paging.page_size(request.page_size)
        staff_id = names.parse_one("staff", request.parent, "parent")
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found, more = await staff_relations.list_relations(
                conn, _reader("ListStaffRelations"), staff_id, str(key[0]) if key else "", size
            )
        return pb.ListStaffRelationsResponse(
            staff_relations=map(relation_to_wire, found),
            next_page_token=paging.encode([found[-1].customer_id], request, self._paging_secret) if more else "",
        )

    async def WithdrawStaffRelation(
        self, request: pb.WithdrawStaffRelationRequest, _context: Context
    ) -> pb.WithdrawStaffRelationResponse:
        staff_id, customer_id = names.parse("staff/*/relations/*", request.name)
        telling = convert_org.telling_of("WithdrawStaffRelation", checked_reason(request.reason))
        if staff_id == telling.actor:
            raise Refused(Kind.FORBIDDEN, "OWN_ACCOUNT", "nobody takes his own relations back")

        async def work(tx: AsyncConnection) -> pb.WithdrawStaffRelationResponse:
            await staff_relations.withdraw(tx, _reader("WithdrawStaffRelation"), telling, staff_id, customer_id)
            return pb.WithdrawStaffRelationResponse()

        write = Write("WithdrawStaffRelation", request)
        return await once(self._database, write, pb.WithdrawStaffRelationResponse, work)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)
