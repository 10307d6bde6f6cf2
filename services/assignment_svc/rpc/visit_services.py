"""The services of visits and of what is due of them, as `__main__` serves them."""

from collections.abc import Mapping
from typing import Any

from banyan.assignment.v1 import visit_duty_service_pb2_grpc, visit_service_pb2_grpc

from chassis.sql.engine import Database
from services.assignment_svc.rpc.visit_duties import VisitDutyServicer
from services.assignment_svc.rpc.visits import VisitServicer


def visit_services(database: Database, paging_secret: bytes) -> Mapping[str, tuple[Any, object]]:
    """By name what adds the servicer to a server, and the servicer."""
    return {
        "VisitService": (
            visit_service_pb2_grpc.add_VisitServiceServicer_to_server,
            VisitServicer(database, paging_secret),
        ),
        "VisitDutyService": (
            visit_duty_service_pb2_grpc.add_VisitDutyServiceServicer_to_server,
            VisitDutyServicer(database, paging_secret),
        ),
    }
