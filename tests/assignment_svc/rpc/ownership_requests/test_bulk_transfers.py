"""Files of transfers: carried out, waiting for answers, or refused as a whole with every bad line."""

import uuid
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import (
    bulk_transfer_service_pb2 as pb,
)
from banyan.assignment.v1 import (
    bulk_transfer_service_pb2_grpc,
    operation_service_pb2_grpc,
)
from google.longrunning import operations_pb2

operations: Any = operations_pb2


class Sender:
    """Sends files and answers them, as somebody."""

    def __init__(self, bank, staff: str) -> None:
        self.bank = bank
        self.asker = bank.as_(staff)
        self.stub = bulk_transfer_service_pb2_grpc.BulkTransferServiceStub(bank.service.channel)

    async def send(self, *lines: str, header: str = "customer_id,to_manager_id,to_branch_id", **more: Any):
        content = more.pop("content", "\r\n".join([header, *lines]).encode())
        request = pb.CreateBulkTransferRequest(
            content=content, reason="a reshuffle", request_id=more.pop("request_id", str(uuid.uuid4())), **more
        )
        return await self._result(await self.stub.CreateBulkTransfer(request, metadata=self.asker.metadata))

    async def answer(self, name: str, answer: str, reason: str = "so be it"):
        request = pb.AnswerBulkTransferRequest(
            name=name, answer=f"ANSWER_{answer}", reason=reason, request_id=str(uuid.uuid4())
        )
        return await self._result(await self.stub.AnswerBulkTransfer(request, metadata=self.asker.metadata))

    async def get(self, name: str):
        return await self.stub.GetBulkTransfer(pb.GetBulkTransferRequest(name=name), metadata=self.asker.metadata)

    async def lines(self, name: str, **more: Any):
        request = pb.ListBulkTransferRequestsRequest(parent=name, **more)
        return await self.stub.ListBulkTransferRequests(request, metadata=self.asker.metadata)

    async def listed(self, **more: Any):
        request = pb.ListBulkTransfersRequest(**more)
        return await self.stub.ListBulkTransfers(request, metadata=self.asker.metadata)

    async def _result(self, operation: Any) -> pb.BulkTransferResult:
        stub = operation_service_pb2_grpc.OperationServiceStub(self.bank.service.channel)
        wait = operations.WaitOperationRequest(name=operation.name)
        wait.timeout.FromSeconds(20)
        done = await stub.WaitOperation(wait, metadata=self.asker.metadata, timeout=30)
        assert done.done
        assert not done.HasField("error"), done.error
        result = pb.BulkTransferResult()
        assert done.response.Unpack(result)
        return result


@pytest.fixture
async def clean(bank):
    async with bank.database.begin():
        pass
    await bank.run("DELETE FROM bulk_transfer_line")
    await bank.run("DELETE FROM bulk_transfer")
    return bank


async def test_a_heads_file_within_his_branch_is_carried_out_at_once(clean) -> None:
    result = await Sender(clean, "nh").send("c1,nm2,", "c2,nm2,north")
    assert not result.faults
    told = result.bulk_transfer
    assert (told.line_count, told.approved_count, told.pending_count, told.creator) == (2, 2, 0, "staff/nh")
    assert ("PRIMARY", "north", "nm2") in await clean.owners("c1")
    assert await clean.owners("c2") == [("PRIMARY", "north", "nm2")]


async def test_one_bad_line_changes_nothing_and_every_bad_line_is_told(clean) -> None:
    result = await Sender(clean, "nh").send("c1,nm2,", "nobody,nm2,", "c2,sm,", "c3,nm2,nowhere")
    assert not result.HasField("bulk_transfer")
    assert [(fault.line, fault.reason) for fault in result.faults] == [
        (3, "NOT_FOUND"),
        (4, "MANAGER_UNFIT"),
        (5, "BRANCH_UNFIT"),
    ]
    assert [fault.field for fault in result.faults] == ["customer_id", "to_manager_id", "to_branch_id"]
    assert ("PRIMARY", "north", "nm") in await clean.owners("c1")
    assert await clean.rows("SELECT * FROM ownership_request") == []


async def test_a_dry_run_tells_the_same_and_stores_nothing(clean) -> None:
    result = await Sender(clean, "nh").send("c1,nm2,", "c2,nm2,", validate_only=True)
    assert (result.line_count, list(result.faults), result.HasField("bulk_transfer")) == (2, [], False)
    assert await clean.owners("c2") == [("PRIMARY", "north", "nm")]


async def test_lines_are_looked_at_by_themselves_first(clean) -> None:
    result = await Sender(clean, "nh").send("c1,nm2,", "c1,nm,", ",nm2,", "c2,nm2", f"{'x' * 65},nm2,")
    assert {(fault.line, fault.field) for fault in result.faults} == {
        (3, "customer_id"),
        (4, "customer_id"),
        (5, ""),
        (6, "customer_id"),
    }
    assert {fault.reason for fault in result.faults} == {"LINE_INVALID"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"customer_id\nc1\n",
        b"customer_id,to_manager_id,colour\nc1,nm2,red\n",
        b"customer_id,customer_id\nc1,c1\n",
        b"customer_id,to_manager_id\n",
        b'customer_id,to_manager_id\n"c1,nm2\n',
        b"customer_id,to_manager_id\n" + b"c1,nm2\n" * 2001,
        b"customer_id,to_manager_id\n" + b"c" * 1024 * 1024,
    ],
    ids=["empty", "no text", "nowhere to", "unknown column", "twice", "no line", "open quote", "too many", "too large"],
)
async def test_what_is_no_such_file_is_refused_at_once(clean, refusal_of, content: bytes) -> None:
    code, reason, _ = await refusal_of(Sender(clean, "nh").send(content=content))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_across_branches_the_other_head_answers_all_at_once(clean) -> None:
    sent = await Sender(clean, "nh").send("c1,sm,south", "c2,sm,south")
    name = sent.bulk_transfer.name
    assert (sent.bulk_transfer.pending_count, await clean.owners("c2")) == (2, [("PRIMARY", "north", "nm")])
    south = Sender(clean, "sh")
    assert len((await south.lines(name)).ownership_requests) == 2
    result = await south.answer(name, "APPROVE")
    assert not result.faults
    assert (result.bulk_transfer.approved_count, result.bulk_transfer.pending_count) == (2, 0)
    assert ("PRIMARY", "south", "sm") in await clean.owners("c1")
    assert ("PRIMARY", "south", "sm") in await clean.owners("c2")


async def test_if_one_cannot_be_answered_none_is(clean) -> None:
    name = (await Sender(clean, "nh").send("c1,sm,south", "c2,sm,south")).bulk_transfer.name
    await clean.run("UPDATE staff SET active_until_date = '2020-01-01' WHERE staff_id = 'sm'")
    result = await Sender(clean, "sh").answer(name, "APPROVE")
    assert [(fault.line, fault.reason) for fault in result.faults] == [(2, "MANAGER_UNFIT"), (3, "MANAGER_UNFIT")]
    assert (await Sender(clean, "sh").get(name)).pending_count == 2


@pytest.mark.parametrize(("who", "answer"), [("sh", "REFUSE"), ("nh", "WITHDRAW")])
async def test_all_are_refused_or_taken_back_at_once(clean, who: str, answer: str) -> None:
    name = (await Sender(clean, "nh").send("c1,sm,south", "c2,sm,south")).bulk_transfer.name
    result = await Sender(clean, who).answer(name, answer)
    assert (result.bulk_transfer.refused_count, result.bulk_transfer.pending_count) == (2, 0)
    assert await clean.holds("c1") == []


async def test_who_has_nothing_to_answer_is_told_so_and_strangers_see_nothing(clean, refusal_of) -> None:
    name = (await Sender(clean, "nh").send("c2,sm,south")).bulk_transfer.name
    code, reason, _ = await refusal_of(Sender(clean, "nh").answer(name, "APPROVE"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_ANSWER")
    for call in (Sender(clean, "nt").get(name), Sender(clean, "nt").lines(name)):
        assert (await refusal_of(call))[0] is grpc.StatusCode.NOT_FOUND


async def test_who_did_not_send_a_file_is_told_of_no_more_lines_than_he_sees(clean) -> None:
    name = (await Sender(clean, "nh").send("c1,nm2,", "c2,sm,south", "c3,nm2,")).bulk_transfer.name
    south = Sender(clean, "sh")
    for told in (await south.get(name), (await south.answer(name, "REFUSE")).bulk_transfer):
        assert (told.line_count, told.approved_count, told.pending_count + told.refused_count) == (1, 0, 1)
    page = await south.lines(name, page_size=1)
    assert ([one.customer for one in page.ownership_requests], page.next_page_token) == (["customers/c2"], "")
    assert (await Sender(clean, "nh").get(name)).line_count == 3


async def test_files_and_their_lines_are_listed_page_by_page(clean) -> None:
    head = Sender(clean, "nh")
    first = (await head.send("c1,nm2,")).bulk_transfer.name
    second = (await head.send("c2,sm,south", "c3,nm2,")).bulk_transfer.name
    page = await head.listed(page_size=1)
    rest = await head.listed(page_size=1, page_token=page.next_page_token)
    assert [one.name for one in (*page.bulk_transfers, *rest.bulk_transfers)] == [second, first]
    lines = await head.lines(second, page_size=1)
    more = await head.lines(second, page_size=1, page_token=lines.next_page_token)
    assert [one.customer for one in (*lines.ownership_requests, *more.ownership_requests)] == [
        "customers/c2",
        "customers/c3",
    ]
    assert not more.next_page_token
    assert not (await Sender(clean, "sh").listed()).bulk_transfers
