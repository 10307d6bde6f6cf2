"""Tasks over the wire, behind the whole chain."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.campaign.v1 import task_pb2, task_service_pb2_grpc
from banyan.campaign.v1 import task_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chassis import clock, wire
from chassis.caller import Role
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.testing import SignedIn, app_of, in_process
from policy.visibility import OwnerRow
from services.campaign_svc.domain.followed import CustomerFact, OwnershipFact
from services.campaign_svc.rpc.permissions import ALLOWED
from services.campaign_svc.rpc.task_service import TaskServicer
from services.campaign_svc.store import followed

OPEN, DONE = task_pb2.Task.STATE_OPEN, task_pb2.Task.STATE_DONE


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def stub(
    database: Database, signed_in: SignedIn, tmp_path: Path
) -> AsyncIterator[task_service_pb2_grpc.TaskServiceStub]:
    """c1 is b1's, managed by m1, and b2's as well, managed by m2."""
    async with database.begin() as tx:
        await followed.store_customers(tx, [CustomerFact("c1"), CustomerFact("c2")], 1)
        owners = (OwnerRow("b1", "PRIMARY", "m1"), OwnerRow("b2", "SECONDARY", "m2"))
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners)], 1)
    served = Served(
        "banyan.campaign.v1.TaskService",
        task_service_pb2_grpc.add_TaskServiceServicer_to_server,
        TaskServicer(database, b"s" * 32),
    )
    async with in_process(app_of([served], ALLOWED, signed_in, "campaign.banyan"), tmp_path) as opened:
        yield task_service_pb2_grpc.TaskServiceStub(opened)


@pytest.fixture
def primary(signed_in: SignedIn):
    return signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")


@pytest.fixture
def secondary(signed_in: SignedIn):
    return signed_in.staff(Role.MANAGER, staff_id="m2", branch_id="b2")


def reason_of(error: grpc.aio.AioRpcError) -> str:
    told = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert told is not None
    info = error_details_pb2.ErrorInfo()
    assert told.details[0].Unpack(info)
    return info.reason


def day(ahead: int) -> object:
    """A day, so many ahead of the bank's."""
    return wire.date_to_wire(clock.bank_date(clock.now()) + timedelta(ahead))


def wanted(**fields: Any) -> pb.CreateTaskRequest:
    given: dict[str, Any] = {"customer": "customers/c1", "title": "Call him back"} | fields
    task = task_pb2.Task(**given)
    return pb.CreateTaskRequest(task=task, request_id=str(uuid.uuid4()))


async def test_a_task_is_made_once_listed_and_completed_once(stub, primary) -> None:
    request = wanted(due_date=day(1), origin="alerts/a1")
    answers = await asyncio.gather(*(stub.CreateTask(request, metadata=primary) for _ in range(8)))
    assert {answer.name for answer in answers} == {answers[0].name}
    made = answers[0]
    assert (made.assignee, made.branch, made.creator, made.state) == ("staff/m1", "branches/b1", "m1", OPEN)
    assert (made.origin, made.due_date) == ("alerts/a1", request.task.due_date)
    assert await stub.GetTask(pb.GetTaskRequest(name=made.name), metadata=primary) == made
    listed = await stub.ListTasks(pb.ListTasksRequest(customer="customers/c1", state=OPEN), metadata=primary)
    assert list(listed.tasks) == [made]

    finish = pb.CompleteTaskRequest(name=made.name, outcome="reached", request_id=str(uuid.uuid4()))
    done = await asyncio.gather(*(stub.CompleteTask(finish, metadata=primary) for _ in range(4)))
    assert {(task.state, task.outcome, task.HasField("complete_time")) for task in done} == {(DONE, "reached", True)}
    again = pb.CompleteTaskRequest(name=made.name, outcome="twice", request_id=str(uuid.uuid4()))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CompleteTask(again, metadata=primary)
    assert reason_of(refused.value) == "TASK_NOT_OPEN"


async def test_a_secondary_side_sees_the_tasks_of_its_own_branch(stub, primary, secondary) -> None:
    theirs = await stub.CreateTask(wanted(), metadata=primary)
    ours = await stub.CreateTask(wanted(), metadata=secondary)
    everything = await stub.ListTasks(pb.ListTasksRequest(customer="customers/c1"), metadata=primary)
    assert [task.name for task in everything.tasks] == [ours.name, theirs.name]
    seen = await stub.ListTasks(pb.ListTasksRequest(customer="customers/c1"), metadata=secondary)
    assert [task.name for task in seen.tasks] == [ours.name]
    for name in (theirs.name, "tasks/nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetTask(pb.GetTaskRequest(name=name), metadata=secondary)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_task_is_given_to_managers_of_the_customer_whom_one_sees(stub, primary, secondary) -> None:
    given = await stub.CreateTask(wanted(assignee="staff/m2"), metadata=primary)
    assert given.branch == "branches/b1"
    for request in (pb.ListTasksRequest(), pb.ListTasksRequest(customer="customers/c1")):
        own = await stub.ListTasks(request, metadata=secondary)
        assert list(own.tasks) == [given], "who has a task sees it, whosever branch it belongs to"
    for metadata, assignee in ((primary, "staff/m9"), (secondary, "staff/m1")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateTask(wanted(assignee=assignee), metadata=metadata)
        assert reason_of(refused.value) == "ASSIGNEE_INVALID"


async def test_ones_own_tasks_are_walked_page_by_page(stub, primary) -> None:
    made = [(await stub.CreateTask(wanted(title=f"Task {number}"), metadata=primary)).name for number in range(5)]
    seen: list[str] = []
    request = pb.ListTasksRequest(page_size=2)
    while True:
        page = await stub.ListTasks(request, metadata=primary)
        seen += [task.name for task in page.tasks]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": ""}, "task.title"),
        ({"title": "x" * 201}, "task.title"),
        ({"origin": "x" * 201}, "task.origin"),
        ({"due_date": day(-1)}, "task.due_date: lies in the past"),
        ({"customer": "c1"}, "task.customer"),
        ({"assignee": "m1"}, "task.assignee"),
    ],
)
async def test_a_bad_task_names_its_field(stub, primary, fields: dict[str, object], field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CreateTask(wanted(**fields), metadata=primary)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (refused.value.details() or "")


async def test_nobody_makes_a_task_for_a_hidden_customer(stub, signed_in: SignedIn, primary) -> None:
    stranger = signed_in.staff(Role.MANAGER, staff_id="m9", branch_id="b9")
    for metadata, customer in ((stranger, "c1"), (primary, "c2"), (primary, "nobody")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateTask(wanted(customer=f"customers/{customer}"), metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
