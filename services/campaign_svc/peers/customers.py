"""What customer_svc tells: who is a customer."""

from collections.abc import AsyncIterator

import grpc
from banyan.customer.v1 import customer_service_pb2, customer_service_pb2_grpc

from chassis import names
from services.campaign_svc.domain.followed import CustomerFact

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
    return CustomerFact(names.parse_one("customers", change.customer), gone=change.gone)
