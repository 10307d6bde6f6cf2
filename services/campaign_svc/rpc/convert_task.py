"""Tasks between the wire and the values of campaign_svc."""

from datetime import datetime

from banyan.campaign.v1 import task_pb2, task_service_pb2

from chassis import names, wire
from chassis.caller import Caller
from chassis.paging import KeyPart
from services.campaign_svc.domain.tasks import Asked, Task, TaskState
from services.campaign_svc.store.tasks import Wanted

_STATES: dict[int, TaskState] = {task_pb2.Task.STATE_OPEN: "OPEN", task_pb2.Task.STATE_DONE: "DONE"}


def asked_from_wire(task: task_pb2.Task) -> Asked:
    return Asked(
        customer_id=names.parse_one("customers", task.customer, "task.customer"),
        title=task.title,
        assignee_id=names.parse_optional("staff", task.assignee, "task.assignee"),
        due_date=wire.date_from_wire_or_none(task.due_date, "task.due_date"),
        origin=task.origin or None,
    )


def wanted_from_wire(request: task_service_pb2.ListTasksRequest, caller: Caller) -> Wanted:
    customer_id = names.parse_optional("customers", request.customer, "customer")
    return Wanted(customer_id, None if customer_id else caller.staff_id, _STATES.get(request.state))


def place_from_token(key: tuple[KeyPart, ...] | None) -> tuple[datetime, str] | None:
    """The place in the list of tasks that a page token stands for."""
    return None if key is None else (datetime.fromisoformat(str(key[0])), str(key[1]))


def task_to_wire(task: Task) -> task_pb2.Task:
    return task_pb2.Task(
        name=names.make("tasks", task.task_id),
        customer=names.make("customers", task.customer_id),
        title=task.title,
        assignee=_assignee_to_wire(task.assignee_id),
        due_date=wire.date_to_wire(task.due_date),
        origin=task.origin,
        state=f"STATE_{task.state}",
        outcome=task.outcome,
        branch=names.make("branches", task.branch_id or None),
        creator=task.creator,
        create_time=wire.time_to_wire(task.create_time),
        complete_time=wire.time_to_wire(task.complete_time),
    )


def _assignee_to_wire(assignee_id: str) -> str:
    """A service that keeps a task for itself is no member of staff."""
    return "" if "/" in assignee_id else names.make("staff", assignee_id)
