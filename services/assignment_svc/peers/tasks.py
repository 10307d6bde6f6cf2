"""Asks campaign_svc what a manager has still to do for a customer, in the service's own name."""

from collections.abc import Awaitable, Callable

import grpc
from banyan.campaign.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

from chassis import names
from chassis.caller import calling, current_request_id
from chassis.errors import Kind, Refused

TASK_SERVICE = "banyan.campaign.v1.TaskService"
ASK_SECONDS_MAX = 2.0
_PAGE = 1_000
# Nobody has as many pages of tasks for one customer.
_PAGES_MAX = 20

# The name of a task that a member of the staff has open for a customer, None if there is none; refuses if nobody
# can say.
OpenTask = Callable[[str, str], Awaitable[str | None]]


def open_task_asked(channel: grpc.aio.Channel) -> OpenTask:
    """Looks through the customer's open tasks for one of the manager's."""
    stub = task_service_pb2_grpc.TaskServiceStub(channel)

    async def open_task(customer_id: str, staff_id: str) -> str | None:
        request = task_service_pb2.ListTasksRequest(
            customer=names.make("customers", customer_id), state=task_pb2.Task.STATE_OPEN, page_size=_PAGE
        )
        for _ in range(_PAGES_MAX):
            answer = await _page(stub, request)
            if answer is None:
                return None
            found = next((task.name for task in answer.tasks if task.assignee == names.make("staff", staff_id)), None)
            if found is not None or not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token
        raise _unreachable()

    return open_task


async def _page(
    stub: task_service_pb2_grpc.TaskServiceStub, request: task_service_pb2.ListTasksRequest
) -> task_service_pb2.ListTasksResponse | None:
    try:
        with calling(None, current_request_id()):
            return await stub.ListTasks(request, timeout=ASK_SECONDS_MAX)
    except grpc.aio.AioRpcError as error:
        # Nobody there has heard of the customer: nothing is to be done for him.
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise _unreachable() from error


def _unreachable() -> Refused:
    return Refused(Kind.UNAVAILABLE, "TASKS_UNREACHABLE", "nobody can say now whether a task is open")
