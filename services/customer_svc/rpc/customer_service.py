"""The servicer of CustomerService."""

from collections.abc import AsyncIterator, Sequence

from banyan.customer.v1 import customer_condition_pb2, customer_pb2, customer_service_pb2_grpc
from banyan.customer.v1 import customer_service_pb2 as pb

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.feed import Publisher
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.conditions import Condition
from services.customer_svc.domain.facts import CustomerFact
from services.customer_svc.domain.query import Query
from services.customer_svc.peers.ownership import OwnersNow
from services.customer_svc.peers.parts import AskParts
from services.customer_svc.rpc import convert, convert_query
from services.customer_svc.usecases.contact_hashes import hashed
from services.customer_svc.usecases.count_customers import count_customers
from services.customer_svc.usecases.explain_query import explain_query
from services.customer_svc.usecases.facet_customers import facet_customers
from services.customer_svc.usecases.get_customer import get_customer, with_parts
from services.customer_svc.usecases.search_customers import search_customers

PAGE_SIZE_MAX = 500


class CustomerServicer(customer_service_pb2_grpc.CustomerServiceServicer):
    def __init__(  # noqa: PLR0913, PLR0917 -- all that its calls need
        self,
        database: Database,
        facts: Publisher[CustomerFact],
        owners_now: OwnersNow,
        paging_secret: bytes,
        currency: str,
        keys: DataKeys,
        ask_parts: AskParts,
    ) -> None:
        self._database = database
        self._facts = facts
        self._owners_now = owners_now
        self._paging_secret = paging_secret
        self._currency = currency
        self._keys = keys
        self._ask_parts = ask_parts

    async def GetCustomer(self, request: pb.GetCustomerRequest, _context: Context) -> customer_pb2.Customer:
        customer_id = names.parse_one("customers", request.name)
        reading = convert.reading_of(current_caller(), "GetCustomer", self._keys)
        owners_now = await self._owners_now(customer_id)
        async with self._database.read() as conn:
            view = await get_customer(conn, customer_id, reading, owners_now)
        return convert.view_to_wire(await with_parts(view, self._ask_parts), self._currency)

    async def SearchCustomers(
        self, request: pb.SearchCustomersRequest, _context: Context
    ) -> pb.SearchCustomersResponse:
        size = paging.page_size(request.page_size, most=PAGE_SIZE_MAX)
        order = convert_query.order_from_wire(request.order)
        query = Query(self._conditions(request.conditions), order)
        start = convert_query.start_from_key(
            paging.decode(request.page_token, request, self._paging_secret), query.order
        )
        reading = convert.reading_of(current_caller(), "SearchCustomers", self._keys)
        async with self._database.begin() as tx:
            found = await search_customers(tx, query, reading, start, size)
        shown = paging.cut([convert.view_to_wire(view, self._currency) for view in found.views])
        next_start = found.start_after(len(shown))
        token = ""
        if next_start is not None:
            token = paging.encode(convert_query.start_to_key(next_start), request, self._paging_secret)
        return pb.SearchCustomersResponse(
            customers=shown,
            next_page_token=token,
            confined_to=convert_query.confinement_to_wire(confined=found.confined),
            left_out_count=found.left_out,
        )

    async def CountCustomers(self, request: pb.CountCustomersRequest, _context: Context) -> pb.CountCustomersResponse:
        query = Query(self._conditions(request.conditions))
        reading = convert.reading_of(current_caller(), "CountCustomers")
        estimated = request.mode == pb.CountCustomersRequest.MODE_ESTIMATED
        async with self._database.begin() as tx:
            counted = await count_customers(tx, query, reading, estimated=estimated)
        return pb.CountCustomersResponse(
            customer_count=counted.customers.number,
            customer_count_text=counted.customers.text,
            confined_to=convert_query.confinement_to_wire(confined=counted.confined),
            left_out_count=counted.left_out.number,
            exact=counted.exact,
        )

    async def FacetCustomers(self, request: pb.FacetCustomersRequest, _context: Context) -> pb.FacetCustomersResponse:
        query = Query(self._conditions(request.conditions))
        wanted = convert_query.facets_from_wire(request.facets)
        reading = convert.reading_of(current_caller(), "FacetCustomers")
        async with self._database.begin() as tx:
            found = await facet_customers(tx, query, reading, wanted)
        return pb.FacetCustomersResponse(
            facets=[convert_query.facet_to_wire(facet, counts) for facet, counts in found.facets.items()],
            customer_count=found.customers.number,
            customer_count_text=found.customers.text,
            confined_to=convert_query.confinement_to_wire(confined=found.confined),
            left_out_count=found.left_out.number,
        )

    async def ExplainQuery(self, request: pb.ExplainQueryRequest, _context: Context) -> pb.ExplainQueryResponse:
        query = Query(self._conditions(request.conditions), convert_query.order_from_wire(request.order))
        reading = convert.reading_of(current_caller(), "ExplainQuery")
        async with self._database.read() as conn:
            explained = await explain_query(conn, query, reading, self._currency)
        return pb.ExplainQueryResponse(
            chinese=explained.chinese,
            english=explained.english,
            confined_to=convert_query.confinement_to_wire(confined=explained.confined),
            confining_fields=explained.confining_fields,
        )

    def _conditions(self, sent: Sequence[customer_condition_pb2.CustomerCondition]) -> tuple[Condition, ...]:
        return hashed(convert_query.conditions_from_wire(sent, self._currency), self._keys)

    async def WatchCustomerFactChanges(
        self, request: pb.WatchCustomerFactChangesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchCustomerFactChangesResponse]:
        async for page in self._facts.watch(request.resume_token):
            for part in page.parts(convert.fact_to_wire):
                yield pb.WatchCustomerFactChangesResponse(
                    changes=part.items,
                    resume_token=part.resume_token,
                    caught_up=part.caught_up,
                    source_time=wire.time_to_wire(part.source_time),
                )
