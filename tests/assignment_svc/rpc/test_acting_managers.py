"""Who covers whom: arranged and ended by the head, seen and told within the dates, and no longer."""

import uuid
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import (
    acting_manager_pb2,
    acting_manager_service_pb2_grpc,
    org_service_pb2,
    org_service_pb2_grpc,
    ownership_service_pb2,
    ownership_service_pb2_grpc,
    staff_pb2,
)
from banyan.assignment.v1 import acting_manager_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis import wire
from chassis.caller import Role
from services.assignment_svc.store import acting_managers, org_changes

EMPTY = "TRUNCATE branch, staff, ownership, owner, acting_manager"
TREE = "INSERT INTO branch (branch_id, display_name, parent_id) VALUES ('top', 'Top', NULL), ('north', 'N', 'top')"
STAFF = (
    "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES ('head', 'H', 'north', '{BRANCH_HEAD}'),"
    " ('away', 'A', 'north', '{MANAGER}'), ('stand', 'S', 'south', '{MANAGER}'), ('other', 'O', 'north', '{MANAGER}'),"
    " ('teller', 'T', 'north', '{TELLER}')"
)
OWNED = (
    "WITH root AS (INSERT INTO ownership (customer_id, state, business_date) VALUES ('c1', 'LIVE', '2026-06-30'))"
    " INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor)"
    " VALUES ('c1', 'north', 'PRIMARY', 'DEPOSIT', 'away', false, '2026-06-30', '2026-06-30', 'test')"
)


@pytest.fixture
async def bank(service):
    async with service.parts.database.begin() as tx:
        for statement in (EMPTY, TREE, STAFF, OWNED):
            await tx.execute(text(statement))
    yield service
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))


class Asker:
    """Calls as somebody; days are counted from today."""

    def __init__(self, service, staff: str, branch: str, *roles: Role) -> None:
        self.stub = acting_manager_service_pb2_grpc.ActingManagerServiceStub(service.channel)
        self.ownership = ownership_service_pb2_grpc.OwnershipServiceStub(service.channel)
        self.metadata = service.signed_in.staff(*roles, staff_id=staff, branch_id=branch)
        self.database = service.parts.database

    async def today(self) -> date:
        async with self.database.read() as conn:
            return await org_changes.today(conn)

    async def arrange(self, first: int = 0, last: int = 5, request_id: str = "", **given):
        today = await self.today()
        asked: dict[str, Any] = {
            "acting": "staff/stand",
            "covered": "staff/away",
            "role": staff_pb2.ROLE_MANAGER,
            "from_date": wire.date_to_wire(today + timedelta(days=first)),
            "until_date": wire.date_to_wire(today + timedelta(days=last)),
            "reason": "on leave",
            **given,
        }
        request = pb.CreateActingManagerRequest(
            parent="branches/north",
            acting_manager=acting_manager_pb2.ActingManager(**asked),
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self.stub.CreateActingManager(request, metadata=self.metadata)

    async def end(self, name: str):
        request = pb.EndActingManagerRequest(name=name, reason="he is back", request_id=str(uuid.uuid4()))
        return await self.stub.EndActingManager(request, metadata=self.metadata)

    async def listed(self, **given):
        request = pb.ListActingManagersRequest(parent="branches/north", **given)
        return await self.stub.ListActingManagers(request, metadata=self.metadata)

    async def sees(self) -> bool:
        request = ownership_service_pb2.GetOwnershipRequest(name="customers/c1/ownership")
        try:
            return bool((await self.ownership.GetOwnership(request, metadata=self.metadata)).owners)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return False


@pytest.fixture
def head(bank) -> Asker:
    return Asker(bank, "head", "north", Role.BRANCH_HEAD)


@pytest.fixture
def stand(bank) -> Asker:
    return Asker(bank, "stand", "south", Role.MANAGER)


async def test_who_covers_sees_from_the_first_day_to_the_last_and_no_longer(bank, head, stand) -> None:
    assert not await stand.sees()
    made = await head.arrange(first=0, last=3)
    assert await stand.sees()
    for days, seen in (("3 days", True), ("4 days", False)):
        async with bank.parts.database.begin() as conn:
            await conn.execute(text("SELECT set_config('banyan.clock_offset', :days, true)"), {"days": days})
            assert bool(await acting_managers.covered(conn, "stand")) is seen
    ended = await head.end(made.name)
    assert (ended.end_actor, ended.end_reason) == ("head", "he is back")
    assert not await stand.sees()


async def test_what_begins_later_opens_nothing_today(head, stand) -> None:
    await head.arrange(first=1)
    assert not await stand.sees()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": -1}, "acting_manager.from_date"),
        ({"first": 3, "last": 2}, "acting_manager.until_date"),
        ({"last": 181}, "acting_manager.until_date"),
        ({"role": staff_pb2.ROLE_TELLER}, "acting_manager.role"),
        ({"covered": "staff/stand"}, "acting_manager.acting"),
        ({"reason": " "}, "acting_manager.reason"),
    ],
)
async def test_a_field_that_is_wrong_is_named(head, given, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await head.arrange(**given)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in [
        violation.field for violation in details(caught.value, error_details_pb2.BadRequest).field_violations
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"acting": "staff/teller"}, "ACTING_UNFIT"),
        ({"acting": "staff/nobody"}, "ACTING_UNFIT"),
        ({"covered": "staff/head"}, "ACTING_UNFIT"),
    ],
)
async def test_both_must_have_the_role(head, given, reason: str) -> None:
    assert await refusal(head.arrange(**given)) == (grpc.StatusCode.FAILED_PRECONDITION, reason)


async def test_one_colleague_is_covered_by_one_at_a_time(head) -> None:
    await head.arrange(first=2, last=5)
    assert await refusal(head.arrange(first=5, last=9, acting="staff/other")) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ACTING_OVERLAPS",
    )
    await head.arrange(first=6, last=9, acting="staff/other")


async def test_only_heads_of_the_branch_or_above_arrange_and_end_it(bank, head) -> None:
    made = await head.arrange()
    south = Asker(bank, "x", "south", Role.BRANCH_HEAD)
    for asked in (south.arrange(first=8, last=9), south.end(made.name)):
        assert await refusal(asked) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_BRANCH_HEAD")
    top = Asker(bank, "boss", "top", Role.BRANCH_HEAD)
    assert (await top.end(made.name)).end_time.seconds > 0
    assert await refusal(top.end(made.name)) == (grpc.StatusCode.FAILED_PRECONDITION, "ACTING_OVER")


async def test_the_same_request_arranges_once(head) -> None:
    request_id = str(uuid.uuid4())
    assert await head.arrange(request_id=request_id) == await head.arrange(request_id=request_id)
    assert len((await head.listed()).acting_managers) == 1


async def test_the_head_lists_all_page_by_page_and_others_what_they_are_part_of(bank, head, stand) -> None:
    for first in (0, 2, 4):
        await head.arrange(first=first, last=first + 1)
    page = await head.listed(page_size=2)
    rest = await head.listed(page_size=2, page_token=page.next_page_token)
    days = [made.from_date for made in (*page.acting_managers, *rest.acting_managers)]
    assert (len(days), rest.next_page_token) == (3, "")
    assert days == sorted(days, key=lambda d: (d.year, d.month, d.day), reverse=True)
    assert len((await stand.listed()).acting_managers) == 3
    assert not (await Asker(bank, "other", "north", Role.MANAGER).listed()).acting_managers


async def test_it_ends_when_one_of_the_two_leaves_and_followers_are_told(bank, head, stand) -> None:
    await head.arrange()
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE staff SET active_until_date = '2020-01-01' WHERE staff_id = 'away'"))
        await acting_managers.close_past(tx)
    (ended,) = (await head.listed()).acting_managers
    assert ended.end_actor == "assignment_svc"
    assert not await stand.sees()
    stub = org_service_pb2_grpc.OrgServiceStub(bank.channel)
    watch = stub.WatchOrgChanges(org_service_pb2.WatchOrgChangesRequest(), metadata=bank.signed_in.service())
    message = await anext(aiter(watch))
    watch.cancel()
    told = [change for change in message.changes if change.WhichOneof("item") == "acting_manager"]
    assert [(change.acting_manager.name, change.gone) for change in told] == [(ended.name, True)]


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), details(caught.value, error_details_pb2.ErrorInfo).reason


def details(error: grpc.aio.AioRpcError, kind):
    found = kind()
    status = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status is not None, "ours always has one"
    for detail in status.details:
        if detail.Is(kind.DESCRIPTOR):
            detail.Unpack(found)
    return found
