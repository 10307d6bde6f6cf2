"""The services of how staff sign in, and when they are away."""

from collections.abc import Callable, Mapping

from banyan.assignment.v1 import leave_service_pb2_grpc, staff_account_service_pb2_grpc

from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.rpc.leave_service import LeaveServicer
from services.assignment_svc.rpc.staff_accounts import StaffAccountServicer
from services.assignment_svc.usecases.sessions import Sessions


def staff_services(
    database: Database, sessions: Sessions, wakeups: Wakeups, paging_secret: bytes
) -> Mapping[str, tuple[Callable[..., None], object]]:
    """Each with its servicer, and what adds it to a server."""
    accounts = StaffAccountServicer(database, sessions, wakeups, paging_secret)
    leaves = LeaveServicer(database, paging_secret)
    return {
        "StaffAccountService": (staff_account_service_pb2_grpc.add_StaffAccountServiceServicer_to_server, accounts),
        "LeaveService": (leave_service_pb2_grpc.add_LeaveServiceServicer_to_server, leaves),
    }
