"""The servicer of TaskService."""

from banyan.campaign.v1 import task_pb2, task_service_pb2_grpc
from banyan.campaign.v1 import task_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.campaign_svc.rpc import convert, convert_task
from services.campaign_svc.usecases.contacts import must_see
from services.campaign_svc.usecases.tasks import complete_task, create_task, get_task, list_tasks


class TaskServicer(task_service_pb2_grpc.TaskServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateTask(self, request: pb.CreateTaskRequest, _context: Context) -> task_pb2.Task:
        asked = convert_task.asked_from_wire(request.task)
        viewer = convert.viewer_of(current_caller())

        # Before the answer of an earlier call: who may no longer see the customer does not get it again.
        async def check(tx: AsyncConnection) -> None:
            await must_see(tx, viewer, asked.customer_id)

        async def work(tx: AsyncConnection) -> task_pb2.Task:
            return convert_task.task_to_wire(await create_task(tx, viewer, asked))

        return await once(self._database, Write("CreateTask", request, check), task_pb2.Task, work)

    async def GetTask(self, request: pb.GetTaskRequest, _context: Context) -> task_pb2.Task:
        task_id = names.parse_one("tasks", request.name)
        async with self._database.read() as tx:
            found = await get_task(tx, convert.reading_of(current_caller(), "GetTask"), task_id)
        return convert_task.task_to_wire(found)

    async def ListTasks(self, request: pb.ListTasksRequest, _context: Context) -> pb.ListTasksResponse:
        size = paging.page_size(request.page_size)
        before = convert_task.place_from_token(paging.decode(request.page_token, request, self._paging_secret))
        wanted = convert_task.wanted_from_wire(request, current_caller())
        async with self._database.read() as tx:
            reading = convert.reading_of(current_caller(), "ListTasks")
            found, place = await list_tasks(tx, reading, wanted, before, size)
        token = ""
        if place is not None:
            token = paging.encode([place[0].isoformat(), place[1]], request, self._paging_secret)
        return pb.ListTasksResponse(tasks=[convert_task.task_to_wire(task) for task in found], next_page_token=token)

    async def CompleteTask(self, request: pb.CompleteTaskRequest, _context: Context) -> task_pb2.Task:
        task_id = names.parse_one("tasks", request.name)
        reading = convert.reading_of(current_caller(), "CompleteTask")

        async def check(tx: AsyncConnection) -> None:
            await get_task(tx, reading, task_id)

        async def work(tx: AsyncConnection) -> task_pb2.Task:
            return convert_task.task_to_wire(await complete_task(tx, reading.viewer, task_id, request.outcome))

        return await once(self._database, Write("CompleteTask", request, check), task_pb2.Task, work)
