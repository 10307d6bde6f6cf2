"""The servicer of CustomerGroupService, and the long work that it starts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from banyan.customer.v1 import customer_group_pb2, customer_group_service_pb2_grpc
from banyan.customer.v1 import customer_group_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, operation_store, paging
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.operation_servicer import to_wire
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.groups import Draft, Group, GroupOrder, Kind
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.rpc import convert, convert_groups
from services.customer_svc.store import groups
from services.customer_svc.store.group_members import Place
from services.customer_svc.store.groups import Listed
from services.customer_svc.usecases import keep_groups, list_members
from services.customer_svc.usecases.build_groups import Work, build_group
from services.customer_svc.usecases.scopes import read_count_scope

BUILD = "build_customer_group"
_GROUPS = convert_groups.COLLECTION
# The wheel ships no types for it.
operations: Any = operations_pb2


class CustomerGroupServicer(customer_group_service_pb2_grpc.CustomerGroupServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes, currency: str) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret
        self._currency = currency
        self._read_query = convert_groups.reader_of(currency)

    async def CreateCustomerGroup(
        self, request: pb.CreateCustomerGroupRequest, _context: Context
    ) -> pb.CreateCustomerGroupResponse:
        sent, draft = request.customer_group, convert_groups.draft_from_wire(request.customer_group)
        customer_ids = convert_groups.customer_ids_from_wire(request.customers)
        if draft.kind is Kind.LIST and draft.query is not None:
            raise invalid_field("customer_group.query", "is for QUERY groups: call FreezeCustomerGroup")
        if draft.kind is Kind.QUERY and customer_ids:
            raise invalid_field("customers", "is for lists only")
        query = convert_groups.query_from_wire(sent.query, self._currency) if draft.query is not None else None
        reading = _reading("CreateCustomerGroup")

        async def work(tx: AsyncConnection) -> pb.CreateCustomerGroupResponse:
            group = await keep_groups.create_group(tx, draft, query, reading.viewer)
            unknown: list[int] = []
            if customer_ids:
                changed = await list_members.add_members(tx, group.group_id, customer_ids, reading)
                unknown.extend(changed.unknown_indexes)
            shown = await self._shown(tx, group.group_id, reading.viewer)
            return pb.CreateCustomerGroupResponse(customer_group=shown, unknown_indexes=unknown)

        write = Write("CreateCustomerGroup", request)
        return await once(self._database, write, pb.CreateCustomerGroupResponse, work)

    async def GetCustomerGroup(
        self, request: pb.GetCustomerGroupRequest, _context: Context
    ) -> customer_group_pb2.CustomerGroup:
        group_id = names.parse_one(_GROUPS, request.name)
        async with self._database.read() as conn:
            return await self._shown(conn, group_id, _viewer())

    async def ListCustomerGroups(
        self, request: pb.ListCustomerGroupsRequest, _context: Context
    ) -> pb.ListCustomerGroupsResponse:
        size = paging.page_size(request.page_size)
        whose, order = convert_groups.listed_from_wire(request)
        after = _after(paging.decode(request.page_token, request, self._paging_secret), order)
        listed = Listed(_viewer(), (), whose, order, request.show_deleted, after)
        async with self._database.read() as conn:
            found = await keep_groups.list_groups(conn, listed, size + 1, self._read_query)
        shown = paging.cut([convert_groups.group_to_wire(one) for one in found[:size]])
        token = ""
        if len(shown) < len(found):
            last = found[len(shown) - 1].group
            by_time = order is GroupOrder.UPDATE_TIME
            place = last.update_time.astimezone(UTC).isoformat() if by_time else last.draft.display_name
            token = paging.encode([place, last.group_id], request, self._paging_secret)
        return pb.ListCustomerGroupsResponse(customer_groups=shown, next_page_token=token)

    async def UpdateCustomerGroup(
        self, request: pb.UpdateCustomerGroupRequest, _context: Context
    ) -> customer_group_pb2.CustomerGroup:
        sent = request.customer_group
        group_id = names.parse_one(_GROUPS, sent.name, "customer_group.name")
        fields = convert_groups.changes_from_wire(request)
        query = convert_groups.query_from_wire(sent.query, self._currency) if "query" in fields else None
        change, viewer = keep_groups.Change(fields, query, sent.etag), _viewer()

        async def work(tx: AsyncConnection) -> customer_group_pb2.CustomerGroup:
            await keep_groups.update_group(tx, group_id, change, viewer)
            return await self._shown(tx, group_id, viewer)

        return await once(self._database, Write("UpdateCustomerGroup", request), customer_group_pb2.CustomerGroup, work)

    async def DeleteCustomerGroup(self, request: pb.DeleteCustomerGroupRequest, _context: Context) -> Empty:
        group_id = names.parse_one(_GROUPS, request.name)
        async with self._database.begin() as tx:
            await keep_groups.delete_group(tx, group_id, _viewer(), request.etag)
        return Empty()

    async def UndeleteCustomerGroup(
        self, request: pb.UndeleteCustomerGroupRequest, _context: Context
    ) -> pb.UndeleteCustomerGroupResponse:
        group_id, viewer = names.parse_one(_GROUPS, request.name), _viewer()
        async with self._database.begin() as tx:
            await keep_groups.undelete_group(tx, group_id, viewer)
            shown = await self._shown(tx, group_id, viewer)
        return pb.UndeleteCustomerGroupResponse(customer_group=shown)

    async def BuildCustomerGroup(self, request: pb.BuildCustomerGroupRequest, _context: Context) -> Message:
        group_id, viewer = names.parse_one(_GROUPS, request.name), _viewer()

        async def work(tx: AsyncConnection) -> Message:
            group = await keep_groups.start_build(tx, group_id, viewer, self._read_query)
            return await self._build(tx, group, request.request_id)

        return await once(self._database, Write(BUILD, request), operations.Operation, work)

    async def FreezeCustomerGroup(self, request: pb.FreezeCustomerGroupRequest, _context: Context) -> Message:
        source = request.WhichOneof("source")
        if source is None:
            raise invalid_field("source", "is required: a group or a query")
        if source == "customer_group":
            names.parse_one(_GROUPS, request.customer_group, "customer_group")
        saved = request.query if source == "query" else convert_groups.members_of(request.customer_group)
        query, viewer = convert_groups.query_from_wire(saved, self._currency), _viewer()
        draft = Draft(request.display_name, request.description, kind=Kind.LIST, query=convert_groups.raw_query(saved))

        async def work(tx: AsyncConnection) -> Message:
            group = await keep_groups.create_group(tx, draft, query, viewer)
            return await self._build(tx, group, request.request_id)

        return await once(self._database, Write("FreezeCustomerGroup", request), operations.Operation, work)

    async def AddMembers(self, request: pb.AddMembersRequest, _context: Context) -> pb.AddMembersResponse:
        group_id, reading = names.parse_one(_GROUPS, request.name), _reading("AddMembers")
        customer_ids = convert_groups.customer_ids_from_wire(request.customers)

        async def work(tx: AsyncConnection) -> pb.AddMembersResponse:
            changed = await list_members.add_members(tx, group_id, customer_ids, reading)
            shown = await self._shown(tx, group_id, reading.viewer)
            return pb.AddMembersResponse(
                customer_group=shown, added_count=changed.count, unknown_indexes=changed.unknown_indexes
            )

        return await once(self._database, Write("AddMembers", request), pb.AddMembersResponse, work)

    async def RemoveMembers(self, request: pb.RemoveMembersRequest, _context: Context) -> pb.RemoveMembersResponse:
        group_id, reading = names.parse_one(_GROUPS, request.name), _reading("RemoveMembers")
        customer_ids = convert_groups.customer_ids_from_wire(request.customers)

        async def work(tx: AsyncConnection) -> pb.RemoveMembersResponse:
            changed = await list_members.remove_members(tx, group_id, customer_ids, reading)
            shown = await self._shown(tx, group_id, reading.viewer)
            return pb.RemoveMembersResponse(
                customer_group=shown, removed_count=changed.count, unknown_indexes=changed.unknown_indexes
            )

        return await once(self._database, Write("RemoveMembers", request), pb.RemoveMembersResponse, work)

    async def StreamGroup(
        self, request: pb.StreamGroupRequest, _context: Context
    ) -> AsyncIterator[pb.StreamGroupResponse]:
        group_id = names.parse_one(_GROUPS, request.name)
        key = paging.decode(request.resume_token, request, self._paging_secret)
        after = Place(int(key[0] or 0), str(key[1])) if key else None
        async for chunk in list_members.stream_members(self._database, group_id, _reading("StreamGroup"), after):
            place = [chunk.place.generation, chunk.place.after]
            yield pb.StreamGroupResponse(
                customers=[f"customers/{customer_id}" for customer_id in chunk.customer_ids],
                resume_token=paging.encode(place, request, self._paging_secret),
                complete=chunk.complete,
                rebuilt=chunk.rebuilt,
            )

    async def _shown(self, conn: AsyncConnection, group_id: str, viewer: Viewer) -> customer_group_pb2.CustomerGroup:
        return convert_groups.group_to_wire(await keep_groups.get_group(conn, group_id, viewer, self._read_query))

    async def _build(self, tx: AsyncConnection, group: Group, request_id: str) -> Message:
        """The operation that builds a group: the one under way, else a new one."""
        if group.build_operation_id is not None:
            open_one = await operation_store.find(tx, group.build_operation_id)
            if open_one is not None and not open_one.done:
                return to_wire(open_one)
        wanted = pb.BuildCustomerGroupRequest(name=names.make(_GROUPS, group.group_id), request_id=request_id)
        started = await self._long_work.start(tx, BUILD, wanted, current_caller().staff_id, request_id)
        await groups.set_build_operation(tx, group.group_id, names.parse_one("operations", started.name))
        return started


class Building:
    """The handler of the operation: builds one group and tells how far it is."""

    def __init__(self, database: Database, keys: DataKeys, currency: str) -> None:
        self._database = database
        self._read_query = convert_groups.reader_of(currency, keys)

    async def __call__(self, run: Run) -> customer_group_pb2.CustomerGroup:
        request = run.request
        assert isinstance(request, pb.BuildCustomerGroupRequest)

        async def tell(done: int, total: int) -> bool:
            told = pb.BuildCustomerGroupMetadata(customer_group=request.name, done_count=done, total_count=total)
            await run.progress(told)
            return not run.cancelled()

        work = Work(self._database, run.operation_id, self._read_query, tell)
        group = await build_group(work, names.parse_one(_GROUPS, request.name))
        if group is None:
            return customer_group_pb2.CustomerGroup()
        async with self._database.read() as conn:
            owner = await groups.read_owner(conn, group.owner_id)
            assert owner is not None, "it was built in his name"
            reach = await read_count_scope(conn, owner.viewer)
        return convert_groups.group_to_wire(keep_groups.show(group, owner.viewer, reach, self._read_query))


def _viewer() -> Viewer:
    return convert.viewer_of(current_caller())


def _reading(method: str) -> Reading:
    return convert.reading_of(current_caller(), method)


def _after(key: tuple[paging.KeyPart, ...] | None, order: GroupOrder) -> tuple[str | datetime, str] | None:
    if key is None:
        return None
    place, group_id = map(str, key)
    return (datetime.fromisoformat(place) if order is GroupOrder.UPDATE_TIME else place, group_id)
