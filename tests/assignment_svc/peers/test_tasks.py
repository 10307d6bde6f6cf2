"""campaign_svc says what a manager has still to do for a customer."""

from pathlib import Path

import pytest
from banyan.campaign.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

from chassis.caller import ANY_ROLE
from chassis.errors import Kind, Refused, not_found
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.assignment_svc.peers.tasks import TASK_SERVICE, open_task_asked


class Tasks(task_service_pb2_grpc.TaskServiceServicer):
    """Of one customer there are two pages, of another no end; it fails for a third."""

    async def ListTasks(self, request, context):
        del context
        assert request.state == task_pb2.Task.STATE_OPEN
        match request.customer, request.page_token:
            case "customers/c1", "":
                first = task_pb2.Task(name="tasks/1", assignee="staff/other")
                return task_service_pb2.ListTasksResponse(tasks=[first], next_page_token="more")
            case "customers/c1", "more":
                return task_service_pb2.ListTasksResponse(tasks=[task_pb2.Task(name="tasks/2", assignee="staff/nm")])
            case "customers/endless", _:
                return task_service_pb2.ListTasksResponse(next_page_token="more")
            case "customers/broken", _:
                raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
            case _:
                raise not_found()


class Bearing:
    """A channel that carries the service's token, as the mesh's do."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def unary_unary(self, *arguments, **options):
        call = self._channel.unary_unary(*arguments, **options)
        return lambda request, **more: call(request, metadata=self._metadata, **more)


@pytest.fixture
async def open_task(tmp_path: Path):
    signed_in = SignedIn(tmp_path)
    served = Served(TASK_SERVICE, task_service_pb2_grpc.add_TaskServiceServicer_to_server, Tasks())
    service = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]
    allowed = {f"/{TASK_SERVICE}/{method.name}": ANY_ROLE for method in service.methods}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        yield open_task_asked(Bearing(channel, signed_in.service()))  # pyright: ignore[reportArgumentType] -- only one of its methods is called


@pytest.mark.parametrize(
    ("customer", "staff", "task"), [("c1", "nm", "tasks/2"), ("c1", "nobody", None), ("unknown", "nm", None)]
)
async def test_one_of_the_managers_open_tasks_is_told_from_whatever_page(open_task, customer, staff, task) -> None:
    assert await open_task(customer, staff) == task


@pytest.mark.parametrize("customer", ["broken", "endless"])
async def test_nobody_can_say_while_campaign_svc_fails_or_never_ends(open_task, customer) -> None:
    with pytest.raises(Refused) as refused:
        await open_task(customer, "nm")
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, "TASKS_UNREACHABLE")
