"""A backend with the real contracts and no bank behind it, as a process of its own: `backend.py ZOOKEEPER KEYS [TLS]`.

What it answers depends on the id asked for. It registers every service of the contracts and prints its port; each line
on its standard input takes ProductService out of ZooKeeper, or puts it back. TLS is a folder with certificate.pem,
key.pem and ca.pem.
"""

# ruff: noqa: ARG002 -- gRPC passes request and context by position to every method

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from banyan.alert.v1 import alert_service_pb2 as alerts
from banyan.alert.v1 import alert_service_pb2_grpc, transaction_service_pb2_grpc
from banyan.alert.v1 import transaction_service_pb2 as transactions
from banyan.assignment.v1 import (
    import_service_pb2,
    import_service_pb2_grpc,
    operation_service_pb2_grpc,
    ownership_service_pb2,
    session_service_pb2_grpc,
)
from banyan.campaign.v1 import contact_pb2, contact_service_pb2_grpc, product_service_pb2, product_service_pb2_grpc
from banyan.customer.v1 import (
    customer_pb2,
    customer_service_pb2,
    customer_service_pb2_grpc,
    export_service_pb2_grpc,
)
from google.api import httpbody_pb2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from chassis.registry import Registry
from chassis.telemetry import set_up_logs
from chassis.tokens import KeyRing
from chassis.zookeeper import ZooKeeper
from gateway.descriptors import Protos

PRODUCTS = "banyan.campaign.v1.ProductService"

# Two packages bring this module, one of them without what its stub names: which one is there is chance.
long_running: Any = operations_pb2
HEARTBEAT_SECONDS = 0.3


class Customers(customer_service_pb2_grpc.CustomerServiceServicer):
    async def GetCustomer(self, request: Any, context: Any) -> Any:
        match request.name.removeprefix("customers/"):
            case "hanging":
                await asyncio.sleep(60)
            case "missing":
                details = any_pb2.Any()
                details.Pack(error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="customer.banyan"))
                status = status_pb2.Status(code=5, message="it does not exist", details=[details])
                await context.abort_with_status(rpc_status.to_status(status))
            case "large":
                return customer_pb2.Customer(name=request.name, masked_fields=["x" * 1000] * 2000)
            case _:
                pass
        customer = customer_pb2.Customer(name=request.name, total=customer_pb2.CustomerTotals())
        customer.total.deposit_balance.units = 2**40
        customer.business_date.year = 1998
        customer.update_time.FromJsonString("1998-12-31T04:00:00.5Z")
        return customer

    async def SearchCustomers(self, request: Any, context: Any) -> Any:
        customers = [customer_pb2.Customer(name=f"customers/{number}") for number in range(request.page_size)]
        return customer_service_pb2.SearchCustomersResponse(customers=customers, left_out_count=2**40)


class Exports(export_service_pb2_grpc.ExportServiceServicer):
    async def DownloadExport(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await context.send_initial_metadata((("content-disposition", 'attachment; filename="a.csv"'),))
        for number in range(3):
            yield httpbody_pb2.HttpBody(content_type="text/csv; charset=utf-8", data=b"%d\r\n" % number * 500_000)


class Alerts(alert_service_pb2_grpc.AlertServiceServicer):
    async def WatchAlerts(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(3):
            yield alerts.WatchAlertsResponse(resume_token=f"r{number}")
            await asyncio.sleep(HEARTBEAT_SECONDS)


class Transactions(transaction_service_pb2_grpc.TransactionServiceServicer):
    async def IngestTransactions(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for batch in request_iterator:
            count = len(batch.transactions)
            yield transactions.IngestTransactionsResponse(batch=batch.batch, stored_count=count)


class Sessions(session_service_pb2_grpc.SessionServiceServicer):
    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def GetJwks(self, request: Any, context: Any) -> Any:
        return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(self._keys.jwks()).encode())

    async def DeleteSession(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


class Imports(import_service_pb2_grpc.ImportServiceServicer):
    async def ImportRows(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:
        sizes = [len(message.arrow) async for message in request_iterator]
        return import_service_pb2.ImportRowsResponse(received_count=sum(sizes))


class Operations(operation_service_pb2_grpc.OperationServiceServicer):
    async def GetOperation(self, request: Any, context: Any) -> Any:
        operation = long_running.Operation(name=request.name, done=True)
        operation.metadata.Pack(ownership_service_pb2.AllocateOwnershipsMetadata())
        operation.error.code = 3
        return operation

    async def WaitOperation(self, request: Any, context: Any) -> Any:
        # Tells what the gateway told it.
        return long_running.Operation(name=f"operations/{context.time_remaining():.0f}")


class Contacts(contact_service_pb2_grpc.ContactServiceServicer):
    async def RecordContact(self, request: Any, context: Any) -> Any:
        contact = contact_pb2.Contact(name=f"{request.parent}/contacts/c1")
        contact.MergeFrom(request.contact)
        return contact


class Products(product_service_pb2_grpc.ProductServiceServicer):
    async def ListProducts(self, request: Any, context: Any) -> Any:
        return product_service_pb2.ListProductsResponse()


def tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def credentials(folder: Path) -> grpc.ServerCredentials:
    key, certificate, authority = ((folder / f"{name}.pem").read_bytes() for name in ("key", "certificate", "ca"))
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


async def serve(zookeeper_hosts: str, keys: KeyRing, tls: Path | None) -> None:
    set_up_logs("backend", "WARNING")
    server = grpc.aio.server()
    customer_service_pb2_grpc.add_CustomerServiceServicer_to_server(Customers(), server)
    export_service_pb2_grpc.add_ExportServiceServicer_to_server(Exports(), server)
    alert_service_pb2_grpc.add_AlertServiceServicer_to_server(Alerts(), server)
    transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(Transactions(), server)
    session_service_pb2_grpc.add_SessionServiceServicer_to_server(Sessions(keys), server)
    import_service_pb2_grpc.add_ImportServiceServicer_to_server(Imports(), server)
    operation_service_pb2_grpc.add_OperationServiceServicer_to_server(Operations(), server)
    contact_service_pb2_grpc.add_ContactServiceServicer_to_server(Contacts(), server)
    product_service_pb2_grpc.add_ProductServiceServicer_to_server(Products(), server)
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials(tls)) if tls else server.add_insecure_port(address)
    await server.start()
    zookeeper = ZooKeeper(zookeeper_hosts)
    await zookeeper.start()
    others: list[tuple[str, list[str]]] = [(name, []) for name in Protos().services() if name != PRODUCTS]
    await Registry(zookeeper, "backend").register(others, "127.0.0.1", port)
    while True:
        products = Registry(zookeeper, "backend")
        await products.register([(PRODUCTS, [])], "127.0.0.1", port)
        tell(port)
        if not await asyncio.to_thread(sys.stdin.readline):
            return
        await products.unregister()
        tell(port)
        if not await asyncio.to_thread(sys.stdin.readline):
            return


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], KeyRing(Path(sys.argv[2])), Path(sys.argv[3]) if sys.argv[3:] else None))
