"""Asks customer_svc for potential tags, in the service's own name: the caller may not see them there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc
import structlog
from banyan.customer.v1 import tag_service_pb2, tag_service_pb2_grpc

from chassis import names
from chassis.caller import calling, current_request_id

TAG_SERVICE = "banyan.customer.v1.TagService"
ASK_SECONDS_MAX = 2.0
_BATCH = 1_000

log = structlog.get_logger(__name__)


def potential_tags_asked(
    channel: grpc.aio.Channel,
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[str]] | None]]:
    """Tells the codes of customers' potential tags; None if nobody can say now."""
    stub = tag_service_pb2_grpc.TagServiceStub(channel)

    async def tags_of(customer_ids: Sequence[str]) -> Mapping[str, Sequence[str]] | None:
        found: dict[str, Sequence[str]] = {}
        for start in range(0, len(customer_ids), _BATCH):
            asked = [names.make("customers", one) for one in customer_ids[start : start + _BATCH]]
            request = tag_service_pb2.BatchGetPotentialTagsRequest(customers=asked)
            try:
                with calling(None, current_request_id()):
                    answer = await stub.BatchGetPotentialTags(request, timeout=ASK_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                log.warning("potential_tags_missing", code=error.code().name)
                return None
            for one in answer.potential_tags:
                customer_id = names.parse_one("customers", one.customer)
                found[customer_id] = [names.parse_one("tags", tag) for tag in one.tags]
        return found

    return tags_of
