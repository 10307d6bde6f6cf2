"""MergeService through the whole chain of interceptors."""

import grpc
import pytest
from banyan.assignment.v1 import merge_service_pb2 as pb
from banyan.assignment.v1 import merge_service_pb2_grpc, ownership_pb2
from sqlalchemy import text

from chassis.caller import Role

NAME = "customers/ms/ownership"


@pytest.fixture(autouse=True)
async def bank(database):
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE branch_facts, owner, owner_period, ownership, merged_customers, merge_rows"))
        await tx.execute(
            text(
                "INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live,"
                " deposit_sum_minor, relation_since_date, customer_state)"
                " VALUES ('ms', 'b1', false, false, true, 5, '2020-01-01', 'ACTIVE'),"
                " ('mt', 'b2', false, false, true, 50, '2020-01-01', 'ACTIVE')"
            )
        )
        await tx.execute(text("UPDATE allocation_day SET facts_date = '2024-03-01', business_date = '2024-03-01'"))


def request(**more):
    return pb.MergeOwnershipRequest(name=NAME, merged_customer="customers/mt", merge="merges/m1", **more)


async def test_a_service_merges_and_undoes(service):
    stub = merge_service_pb2_grpc.MergeServiceStub(service.channel)
    metadata = service.signed_in.service("customer_svc")
    only = await stub.MergeOwnership(request(validate_only=True), metadata=metadata)
    merged = await stub.MergeOwnership(request(), metadata=metadata)
    assert [owner.branch for owner in only.ownership.owners] == ["branches/b2", "branches/b1"]
    assert [owner.branch for owner in merged.ownership.owners] == ["branches/b2", "branches/b1"]
    assert merged.ownership.owners[0].side == ownership_pb2.SIDE_PRIMARY
    asked = pb.UndoMergeOwnershipRequest(name=NAME, merged_customer="customers/mt", merge="merges/m1")
    apart = await stub.UndoMergeOwnership(asked, metadata=metadata)
    assert [owner.branch for owner in apart.survivor_ownership.owners] == ["branches/b1"]
    assert [owner.branch for owner in apart.merged_ownership.owners] == ["branches/b2"]


async def test_staff_may_not(service):
    stub = merge_service_pb2_grpc.MergeServiceStub(service.channel)
    metadata = service.signed_in.staff(Role.BRANCH_HEAD)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.MergeOwnership(request(), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
