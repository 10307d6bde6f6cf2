"""Attachments over the wire: only what is told of a document is kept."""

import uuid
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import attachment_pb2, attachment_service_pb2_grpc
from banyan.customer.v1 import attachment_service_pb2 as pb
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from grpc_status import rpc_status

from chassis.caller import Role

NOT_FOUND = grpc.StatusCode.NOT_FOUND
CONTRACT = {
    "file_name": "借款合同 2026.pdf",
    "media_type": "application/pdf",
    "size_bytes": 120_000,
    "sha256": "ab" * 32,
    "uri": "https://documents.bank.example/contracts/7",
    "retained_until_date": Date(year=2031, month=12, day=31),
    "description": "signed",
}


class Asker:
    """Calls as somebody about Wang."""

    def __init__(self, channel, metadata) -> None:
        self._stub = attachment_service_pb2_grpc.AttachmentServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def add(self, **fields) -> attachment_pb2.Attachment:
        told: dict[str, Any] = CONTRACT | fields
        attachment = attachment_pb2.Attachment(**told)
        given = {"attachment": attachment, "request_id": str(uuid.uuid4())}
        return await self.call("CreateAttachment", parent="customers/wang", **given)

    async def listed(self, **fields) -> list[str]:
        found = await self.call("ListAttachments", parent="customers/wang", **fields)
        return [attachment.file_name for attachment in found.attachments]


@pytest.fixture
def asks(page_channel, signed_in):
    def make(role: Role = Role.BRANCH_HEAD, branch: str = "b1", staff: str = "h1") -> Asker:
        return Asker(page_channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


async def wrong_field(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    return ", ".join(violation.field for violation in bad.field_violations)


async def code_of(call) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


async def test_what_was_told_of_a_document_is_shown(asks) -> None:
    added = await asks().add()
    assert {name: getattr(added, name) for name in CONTRACT} == CONTRACT
    assert (added.author, added.branch) == ("staff/h1", "branches/b1")
    assert await asks().call("GetAttachment", name=added.name) == added


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file_name", "../../etc/passwd"),
        ("file_name", "a\\b.pdf"),
        ("file_name", ".."),
        ("file_name", "x" * 256),
        ("file_name", "a\nb"),
        ("file_name", "invoice\u202efdp.exe"),
        ("media_type", "text/html"),
        ("media_type", "application/x-msdownload"),
        ("size_bytes", -1),
        ("size_bytes", (1 << 30) + 1),
        ("sha256", "ab" * 31),
        ("sha256", "zz" * 32),
        ("uri", "file:///etc/passwd"),
        ("uri", "javascript:alert(1)"),
        ("uri", "https://user:password@bank.example/x"),
        ("uri", "https://bank.example/x?token=1"),
        ("uri", "https://[bank/x"),
        ("uri", "https://bank.example/" + "x" * 1000),
        ("retained_until_date", Date(year=2026, month=6, day=29)),
        ("description", "x" * 401),
    ],
)
async def test_what_no_document_may_be_is_refused_by_field(asks, field: str, value) -> None:
    assert await wrong_field(asks().add(**{field: value})) == f"attachment.{field}"
    assert await asks().listed() == []


async def test_attachments_belong_to_sides_as_notes_do(asks) -> None:
    ours = await asks(branch="b1").add(file_name="ours.pdf")
    await asks(branch="b2", staff="h2").add(file_name="theirs.pdf")
    assert await asks(branch="b1").listed() == ["theirs.pdf", "ours.pdf"]
    assert await asks(branch="b2").listed() == ["theirs.pdf"]
    assert await code_of(asks(branch="b2").call("GetAttachment", name=ours.name)) is NOT_FOUND
    assert await code_of(asks(Role.TELLER).listed()) is NOT_FOUND
    assert await code_of(asks(branch="b9").listed()) is NOT_FOUND


async def test_a_deleted_one_can_be_brought_back(asks) -> None:
    manager, head = asks(Role.MANAGER, "b1", "m1"), asks()
    added = await manager.add()
    other = asks(branch="north", staff="h0").call("DeleteAttachment", name=added.name)
    assert await code_of(other) is grpc.StatusCode.PERMISSION_DENIED
    await head.call("DeleteAttachment", name=added.name)
    await head.call("DeleteAttachment", name=added.name)
    assert await head.listed() == []
    assert await head.listed(show_deleted=True) == [CONTRACT["file_name"]]
    back = await manager.call("UndeleteAttachment", name=added.name, request_id=str(uuid.uuid4()))
    assert back.attachment == added


async def test_pages_follow_each_other(asks) -> None:
    for number in range(3):
        await asks().add(file_name=f"{number}.pdf")
    first = await asks().call("ListAttachments", parent="customers/wang", page_size=2)
    rest = await asks().listed(page_size=2, page_token=first.next_page_token)
    assert [one.file_name for one in first.attachments] + rest == ["2.pdf", "1.pdf", "0.pdf"]
