"""The servicer of MergeService: assignment_svc's part in making one customer of two."""

from banyan.assignment.v1 import merge_service_pb2 as pb
from banyan.assignment.v1 import merge_service_pb2_grpc

from chassis import names
from chassis.errors import invalid_field
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from chassis.streams import Context
from services.assignment_svc.rpc import convert
from services.assignment_svc.store import ownerships
from services.assignment_svc.usecases.merge_ownership import merge_ownership, undo_merge_ownership


class MergeServicer(merge_service_pb2_grpc.MergeServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def MergeOwnership(self, request: pb.MergeOwnershipRequest, _context: Context) -> pb.MergeOwnershipResponse:
        merged = await merge_ownership(self._database, _merging(request), validate_only=request.validate_only)
        await self._wakeups.notify(ownerships.FEED)
        return pb.MergeOwnershipResponse(
            ownership=convert.view_to_wire(merged.ownership),
            told_branches=[f"branches/{branch_id}" for branch_id in merged.told_branch_ids],
        )

    async def UndoMergeOwnership(
        self, request: pb.UndoMergeOwnershipRequest, _context: Context
    ) -> pb.UndoMergeOwnershipResponse:
        merging = _merging(request)
        survivor, other = await self._database.repeat(lambda tx: undo_merge_ownership(tx, merging))
        await self._wakeups.notify(ownerships.FEED)
        return pb.UndoMergeOwnershipResponse(
            survivor_ownership=convert.view_to_wire(survivor), merged_ownership=convert.view_to_wire(other)
        )


def _merging(request: pb.MergeOwnershipRequest | pb.UndoMergeOwnershipRequest) -> Merging:
    (survivor_id,) = names.parse("customers/*/ownership", request.name)
    merged_id = names.parse_one("customers", request.merged_customer, "merged_customer")
    if merged_id == survivor_id:
        raise invalid_field("merged_customer", "must be another one than the survivor")
    return Merging(names.parse_one("merges", request.merge, "merge"), survivor_id, merged_id)
