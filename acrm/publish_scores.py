"""How the batch lets assignment_svc compute score cards, beside publish.py."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import grpc
from banyan.assignment.v1 import score_card_service_pb2 as pb
from banyan.assignment.v1 import score_card_service_pb2_grpc

from chassis.wire import date_to_wire

SCORE_CARD_SERVICE = "banyan.assignment.v1.ScoreCardService"


@dataclass(frozen=True)
class ScoreCards:
    """How a computation of score cards ended, over the months that it was for."""

    customers: int
    cards: int


async def started(channel: grpc.aio.Channel, business_date: date, request_id: str) -> Any:  # noqa: ANN401 - an operation, which has no types
    """Starts the computation; the same request id starts it once."""
    stub: Any = score_card_service_pb2_grpc.ScoreCardServiceStub(channel)
    request = pb.BuildScoreCardsRequest(business_date=date_to_wire(business_date), request_id=request_id)
    return await stub.BuildScoreCards(request, wait_for_ready=True)


def new_metadata() -> Any:  # noqa: ANN401 - as it is unpacked
    """Where an operation tells how far it is."""
    return pb.BuildScoreCardsMetadata()


def told_of(operation: Any) -> ScoreCards:  # noqa: ANN401 - the same
    """What the operation answered."""
    told = pb.BuildScoreCardsResponse()
    operation.response.Unpack(told)
    return ScoreCards(told.customer_count, told.card_count)
