"""The servicer of TagService."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from banyan.customer.v1 import tag_pb2, tag_service_pb2_grpc
from banyan.customer.v1 import tag_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.tags import CustomerTag, HandChange, WantedTags
from services.customer_svc.domain.viewing import Viewer
from services.customer_svc.rpc import convert, convert_tags
from services.customer_svc.store import tags as store
from services.customer_svc.store.customers import business_day
from services.customer_svc.usecases import tags
from services.customer_svc.usecases.must_see import must_see_noted

BATCH_MAX = 1_000
Changing = Callable[[AsyncConnection, Viewer, HandChange], Awaitable[CustomerTag]]
R = TypeVar("R", pb.SetCustomerTagResponse, pb.RemoveCustomerTagResponse, pb.ClearTagOverrideResponse)


class TagServicer(tag_service_pb2_grpc.TagServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def GetTag(self, request: pb.GetTagRequest, _context: Context) -> tag_pb2.Tag:
        code = names.parse_one("tags", request.name)
        async with self._database.read() as conn:
            return convert_tags.tag_to_wire(await tags.get_tag(conn, convert.viewer_of(current_caller()), code))

    async def ListTags(self, request: pb.ListTagsRequest, _context: Context) -> pb.ListTagsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        wanted = WantedTags(convert_tags.kind_from_wire(request.kind), request.show_retired)
        viewer = convert.viewer_of(current_caller())
        async with self._database.read() as conn:
            found = await tags.list_tags(conn, wanted, viewer, str(key[0]) if key else "", size)
        more = len(found) > size
        return pb.ListTagsResponse(
            tags=map(convert_tags.tag_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1].code], request, self._paging_secret) if more else "",
        )

    async def CreateTag(self, request: pb.CreateTagRequest, _context: Context) -> tag_pb2.Tag:
        tag, viewer = convert_tags.tag_from_wire(request.tag_id, request.tag), convert.viewer_of(current_caller())

        async def create(tx: AsyncConnection) -> tag_pb2.Tag:
            return convert_tags.tag_to_wire(await tags.create_tag(tx, viewer, tag))

        write = Write("CreateTag", request, partial(tags.check_sharing, viewer=viewer, branch_id=tag.branch_id))
        return await once(self._database, write, tag_pb2.Tag, create)

    async def RetireTag(self, request: pb.RetireTagRequest, _context: Context) -> pb.RetireTagResponse:
        code, viewer = names.parse_one("tags", request.name), convert.viewer_of(current_caller())

        async def retire(tx: AsyncConnection) -> pb.RetireTagResponse:
            return pb.RetireTagResponse(tag=convert_tags.tag_to_wire(await tags.retire_tag(tx, viewer, code)))

        write = Write("RetireTag", request, partial(tags.may_retire, viewer=viewer, code=code))
        return await once(self._database, write, pb.RetireTagResponse, retire)

    async def GetCustomerTag(self, request: pb.GetCustomerTagRequest, _context: Context) -> tag_pb2.CustomerTag:
        customer_id, code = names.parse("customers/*/tags/*", request.name)
        reading = convert.reading_of(current_caller(), "GetCustomerTag")
        async with self._database.read() as conn:
            found = await tags.get_customer_tag(conn, reading, customer_id, code)
            return convert_tags.customer_tag_to_wire(found, await business_day(conn))

    async def ListCustomerTags(
        self, request: pb.ListCustomerTagsRequest, _context: Context
    ) -> pb.ListCustomerTagsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        reading = convert.reading_of(current_caller(), "ListCustomerTags")
        async with self._database.read() as conn:
            found, day = await tags.list_customer_tags(conn, reading, customer_id, with_past=request.show_past)
        # All that one customer has are a few dozen: cheaper read whole than cut by their state in SQL.
        left = [tag for tag in found if key is None or tag.tag.code > str(key[0])]
        token = paging.encode([left[size - 1].tag.code], request, self._paging_secret) if len(left) > size else ""
        return pb.ListCustomerTagsResponse(
            customer_tags=[convert_tags.customer_tag_to_wire(tag, day) for tag in left[:size]], next_page_token=token
        )

    async def BatchGetPotentialTags(
        self, request: pb.BatchGetPotentialTagsRequest, _context: Context
    ) -> pb.BatchGetPotentialTagsResponse:
        if len(request.customers) > BATCH_MAX:
            raise invalid_field("customers", f"must be at most {BATCH_MAX}")
        customer_ids = [names.parse_one("customers", name, "customers") for name in request.customers]
        # Who is shown them is audited where they are shown.
        async with self._database.read() as conn:
            found = await store.potential_of(conn, customer_ids)
        told = [
            pb.PotentialTags(customer=names.make("customers", one), tags=[names.make("tags", code) for code in codes])
            for one, codes in found
        ]
        return pb.BatchGetPotentialTagsResponse(potential_tags=told)

    async def SetCustomerTag(self, request: pb.SetCustomerTagRequest, _context: Context) -> pb.SetCustomerTagResponse:
        change = convert_tags.change_from_wire(request.name, request.reason, request.end_date, current_caller())
        return await self._change(request, change, tags.set_tag, pb.SetCustomerTagResponse)

    async def RemoveCustomerTag(
        self, request: pb.RemoveCustomerTagRequest, _context: Context
    ) -> pb.RemoveCustomerTagResponse:
        change = convert_tags.change_from_wire(request.name, request.reason, request.end_date, current_caller())
        return await self._change(request, change, tags.remove_tag, pb.RemoveCustomerTagResponse)

    async def ClearTagOverride(
        self, request: pb.ClearTagOverrideRequest, _context: Context
    ) -> pb.ClearTagOverrideResponse:
        change = convert_tags.change_from_wire(request.name, request.reason, None, current_caller())
        return await self._change(request, change, tags.clear_override, pb.ClearTagOverrideResponse)

    async def ListTagChanges(self, request: pb.ListTagChangesRequest, _context: Context) -> pb.ListTagChangesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        code = names.parse_optional("tags", request.tag, "tag") or ""
        before = int(key[0] or 0) if key else convert_tags.LAST_CHANGE
        reading = convert.reading_of(current_caller(), "ListTagChanges")
        async with self._database.read() as conn:
            found = await tags.list_changes(conn, reading, (customer_id, code), before, size)
        more = len(found) > size
        return pb.ListTagChangesResponse(
            tag_changes=map(convert_tags.tag_change_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1].change_id], request, self._paging_secret) if more else "",
        )

    async def _change(self, request: object, change: HandChange, changing: Changing, response: type[R]) -> R:
        viewer = convert.viewer_of(current_caller())

        async def work(tx: AsyncConnection) -> R:
            changed = await changing(tx, viewer, change)
            return response(customer_tag=convert_tags.customer_tag_to_wire(changed, await business_day(tx)))

        method = response.DESCRIPTOR.name.removesuffix("Response")
        reading = convert.reading_of(current_caller(), method)
        seen = partial(must_see_noted, reading=reading, customer_id=change.customer_id, field=tags.FIELD)
        return await once(self._database, Write(method, request, seen), response, work)
