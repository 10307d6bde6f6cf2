"""The services of requests: what is asked for, who answers in a head's place, and the days that answers may take."""

from collections.abc import Callable, Mapping

from banyan.assignment.v1 import (
    bank_holiday_service_pb2_grpc,
    delegation_service_pb2_grpc,
    ownership_request_service_pb2_grpc,
)

from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.peers.customers import FindCustomer
from services.assignment_svc.peers.tasks import OpenTask
from services.assignment_svc.rpc.bank_holidays import BankHolidayServicer
from services.assignment_svc.rpc.delegations import DelegationServicer
from services.assignment_svc.rpc.ownership_requests import OwnershipRequestServicer


def request_services(
    database: Database, wakeups: Wakeups, paging_secret: bytes, find_customer: FindCustomer, open_task: OpenTask
) -> Mapping[str, tuple[Callable[..., None], object]]:
    """Each with its servicer, and what adds it to a server."""
    asked = OwnershipRequestServicer(database, wakeups, paging_secret, find_customer, open_task)
    delegations = DelegationServicer(database, paging_secret)
    holidays = BankHolidayServicer(database, paging_secret)
    return {
        "OwnershipRequestService": (
            ownership_request_service_pb2_grpc.add_OwnershipRequestServiceServicer_to_server,
            asked,
        ),
        "DelegationService": (delegation_service_pb2_grpc.add_DelegationServiceServicer_to_server, delegations),
        "BankHolidayService": (bank_holiday_service_pb2_grpc.add_BankHolidayServiceServicer_to_server, holidays),
    }
