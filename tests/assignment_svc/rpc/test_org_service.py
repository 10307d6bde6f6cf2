"""Branches and staff over the wire."""

from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import org_service_pb2 as pb
from banyan.assignment.v1 import org_service_pb2_grpc, staff_pb2
from sqlalchemy import text

from chassis.caller import Role


@pytest.fixture
def stub(service) -> org_service_pb2_grpc.OrgServiceStub:
    return org_service_pb2_grpc.OrgServiceStub(service.channel)


@pytest.fixture(scope="module", autouse=True)
async def organisation(service) -> None:
    async with service.parts.database.begin() as tx:
        await tx.execute(text("TRUNCATE branch, staff, session"))
        await tx.execute(
            text(
                "INSERT INTO branch (branch_id, display_name, parent_id) VALUES"
                " ('b1', 'Head office', NULL), ('b2', 'North', 'b1'), ('b3', 'South', 'b1')"
            )
        )
        await tx.execute(
            text(
                "INSERT INTO staff (staff_id, display_name, branch_id, roles, active_until_date) VALUES"
                " ('s1', '王芳', 'b2', '{BRANCH_HEAD,MANAGER}', '2000-01-01'),"
                " ('s2', '李强', 'b2', '{BRANCH_HEAD}', NULL), ('s3', 'Lu', 'b3', '{TELLER}', NULL)"
            )
        )


async def test_a_branch_tells_its_active_head(service, stub) -> None:
    as_teller = service.signed_in.staff(Role.TELLER)
    branch = await stub.GetBranch(pb.GetBranchRequest(name="branches/b2"), metadata=as_teller)
    assert (branch.display_name, branch.parent, branch.head) == ("North", "branches/b1", "staff/s2")


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("GetBranch", pb.GetBranchRequest(name="branches/none")),
        ("GetStaff", pb.GetStaffRequest(name="staff/none")),
    ],
)
async def test_what_does_not_exist_is_not_found(service, stub, call: str, request_) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(stub, call)(request_, metadata=service.signed_in.service())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_lists_go_page_by_page_and_by_parent(service, stub) -> None:
    metadata = service.signed_in.service()
    found: list[str] = []
    asked = pb.ListBranchesRequest(parent="branches/b1", page_size=1)
    while True:
        page = await stub.ListBranches(asked, metadata=metadata)
        found += [branch.name for branch in page.branches]
        asked.page_token = page.next_page_token
        if not asked.page_token:
            break
    assert found == ["branches/b2", "branches/b3"]
    staff = await stub.ListStaff(pb.ListStaffRequest(branch="branches/b2"), metadata=metadata)
    assert [member.display_name for member in staff.staff] == ["王芳", "李强"]
    assert list(staff.staff[0].roles) == [staff_pb2.ROLE_BRANCH_HEAD, staff_pb2.ROLE_MANAGER]
    until = staff.staff[0].active_until_date
    assert date(until.year, until.month, until.day) == date(2000, 1, 1)


async def test_a_follower_gets_everything_and_resumes_where_he_was(service, stub) -> None:
    metadata = service.signed_in.service()

    async def first_page(resume_token: str) -> pb.WatchOrgChangesResponse:
        watch = stub.WatchOrgChanges(pb.WatchOrgChangesRequest(resume_token=resume_token), metadata=metadata)
        message = await anext(aiter(watch))
        watch.cancel()
        return message

    whole = await first_page("")
    told = {change.branch.name or change.staff.name: change for change in whole.changes}
    assert set(told) == {"branches/b1", "branches/b2", "branches/b3", "staff/s1", "staff/s2", "staff/s3"}
    assert told["branches/b2"].branch.head == "staff/s2"
    assert list((await first_page(whole.resume_token)).changes) == []


async def test_staff_may_not_follow_the_organisation(service, stub) -> None:
    watch = stub.WatchOrgChanges(pb.WatchOrgChangesRequest(), metadata=service.signed_in.staff(Role.ADMIN))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(watch))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
