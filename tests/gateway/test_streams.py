"""Streams through a real Envoy, and what speaks gRPC itself."""

import base64
import json
import struct
import time
from contextlib import closing

import grpc
import pytest
from banyan.alert.v1 import alert_service_pb2 as alerts
from banyan.alert.v1 import alert_service_pb2_grpc, transaction_service_pb2, transaction_service_pb2_grpc
from banyan.customer.v1 import customer_pb2, customer_service_pb2, customer_service_pb2_grpc

GET_CUSTOMER = "/banyan.customer.v1.CustomerService/GetCustomer"


def test_events_arrive_when_they_happen(edge):
    begin = time.monotonic()
    connection, response = edge.open("GET", "/v1/alerts:watch")
    with closing(connection):
        assert (response.status, response.getheader("content-type")) == (200, "text/event-stream")
        first = response.readline()
        first_seconds = time.monotonic() - begin
        rest = response.read()
    assert json.loads(first.removeprefix(b"data: ")) == {"alerts": [], "resumeToken": "r0"}
    assert first_seconds < 0.25 < time.monotonic() - begin
    assert rest.count(b"data: ") == 2


def test_a_refused_watch_is_an_ordinary_error(edge):
    answer = edge.without_token().ask("GET", "/v1/alerts:watch")
    assert (answer.status, answer.json["code"]) == (401, 16)


def test_an_array_of_messages_is_a_stream(edge):
    messages = [{"header": {"table": "branches"}}, {"arrow": base64.b64encode(b"abc").decode()}, {"arrow": "ZGU="}]
    answer = edge.ask("POST", "/v1/assignment/rows:import", messages)
    assert answer.json == {"receivedCount": "5", "insertedCount": "0", "updatedCount": "0", "unchangedCount": "0"}


def test_one_message_alone_is_not_an_array(edge):
    answer = edge.ask("POST", "/v1/assignment/rows:import", {"header": {"table": "branches"}})
    assert (answer.status, answer.json["message"]) == (400, "Expected an array instead of an object")


def test_batches_are_acknowledged_as_events(edge):
    answer = edge.ask("POST", "/v1/transactions:ingest", [{"batch": 1}, {"batch": "2"}])
    assert answer.content_type == "text/event-stream"
    events = [json.loads(event.removeprefix(b"data: ")) for event in answer.body.split(b"\n\n") if event.strip()]
    assert [event["batch"] for event in events] == ["1", "2"]


async def test_grpc_is_spoken_on_the_same_port(edge):
    request = customer_service_pb2.GetCustomerRequest(name="customers/7")
    metadata = [("authorization", f"Bearer {edge.token}")]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        customers = customer_service_pb2_grpc.CustomerServiceStub(channel)
        assert (await customers.GetCustomer(request, metadata=metadata, timeout=5)).name == "customers/7"
        watching = alert_service_pb2_grpc.AlertServiceStub(channel).WatchAlerts(
            alerts.WatchAlertsRequest(), metadata=metadata, timeout=5
        )
        assert [message.resume_token async for message in watching] == ["r0", "r1", "r2"]
        ingest = transaction_service_pb2_grpc.TransactionServiceStub(channel).IngestTransactions(
            metadata=metadata, timeout=5
        )
        for batch in (1, 2):
            await ingest.write(transaction_service_pb2.IngestTransactionsRequest(batch=batch))
            assert (await ingest.read()).batch == batch  # answered while the caller's side is open
        await ingest.done_writing()


@pytest.mark.parametrize(
    ("token", "name", "code"),
    [
        pytest.param("", "customers/7", grpc.StatusCode.UNAUTHENTICATED, id="no token"),
        pytest.param("x.y.z", "customers/7", grpc.StatusCode.UNAUTHENTICATED, id="no good token"),
        pytest.param(None, "customers/missing", grpc.StatusCode.NOT_FOUND, id="refused by the service"),
    ],
)
async def test_grpc_callers_get_grpc_errors(edge, token, name, code):
    metadata = [("authorization", f"Bearer {edge.token if token is None else token}")]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        customers = customer_service_pb2_grpc.CustomerServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await customers.GetCustomer(
                customer_service_pb2.GetCustomerRequest(name=name), metadata=metadata, timeout=5
            )
    assert error.value.code() is code


async def test_an_rpc_that_does_not_exist_is_unimplemented(edge):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        call = channel.unary_unary("/banyan.customer.v2.CustomerService/GetCustomer")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(b"", metadata=[("authorization", f"Bearer {edge.token}")], timeout=5)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_grpc_web_is_spoken_on_the_same_port(edge):
    message = customer_service_pb2.GetCustomerRequest(name="customers/7").SerializeToString()
    frame = b"\0" + struct.pack(">I", len(message)) + message
    answer = edge.ask("POST", GET_CUSTOMER, frame, {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"})
    assert answer.content_type == "application/grpc-web+proto"
    [length] = struct.unpack(">I", answer.body[1:5])
    assert customer_pb2.Customer.FromString(answer.body[5 : 5 + length]).name == "customers/7"
    assert b"grpc-status:0" in answer.body[5 + length :]


def test_an_rpc_s_own_path_takes_no_json(edge):
    answer = edge.ask("POST", GET_CUSTOMER, {}, {"content-type": "application/json"})
    assert (answer.status, answer.json["code"]) == (404, 5)


def test_a_file_in_pieces_arrives_as_one_file_with_its_name(edge):
    connection, response = edge.open("GET", "/v1/exports/7:download")
    with closing(connection):
        assert (response.status, response.getheader("content-type")) == (200, "text/csv; charset=utf-8")
        assert response.getheader("content-disposition") == 'attachment; filename="a.csv"'
        body = response.read()
    assert body == b"".join(b"%d\r\n" % number * 500_000 for number in range(3))
