import io
from datetime import date
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from banyan.assignment.v1 import (
    import_service_pb2_grpc,
    operation_service_pb2_grpc,
    ownership_pb2,
    ownership_service_pb2,
    ownership_service_pb2_grpc,
)
from banyan.campaign.v1 import import_service_pb2 as campaign_pb2
from banyan.campaign.v1 import import_service_pb2_grpc as campaign_grpc
from banyan.customer.v1 import import_service_pb2 as customer_pb2
from banyan.customer.v1 import import_service_pb2_grpc as customer_grpc
from banyan.customer.v1 import merge_pb2, merge_service_pb2, merge_service_pb2_grpc
from google.longrunning import operations_pb2
from google.rpc.code_pb2 import FAILED_PRECONDITION, INVALID_ARGUMENT
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from acrm import publish
from acrm.ingest import PublishFailed
from acrm.publish import Allocated, Publisher, Sent
from acrm.tables import FEED

# Two packages bring this module, one of them without what its stub names: which one is there is chance.
pb_operations: Any = operations_pb2
TODAY = date(2026, 6, 30)
ROWS = 70_000


class Importing:
    """Takes rows as a service would, or answers one after another of `refusals` first."""

    def __init__(self, messages):
        self.messages = messages
        self.refusals = []
        self.headers = []
        self.removals = set()
        self.rows = []

    async def ImportRows(self, requests, context):
        pieces = []
        async for request in requests:
            if request.HasField("header"):
                self.headers.append((request.header.table, request.header.business_date.day))
                self.removals.add(request.header.allow_removals)
            else:
                pieces.append(request.arrow)
        if self.refusals:
            await context.abort_with_status(rpc_status.to_status(self.refusals.pop(0)))
        read = pa.ipc.open_stream(io.BytesIO(b"".join(pieces))).read_all()
        self.rows = read.to_pylist()
        return self.messages.ImportRowsResponse(received_count=read.num_rows, inserted_count=3, unchanged_count=1)


class Ownership(ownership_service_pb2_grpc.OwnershipServiceServicer):
    def __init__(self):
        self.request_ids = set()

    async def AllocateOwnerships(self, request, _context):
        self.request_ids.add(request.request_id)
        return pb_operations.Operation(name=f"operations/{request.business_date.month}")


class Operations(operation_service_pb2_grpc.OperationServiceServicer):
    def __init__(self):
        self.asked = 0
        self.error = None

    async def GetOperation(self, request, _context):
        assert request.name == "operations/6"
        self.asked += 1
        operation = pb_operations.Operation(name=request.name, done=self.asked == 3)
        metadata = ownership_service_pb2.AllocateOwnershipsMetadata(done_count=self.asked * 10, total_count=30)
        operation.metadata.Pack(metadata)
        if operation.done and self.error:
            operation.error.CopyFrom(self.error)
        elif operation.done:
            count = ownership_service_pb2.RuleCount(rule=ownership_pb2.ALLOCATION_RULE_LOAN, customer_count=7)
            told = ownership_service_pb2.AllocateOwnershipsResponse(
                customer_count=9, changed_customer_count=8, changed_row_count=10, rule_counts=[count]
            )
            operation.response.Pack(told)
        return operation


class Merges(merge_service_pb2_grpc.MergeServiceServicer):
    """Tells three merged customers, two a page."""

    async def ListMergedCustomers(self, request, _context):
        start = int(request.page_token or 0)
        told = [
            merge_pb2.MergedCustomer(merged_customer=f"customers/m{n}", survivor=f"customers/s{n}")
            for n in range(start, min(start + 2, 3))
        ]
        token = str(start + 2) if start + 2 < 3 else ""
        return merge_service_pb2.ListMergedCustomersResponse(merged_customers=told, next_page_token=token)


@pytest.fixture
async def bank(monkeypatch):
    """The services, each with a publisher that talks to them."""
    monkeypatch.setattr(publish, "_BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr(publish, "_POLL_SECONDS", 0.01)
    server = grpc.aio.server()
    servicers = {"campaign": Importing(campaign_pb2), "customer": Importing(customer_pb2)}
    servicers |= {"ownership": Ownership(), "operations": Operations()}
    campaign_grpc.add_ImportServiceServicer_to_server(servicers["campaign"], server)
    customer_grpc.add_ImportServiceServicer_to_server(servicers["customer"], server)
    import_service_pb2_grpc.add_ImportServiceServicer_to_server(import_service_pb2_grpc.ImportServiceServicer(), server)
    ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server(servicers["ownership"], server)
    operation_service_pb2_grpc.add_OperationServiceServicer_to_server(servicers["operations"], server)
    merge_service_pb2_grpc.add_MergeServiceServicer_to_server(Merges(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        told = []
        publishers = {
            "publisher": Publisher(lambda _: channel, lambda *said: told.append(said)),
            "allowed": Publisher(lambda _: channel, lambda *said: told.append(said), allow_removals=True),
        }
        yield servicers | publishers | {"told": told}
    await server.stop(None)


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    path = tmp_path_factory.mktemp("publish") / "products.parquet"
    rows = [{"product_id": f"p{n}", "display_name": "x", "category": "y"} for n in range(ROWS)]
    pq.write_table(pa.Table.from_pylist(rows, schema=FEED["products"].schema), path)
    return path


def refusal(reason, code=INVALID_ARGUMENT):
    status = Status(code=code, message="some rows are bad")
    status.details.add().Pack(ErrorInfo(reason=reason, domain="campaign.banyan"))
    field = BadRequest.FieldViolation(field="rows[17].product_id", description="is unknown")
    status.details.add().Pack(BadRequest(field_violations=[field]))
    return status


async def test_all_who_were_merged_are_asked_for_page_by_page(bank):
    assert await bank["publisher"].merged_customers() == [(f"m{n}", f"s{n}") for n in range(3)]


async def test_a_table_arrives_whole_with_its_name_and_date_at_each_service_that_takes_it(bank, products):
    sent = await bank["publisher"].send(FEED["products"], products, TODAY)
    assert sent == Sent(received=2 * ROWS, inserted=6, updated=0, unchanged=2)
    for name in ("campaign", "customer"):
        assert bank[name].headers == [("products", 30)]
        assert bank[name].rows == pq.read_table(products).to_pylist()
    assert bank["told"][0] == ("products", 0, ROWS)
    assert bank["told"][-1] == ("products", ROWS, ROWS)


@pytest.mark.parametrize(("name", "allows"), [("publisher", False), ("allowed", True)])
async def test_removals_are_allowed_only_if_asked(bank, products, name, allows):
    await bank[name].send(FEED["products"], products, TODAY)
    assert bank["customer"].removals == bank["campaign"].removals == {allows}


async def test_rows_that_refer_to_what_is_not_known_yet_are_sent_again(bank, products):
    bank["campaign"].refusals = [refusal("REFERENCE_UNKNOWN")] * 3
    assert (await bank["publisher"].send(FEED["products"], products, TODAY)).received == 2 * ROWS
    assert len(bank["campaign"].headers) == 4
    assert len(bank["customer"].headers) == 1


async def test_a_service_that_cannot_be_reached_is_asked_a_few_times(bank, products):
    unavailable = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="draining")
    bank["campaign"].refusals = [unavailable] * 2
    assert (await bank["publisher"].send(FEED["products"], products, TODAY)).received == 2 * ROWS
    bank["campaign"].refusals = [unavailable] * 10
    with pytest.raises(PublishFailed, match="products: UNAVAILABLE draining"):
        await bank["publisher"].send(FEED["products"], products, TODAY)


async def test_a_refusal_names_the_rows_and_is_not_tried_again(bank, products):
    bank["campaign"].refusals = [refusal("ROW_INVALID")] * 2
    with pytest.raises(
        PublishFailed, match=r"products: INVALID_ARGUMENT some rows are bad\n  rows\[17\].product_id: is"
    ):
        await bank["publisher"].send(FEED["products"], products, TODAY)
    assert len(bank["campaign"].refusals) == 1


async def test_what_stays_unknown_for_too_long_is_a_failure(bank, products, monkeypatch):
    monkeypatch.setattr(publish, "FOLLOW_SECONDS_MAX", 0.1)
    bank["campaign"].refusals = [refusal("REFERENCE_UNKNOWN")] * 100
    with pytest.raises(PublishFailed, match=r"rows\[17\].product_id: is unknown"):
        await bank["publisher"].send(FEED["products"], products, TODAY)


async def test_an_allocation_is_waited_for_and_told(bank):
    allocated = await bank["publisher"].allocate(TODAY)
    assert allocated == Allocated(9, 8, 10, {"ALLOCATION_RULE_LOAN": 7})
    assert bank["told"] == [("allocate", 10, 30), ("allocate", 20, 30), ("allocate", 30, 30)]
    assert len(bank["ownership"].request_ids) == 1


async def test_an_allocation_that_fails_says_why(bank):
    bank["operations"].error = Status(code=FAILED_PRECONDITION, message="a later date was allocated already")
    with pytest.raises(PublishFailed, match="allocate: a later date was allocated already"):
        await bank["publisher"].allocate(TODAY)
