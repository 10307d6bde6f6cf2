"""The services of score cards, credit and targets, and their long work, as `__main__` serves them."""

from collections.abc import Mapping
from typing import Any

from banyan.assignment.v1 import credit_service_pb2_grpc, score_card_service_pb2_grpc, target_service_pb2_grpc

from chassis.operations import Handler, Operations
from chassis.sql.engine import Database
from services.assignment_svc.rpc.credit import CreditServicer
from services.assignment_svc.rpc.score_cards import BUILD, FREEZE, Building, Freezing, ScoreCardServicer
from services.assignment_svc.rpc.targets import TargetServicer


def score_services(database: Database, long_work: Operations, paging_secret: bytes) -> Mapping[str, tuple[Any, object]]:
    """By name what adds the servicer to a server, and the servicer."""
    return {
        "ScoreCardService": (
            score_card_service_pb2_grpc.add_ScoreCardServiceServicer_to_server,
            ScoreCardServicer(database, long_work, paging_secret),
        ),
        "CreditService": (
            credit_service_pb2_grpc.add_CreditServiceServicer_to_server,
            CreditServicer(database, paging_secret),
        ),
        "TargetService": (
            target_service_pb2_grpc.add_TargetServiceServicer_to_server,
            TargetServicer(database, paging_secret),
        ),
    }


def score_work(database: Database) -> Mapping[str, Handler]:
    """The handlers of operations, by kind."""
    return {BUILD: Building(database), FREEZE: Freezing(database)}
