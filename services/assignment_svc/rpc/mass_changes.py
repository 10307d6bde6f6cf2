"""The services that change many customers at once: branches that go, and files of transfers."""

from collections.abc import Callable, Mapping

from banyan.assignment.v1 import branch_change_service_pb2_grpc, bulk_transfer_service_pb2_grpc

from chassis.operations import Handler, Operations
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.rpc.branch_changes import APPLY, Applying, BranchChangeServicer
from services.assignment_svc.rpc.bulk_transfers import BulkTransferServicer, bulk_work


def mass_services(
    database: Database, long_work: Operations, paging_secret: bytes
) -> Mapping[str, tuple[Callable[..., None], object]]:
    """Each with its servicer, and what adds it to a server."""
    return {
        "BranchChangeService": (
            branch_change_service_pb2_grpc.add_BranchChangeServiceServicer_to_server,
            BranchChangeServicer(database, long_work, paging_secret),
        ),
        "BulkTransferService": (
            bulk_transfer_service_pb2_grpc.add_BulkTransferServiceServicer_to_server,
            BulkTransferServicer(database, long_work, paging_secret),
        ),
    }


def mass_work(database: Database, wakeups: Wakeups) -> Mapping[str, Handler]:
    """The handlers of their operations."""
    return {APPLY: Applying(database, wakeups), **bulk_work(database, wakeups)}
