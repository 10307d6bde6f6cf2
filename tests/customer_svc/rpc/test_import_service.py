import grpc
import pyarrow as pa
import pytest
from banyan.customer.v1 import import_service_pb2 as pb
from banyan.customer.v1 import import_service_pb2_grpc
from google.type.date_pb2 import Date

from chassis.caller import Role

DAY = Date(year=2026, month=6, day=30)


def messages(table: str, columns: dict[str, list[object]]):
    """A header and one Arrow stream, cut in the middle."""
    sink = pa.BufferOutputStream()
    batch = pa.table(columns)
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    raw = sink.getvalue().to_pybytes()
    half = len(raw) // 2
    yield pb.ImportRowsRequest(header=pb.ImportHeader(table=table, business_date=DAY))
    yield pb.ImportRowsRequest(arrow=raw[:half])
    yield pb.ImportRowsRequest(arrow=raw[half:])


CUSTOMERS = {"customer_id": ["c1", "c2"], "customer_type": ["INDIVIDUAL", "CORPORATE"], "state": ["ACTIVE", "ACTIVE"]}


@pytest.fixture
def rows(channel, signed_in):
    stub = import_service_pb2_grpc.ImportServiceStub(channel)

    async def send(table: str, columns: dict[str, list[object]], metadata=None) -> pb.ImportRowsResponse:
        return await stub.ImportRows(messages(table, columns), metadata=metadata or signed_in.service())

    return send


async def test_rows_are_counted_by_what_became_of_them(rows) -> None:
    first = await rows("customers", CUSTOMERS)
    assert (first.received_count, first.inserted_count) == (2, 2)
    again = await rows("customers", CUSTOMERS | {"state": ["ACTIVE", "DECEASED"]})
    assert (again.updated_count, again.unchanged_count) == (1, 1)


async def test_a_table_that_is_not_taken_here_is_refused(rows) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rows("branches", {"branch_id": ["b1"]})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_staff_import_nothing(rows, signed_in) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rows("customers", CUSTOMERS, signed_in.staff(Role.ADMIN))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
