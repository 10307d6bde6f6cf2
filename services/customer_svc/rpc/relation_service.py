"""The servicer of RelationService."""

from functools import partial

from banyan.customer.v1 import relation_pb2, relation_service_pb2_grpc
from banyan.customer.v1 import relation_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.rpc import convert, convert_notes
from services.customer_svc.usecases import relations
from services.customer_svc.usecases.must_see import must_see

_RELATIONS = "customers/*/relations/*"


class RelationServicer(relation_service_pb2_grpc.RelationServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes, keys: DataKeys) -> None:
        self._database = database
        self._secret = paging_secret
        self._keys = keys

    async def CreateRelation(self, request: pb.CreateRelationRequest, _context: Context) -> relation_pb2.Relation:
        customer_id = names.parse_one("customers", request.parent, "parent")
        new = convert_notes.relation_from_wire(customer_id, request.relation, current_caller())
        reading = convert.reading_of(current_caller(), "CreateRelation", self._keys)

        async def create(tx: AsyncConnection) -> relation_pb2.Relation:
            told = await relations.create_relation(tx, reading, customer_id, new, self._secret)
            return convert_notes.relation_to_wire(customer_id, told)

        write = _write("CreateRelation", request, customer_id)
        return await once(self._database, write, relation_pb2.Relation, create)

    async def GetRelation(self, request: pb.GetRelationRequest, _context: Context) -> relation_pb2.Relation:
        customer_id, relation_id = names.parse(_RELATIONS, request.name)
        reading = convert.reading_of(current_caller(), "GetRelation", self._keys)
        async with self._database.read() as conn:
            found = await relations.get_relation(conn, reading, customer_id, relation_id, self._secret)
        return convert_notes.relation_to_wire(customer_id, found)

    async def ListRelations(self, request: pb.ListRelationsRequest, _context: Context) -> pb.ListRelationsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        reading = convert.reading_of(current_caller(), "ListRelations", self._keys)
        async with self._database.read() as conn:
            found = await relations.list_relations(
                conn, reading, customer_id, self._secret, with_ended=request.show_ended
            )
        # All that one customer has are a few: cheaper read whole than cut in SQL.
        ordered = sorted((one.person.kind, one.relation_id, one) for one in found)
        left = [(kind, one_id, one) for kind, one_id, one in ordered if key is None or (kind, one_id) > key]
        token = paging.encode(left[size - 1][:2], request, self._secret) if len(left) > size else ""
        shown = [convert_notes.relation_to_wire(customer_id, one) for _, _, one in left[:size]]
        return pb.ListRelationsResponse(relations=shown, next_page_token=token)

    async def EndRelation(self, request: pb.EndRelationRequest, _context: Context) -> pb.EndRelationResponse:
        customer_id, relation_id = names.parse(_RELATIONS, request.name)
        reading = convert.reading_of(current_caller(), "EndRelation", self._keys)

        async def end(tx: AsyncConnection) -> pb.EndRelationResponse:
            named, reason = (customer_id, relation_id), request.reason.strip()
            ended = await relations.end_relation(tx, reading, named, reason, self._secret)
            return pb.EndRelationResponse(relation=convert_notes.relation_to_wire(customer_id, ended))

        write = _write("EndRelation", request, customer_id)
        return await once(self._database, write, pb.EndRelationResponse, end)


def _write(method: str, request: object, customer_id: str) -> Write:
    viewer = convert.viewer_of(current_caller())
    return Write(method, request, partial(must_see, viewer=viewer, customer_id=customer_id, field=relations.FIELD))
