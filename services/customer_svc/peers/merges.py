"""The parts of assignment_svc and campaign_svc in merges. They are asked by the service itself, whoever calls."""

from collections.abc import Sequence

import grpc
from banyan.assignment.v1 import merge_service_pb2 as assignment
from banyan.assignment.v1 import merge_service_pb2_grpc as assignment_grpc
from banyan.campaign.v1 import merge_service_pb2 as campaign
from banyan.campaign.v1 import merge_service_pb2_grpc as campaign_grpc

from chassis.caller import calling, current_request_id
from chassis.sql.merging import Merging
from services.customer_svc.domain.merges import MergeOwner
from services.customer_svc.peers.ownership import owners_from_wire

ASSIGNMENT_MERGE_SERVICE = "banyan.assignment.v1.MergeService"
CAMPAIGN_MERGE_SERVICE = "banyan.campaign.v1.MergeService"
# Allocating one customer takes milliseconds; a dry run must not take all the time that the caller gives.
_SECONDS_MAX = 20.0
_ASK_SECONDS_MAX = 2.0
_UNANSWERED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class MergePeers:
    """Both services, by their channels."""

    def __init__(self, assignment_channel: grpc.aio.Channel, campaign_channel: grpc.aio.Channel) -> None:
        self._ownership = assignment_grpc.MergeServiceStub(assignment_channel)
        self._contacts = campaign_grpc.MergeServiceStub(campaign_channel)

    async def merge_ownership(self, merging: Merging) -> None:
        with calling(None, current_request_id()):
            await self._ownership.MergeOwnership(_ownership_request(merging), timeout=_SECONDS_MAX)

    async def undo_ownership(self, merging: Merging) -> bool:
        request = assignment.UndoMergeOwnershipRequest(
            name=f"customers/{merging.survivor_id}/ownership",
            merged_customer=f"customers/{merging.merged_id}",
            merge=f"merges/{merging.merge_id}",
        )
        with calling(None, current_request_id()):
            answer: assignment.UndoMergeOwnershipResponse = await self._ownership.UndoMergeOwnership(
                request, timeout=_SECONDS_MAX
            )
        return bool(answer.merged_ownership.owners)

    async def merge_contacts(self, merging: Merging) -> None:
        with calling(None, current_request_id()):
            await self._contacts.MergeContacts(_contacts_request(merging), timeout=_SECONDS_MAX)

    async def undo_contacts(self, merging: Merging) -> None:
        request = campaign.UndoMergeContactsRequest(
            parent=f"customers/{merging.survivor_id}",
            merged_customer=f"customers/{merging.merged_id}",
            merge=f"merges/{merging.merge_id}",
        )
        with calling(None, current_request_id()):
            await self._contacts.UndoMergeContacts(request, timeout=_SECONDS_MAX)

    async def owners_after(self, merging: Merging) -> Sequence[MergeOwner] | None:
        """Who would own the survivor; None if assignment_svc cannot say now."""
        try:
            with calling(None, current_request_id()):
                request = _ownership_request(merging, validate_only=True)
                answer: assignment.MergeOwnershipResponse = await self._ownership.MergeOwnership(
                    request, timeout=_ASK_SECONDS_MAX
                )
        except grpc.aio.AioRpcError as error:
            if error.code() in _UNANSWERED:
                return None
            raise
        owners = owners_from_wire(answer.ownership)
        return [MergeOwner(owner.branch_id, owner.side == "PRIMARY", owner.manager_id) for owner in owners]

    async def contact_count(self, merging: Merging) -> int | None:
        """How many contacts would move; None if campaign_svc cannot say now."""
        try:
            with calling(None, current_request_id()):
                request = _contacts_request(merging, validate_only=True)
                answer: campaign.MergeContactsResponse = await self._contacts.MergeContacts(
                    request, timeout=_ASK_SECONDS_MAX
                )
        except grpc.aio.AioRpcError as error:
            if error.code() in _UNANSWERED:
                return None
            raise
        return answer.contact_count


def _ownership_request(merging: Merging, *, validate_only: bool = False) -> assignment.MergeOwnershipRequest:
    return assignment.MergeOwnershipRequest(
        name=f"customers/{merging.survivor_id}/ownership",
        merged_customer=f"customers/{merging.merged_id}",
        merge=f"merges/{merging.merge_id}",
        validate_only=validate_only,
    )


def _contacts_request(merging: Merging, *, validate_only: bool = False) -> campaign.MergeContactsRequest:
    return campaign.MergeContactsRequest(
        parent=f"customers/{merging.survivor_id}",
        merged_customer=f"customers/{merging.merged_id}",
        merge=f"merges/{merging.merge_id}",
        validate_only=validate_only,
    )
