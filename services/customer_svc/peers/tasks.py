"""What is to be done for a customer, as campaign_svc shows it to the caller."""

from collections.abc import Sequence

import grpc
from banyan.campaign.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

from chassis import wire
from services.customer_svc.domain.parts import Task

TASK_SERVICE = "banyan.campaign.v1.TaskService"


async def list_open_tasks(channel: grpc.aio.Channel, customer_id: str, limit: int, seconds: float) -> Sequence[Task]:
    """The tasks for a customer that are not done, the youngest first."""
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    request = task_service_pb2.ListTasksRequest(
        customer=f"customers/{customer_id}", state=task_pb2.Task.STATE_OPEN, page_size=limit
    )
    answer: task_service_pb2.ListTasksResponse = await stub.ListTasks(request, timeout=seconds)
    return [
        Task(
            task.name,
            task.title,
            task.assignee,
            wire.date_from_wire_or_none(task.due_date, "due_date"),
            wire.time_from_wire(task.create_time, "create_time"),
        )
        for task in answer.tasks
    ]
