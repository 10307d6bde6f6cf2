import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from sqlalchemy import text

from chassis import clock, operation_store
from chassis.caller import Caller, Role, calling
from chassis.errors import Kind, Refused
from chassis.operations import Operations, OperationServicer
from chassis.sql.engine import Database
from chassis.sql.testing import migrate_chassis

# Its stub lacks what the module makes when it is imported.
pb: Any = operations_pb2


@pytest.fixture(scope="module")
async def database(postgres):
    url = await asyncio.to_thread(postgres.create, "operations")
    await asyncio.to_thread(migrate_chassis, url)
    database = Database(url, pool=20)
    yield database
    await database.close()


@pytest.fixture(autouse=True)
async def nothing_to_do(database):
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM operation"))


@pytest.fixture
async def working():
    tasks = []

    def work(operations):
        tasks.append(asyncio.create_task(operations.work()))
        return tasks[-1]

    yield work
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def caller(staff_id="staff1", role=Role.MANAGER):
    return calling(Caller(staff_id, "B1", frozenset({role}), "s", "banyan/cli", clock.now(), "token"), "request")


async def start(operations, kind="count", upto=3, request_id=None):
    async with operations.database.begin() as tx:
        return await operations.start(tx, kind, Int64Value(value=upto), "staff1", request_id or str(uuid.uuid4()))


async def done(operations, operation, seconds=20):
    with caller():
        servicer = OperationServicer(operations)
        request = pb.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=seconds))
        return await servicer.WaitOperation(request, None)


async def count(run):
    for n in range(run.request.value):
        await run.progress(Int64Value(value=n + 1))
    return StringValue(value=f"counted to {run.request.value}")


async def test_an_operation_runs_to_its_response(database, working):
    operations = Operations(database, "test", {"count": count})
    working(operations)
    finished = await done(operations, await start(operations))
    response, metadata = StringValue(), Int64Value()
    assert finished.done
    assert finished.response.Unpack(response)
    assert finished.metadata.Unpack(metadata)
    assert (response.value, metadata.value) == ("counted to 3", 3)


async def test_the_same_request_gets_the_same_operation(database):
    operations = Operations(database, "test", {"count": count})
    request_id = str(uuid.uuid4())
    started = await asyncio.gather(*(start(operations, request_id=request_id) for _ in range(10)))
    assert len({operation.name for operation in started}) == 1


async def test_the_id_of_another_request_starts_nothing(database):
    operations = Operations(database, "test", {"count": count})
    request_id = str(uuid.uuid4())
    await start(operations, upto=3, request_id=request_id)
    with pytest.raises(Refused) as refused:
        await start(operations, upto=4, request_id=request_id)
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_an_operation_whose_start_was_rolled_back_never_was(database):
    operations = Operations(database, "test", {"count": count})
    async with database.alone() as tx:
        operation = await operations.start(tx, "count", Int64Value(), "staff1", "r")
        await tx.rollback()
    with caller(), pytest.raises(Refused) as refused:
        await OperationServicer(operations).GetOperation(pb.GetOperationRequest(name=operation.name), None)
    assert refused.value.kind is Kind.NOT_FOUND


async def test_a_refusal_is_the_operations_error(database, working):
    async def refuse(_run):
        raise Refused(Kind.PRECONDITION, "FACTS_MISSING", "no facts of this day", {"day": "2026-03-01"})

    operations = Operations(database, "test", {"count": refuse})
    working(operations)
    finished = await done(operations, await start(operations))
    info = ErrorInfo()
    assert finished.error.code == Code.FAILED_PRECONDITION
    assert finished.error.details[0].Unpack(info)
    assert (info.reason, info.domain, info.metadata["day"]) == ("FACTS_MISSING", "test.banyan", "2026-03-01")


async def test_our_own_fault_tells_only_the_operations_id(database, working):
    async def fail(_run):
        raise RuntimeError("password=secret")

    operations = Operations(database, "test", {"count": fail})
    working(operations)
    operation = await start(operations)
    finished = await done(operations, operation)
    assert finished.error.code == Code.INTERNAL
    assert b"secret" not in finished.SerializeToString()
    assert operation.name.removeprefix("operations/").encode() in finished.error.SerializeToString()


async def test_many_workers_do_each_operation_once(database, working):
    runs = []

    async def once(run):
        runs.append(run.operation_id)
        await asyncio.sleep(0.01)
        return StringValue()

    several = [Operations(database, "test", {"count": once}) for _ in range(4)]
    started = [await start(several[0]) for _ in range(20)]
    for operations in several:
        working(operations)
    for operation in started:
        assert (await done(several[0], operation)).done
    assert sorted(runs) == sorted(operation.name.removeprefix("operations/") for operation in started)


async def test_an_operation_whose_worker_died_is_finished_by_another_once(database, working, monkeypatch):
    monkeypatch.setattr(operation_store, "STALE_SECONDS", 1.0)
    finishes = []
    began = asyncio.Event()

    async def hang(run):
        await run.progress(StringValue(value="half"))
        began.set()
        await asyncio.Event().wait()
        return StringValue()

    async def finish(run):
        finishes.append(run.operation_id)
        return StringValue(value="whole")

    async def die(*_):
        pass

    dying = Operations(database, "test", {"count": hang})
    monkeypatch.setattr(dying, "_release", die)
    task = working(dying)
    operation = await start(dying)
    await began.wait()
    task.cancel()
    others = [Operations(database, "test", {"count": finish}) for _ in range(3)]
    for operations in others:
        working(operations)
    finished = await done(others[0], operation)
    assert finished.done
    assert len(finishes) == 1


async def test_a_worker_that_is_stopped_hands_over_at_once(database, working):
    began = asyncio.Event()

    async def hang(_run):
        began.set()
        await asyncio.Event().wait()
        return StringValue()

    task = working(Operations(database, "test", {"count": hang}))
    other = Operations(database, "test", {"count": count})
    operation = await start(other)
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    working(other)
    assert (await done(other, operation, seconds=3)).done


async def test_who_was_taken_over_stops_and_keeps_nothing(database, working, monkeypatch):
    monkeypatch.setattr("chassis.operations.BEAT_SECONDS", 0.1)
    ended = asyncio.Event()

    async def hang(_run):
        try:
            await asyncio.Event().wait()
            return StringValue()
        finally:
            ended.set()

    operations = Operations(database, "test", {"count": hang})
    operation = await start(operations)
    working(operations)
    await asyncio.sleep(0.3)
    async with database.begin() as tx:
        await tx.execute(text("UPDATE operation SET claimed_by = 'somebody else'"))
    await asyncio.wait_for(ended.wait(), 5)
    assert not (await done(operations, operation, seconds=0)).done


async def test_a_handler_that_hears_of_the_cancellation_ends_cancelled(database, working, monkeypatch):
    monkeypatch.setattr("chassis.operations.BEAT_SECONDS", 0.1)

    async def until_cancelled(run):
        while not run.cancelled():  # noqa: ASYNC110 - as a handler does between two batches
            await asyncio.sleep(0.01)
        return StringValue()

    operations = Operations(database, "test", {"count": until_cancelled})
    working(operations)
    operation = await start(operations)
    await asyncio.sleep(0.7)
    with caller():
        await OperationServicer(operations).CancelOperation(pb.CancelOperationRequest(name=operation.name), None)
    assert (await done(operations, operation)).error.code == Code.CANCELLED


async def test_what_nobody_began_is_cancelled_at_once(database):
    operations = Operations(database, "test", {"count": count})
    operation = await start(operations)
    with caller():
        await OperationServicer(operations).CancelOperation(pb.CancelOperationRequest(name=operation.name), None)
        found = await OperationServicer(operations).GetOperation(pb.GetOperationRequest(name=operation.name), None)
    assert (found.done, found.error.code) == (True, Code.CANCELLED)


async def test_a_wait_ends_in_time_with_the_latest_state(database):
    operations = Operations(database, "test", {"count": count})
    operation = await start(operations)
    began = clock.monotonic_seconds()
    with caller():
        waited = await OperationServicer(operations).WaitOperation(
            pb.WaitOperationRequest(name=operation.name, timeout=timedelta(seconds=0.3)), None
        )
    assert not waited.done
    assert 0.25 < clock.monotonic_seconds() - began < 2


async def test_others_operations_are_hidden_but_from_admins(database):
    operations = Operations(database, "test", {"count": count})
    servicer = OperationServicer(operations)
    operation = await start(operations)
    get = pb.GetOperationRequest(name=operation.name)
    with caller("staff2"):
        with pytest.raises(Refused) as refused:
            await servicer.GetOperation(get, None)
        assert not (await servicer.ListOperations(pb.ListOperationsRequest(), None)).operations
    assert refused.value.kind is Kind.NOT_FOUND
    with caller("staff2", Role.ADMIN):
        assert (await servicer.GetOperation(get, None)).name == operation.name
        assert len((await servicer.ListOperations(pb.ListOperationsRequest(), None)).operations) == 1


async def test_operations_are_listed_in_pages_the_youngest_first(database):
    operations = Operations(database, "test", {"count": count})
    started = [(await start(operations)).name for _ in range(5)]
    listed, token = [], ""
    with caller():
        while True:
            request = pb.ListOperationsRequest(page_size=2, page_token=token)
            page = await OperationServicer(operations).ListOperations(request, None)
            listed += [operation.name for operation in page.operations]
            token = page.next_page_token
            if not token:
                break
    assert listed == started[::-1]


@pytest.mark.parametrize("name", ["operations/1", "operations/", "customers/1", f"operations/{'f' * 36}"])
async def test_a_name_that_cannot_be_is_refused(database, name):
    with caller(), pytest.raises(Refused):
        await OperationServicer(Operations(database, "test", {})).GetOperation(pb.GetOperationRequest(name=name), None)


async def test_any_message_can_be_a_request(database, working):
    async def echo(run):
        return StringValue(value=run.request.fields["a"].string_value)

    operations = Operations(database, "test", {"echo": echo})
    working(operations)
    async with database.begin() as tx:
        request = Struct(fields={"a": Value(string_value="b")})
        operation = await operations.start(tx, "echo", request, "staff1", str(uuid.uuid4()))
    response = StringValue()
    assert (await done(operations, operation)).response.Unpack(response)
    assert response.value == "b"
