"""What customer_svc tells: whose accounts are, and where."""

from collections.abc import AsyncIterator

import grpc
from banyan.customer.v1 import customer_pb2, customer_service_pb2, customer_service_pb2_grpc

from chassis import names
from services.alert_svc.domain.followed import CustomerFact

# What the feed carries: jobs hand it on without looking into it.
CustomerFactChange = customer_service_pb2.CustomerFactChange

CUSTOMER_SERVICE = "banyan.customer.v1.CustomerService"


def watch_customers(
    channel: grpc.aio.Channel, resume_token: str
) -> AsyncIterator[customer_service_pb2.WatchCustomerFactChangesResponse]:
    stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
    request = customer_service_pb2.WatchCustomerFactChangesRequest(resume_token=resume_token)
    return stub.WatchCustomerFactChanges(request)


def customer_fact(change: customer_service_pb2.CustomerFactChange) -> CustomerFact:
    customer_id = names.parse_one("customers", change.customer)
    if change.gone:
        merged_into = names.parse_optional("customers", change.merged_into, "merged_into")
        return CustomerFact(customer_id, gone=True, merged_into=merged_into)
    return CustomerFact(
        customer_id,
        customer_type=customer_pb2.CustomerType.Name(change.customer_type).removeprefix("CUSTOMER_TYPE_"),
        accounts=tuple((fact.account, names.parse_one("branches", fact.branch)) for fact in change.accounts),
    )
