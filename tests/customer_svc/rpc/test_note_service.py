"""Notes over the wire: who writes, sees, changes and deletes them."""

import asyncio
import uuid
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import note_pb2, note_service_pb2_grpc
from banyan.customer.v1 import note_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.customer_svc.jobs.notes import forget_once

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
NOT_AUTHOR = (grpc.StatusCode.PERMISSION_DENIED, "NOT_AUTHOR")
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


class Asker:
    """Calls as somebody about a customer, Wang unless told otherwise."""

    def __init__(self, channel, metadata) -> None:
        self._stub = note_service_pb2_grpc.NoteServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def write(self, words: str = "likes tea", customer: str = "wang", request_id: str = "") -> note_pb2.Note:
        note = note_pb2.Note(text=words)
        given = {"note": note, "request_id": request_id or str(uuid.uuid4())}
        return await self.call("CreateNote", parent=f"customers/{customer}", **given)

    async def change(self, note: note_pb2.Note, words: str, **fields):
        sent = note_pb2.Note(name=note.name, text=words, etag=note.etag)
        return await self.call("UpdateNote", note=sent, request_id=str(uuid.uuid4()), **fields)

    async def listed(self, customer: str = "wang", **fields) -> list[str]:
        found = await self.call("ListNotes", parent=f"customers/{customer}", **fields)
        return [note.text for note in found.notes]

    async def undelete(self, note: note_pb2.Note):
        return (await self.call("UndeleteNote", name=note.name, request_id=str(uuid.uuid4()))).note


@pytest.fixture
def asks(page_channel, signed_in):
    def make(role: Role = Role.BRANCH_HEAD, branch: str = "b1", staff: str = "h1") -> Asker:
        if role is Role.SERVICE:
            return Asker(page_channel, signed_in.service())
        return Asker(page_channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason


async def test_a_note_tells_who_wrote_it_for_which_branch(asks) -> None:
    note = await asks(Role.MANAGER, "b1", "m1").write("王先生喜欢喝茶\n下午打电话")
    assert note.name.startswith("customers/wang/notes/")
    assert (note.text, note.author, note.branch) == ("王先生喜欢喝茶\n下午打电话", "staff/m1", "branches/b1")
    assert note.HasField("create_time")
    assert not note.HasField("delete_time")
    assert await asks().call("GetNote", name=note.name) == note


async def test_a_secondary_side_sees_its_own_notes_and_the_primary_side_sees_all(asks) -> None:
    ours = await asks(branch="b1").write("by the primary")
    theirs = await asks(branch="b2", staff="h2").write("by the secondary")
    assert await asks(branch="b1").listed() == ["by the secondary", "by the primary"]
    assert await asks(branch="north").listed() == ["by the secondary", "by the primary"]
    assert await asks(Role.MANAGER, "b1", "m1").listed() == ["by the secondary", "by the primary"]
    assert await asks(Role.SERVICE).listed() == ["by the secondary", "by the primary"]
    assert await asks(branch="b2", staff="h2").listed() == ["by the secondary"]
    assert (await asks(branch="b2").call("GetNote", name=theirs.name)).text == "by the secondary"
    assert await refusal(asks(branch="b2").call("GetNote", name=ours.name)) == NOT_FOUND


async def test_who_sees_no_more_than_that_he_exists_gets_the_answer_for_nobody(asks) -> None:
    note = await asks().write()
    for asker in (asks(Role.TELLER), asks(Role.LOBBY), asks(branch="b9"), asks(Role.MANAGER, "b1", "m2")):
        assert await refusal(asker.listed()) == NOT_FOUND
        assert await refusal(asker.call("GetNote", name=note.name)) == NOT_FOUND
        assert await refusal(asker.listed("nobody")) == NOT_FOUND
    assert await refusal(asks(branch="b9").write()) == NOT_FOUND
    assert (await refusal(asks(Role.TELLER).write()))[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("words", [" \n", "x" * 4001, "a\x00b", "a\x07b"])
async def test_a_text_that_is_none_or_too_long_is_refused(asks, words: str) -> None:
    assert await refusal(asks().write(words)) == INVALID
    note = await asks().write("榕" * 4000)
    assert await refusal(asks().change(note, words)) == INVALID


async def test_only_its_author_changes_a_note_that_he_saw(asks) -> None:
    author = asks(Role.MANAGER, "b1", "m1")
    note = await author.write()
    assert await refusal(asks().change(note, "else")) == NOT_AUTHOR
    changed = await author.change(note, "likes coffee")
    assert (changed.text, changed.etag != note.etag) == ("likes coffee", True)
    assert await refusal(author.change(note, "too late")) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    mask = {"paths": ["author"]}
    assert await refusal(author.change(changed, "x", update_mask=mask)) == INVALID


async def test_its_author_and_the_head_of_its_branch_delete_a_note_and_bring_it_back(asks) -> None:
    author, head = asks(Role.MANAGER, "b1", "m1"), asks()
    note = await author.write()
    other = asks(branch="north", staff="h0")
    assert await refusal(other.call("DeleteNote", name=note.name)) == NOT_AUTHOR
    stale = head.call("DeleteNote", name=note.name, etag="77")
    assert await refusal(stale) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    await head.call("DeleteNote", name=note.name)
    await head.call("DeleteNote", name=note.name)
    assert await head.listed() == []
    assert await head.listed(show_deleted=True) == ["likes tea"]
    deleted = await head.call("GetNote", name=note.name)
    assert deleted.HasField("delete_time")
    assert await refusal(author.change(deleted, "x")) == (grpc.StatusCode.FAILED_PRECONDITION, "NOTE_DELETED")
    back = await author.undelete(note)
    assert not back.HasField("delete_time")
    assert await head.listed() == ["likes tea"]


async def test_after_thirty_days_a_deleted_note_is_gone(asks, bank) -> None:
    head = asks()
    old, young, _ = [await head.write(words) for words in ("old", "young", "kept")]
    for note in (old, young):
        await head.call("DeleteNote", name=note.name)
    async with bank.database.begin() as tx:
        aged = text("UPDATE notes SET delete_time = delete_time - interval '30 days' WHERE note_id = :note_id")
        await tx.execute(aged, {"note_id": old.name.rpartition("/")[2]})
    assert await head.listed(show_deleted=True) == ["kept", "young"]
    assert await refusal(head.undelete(old)) == NOT_FOUND
    await forget_once(bank.database)
    async with bank.database.read() as conn:
        left = (await conn.execute(text("SELECT text FROM notes ORDER BY text"))).scalars()
        assert list(left) == ["kept", "young"]


async def test_pages_follow_each_other_and_belong_to_their_request(asks) -> None:
    head = asks()
    for number in range(5):
        await head.write(str(number))
    first = await head.call("ListNotes", parent="customers/wang", page_size=2)
    second = await head.call("ListNotes", parent="customers/wang", page_size=3, page_token=first.next_page_token)
    assert [note.text for note in (*first.notes, *second.notes)] == ["4", "3", "2", "1", "0"]
    assert second.next_page_token == ""
    other = head.call("ListNotes", parent="customers/li", page_token=first.next_page_token)
    assert await refusal(other) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_the_same_request_writes_once_also_if_it_is_sent_at_once(asks) -> None:
    head, request_id = asks(), str(uuid.uuid4())
    told = await asyncio.gather(*(head.write(request_id=request_id) for _ in range(8)))
    assert len({note.name for note in told}) == 1
    assert await head.listed() == ["likes tea"]


async def test_reads_and_changes_are_noted_without_what_was_written(asks, bank) -> None:
    note = await asks().write("a secret")
    await asks().change(note, "another secret")
    await asks().listed()
    await asks().call("DeleteNote", name=note.name)
    async with bank.database.read() as conn:
        rows = (await conn.execute(text("SELECT method, customer_id, caller, detail::text FROM audit"))).all()
    assert sorted(row.method for row in rows) == ["CreateNote", "DeleteNote", "ListNotes", "UpdateNote"]
    assert {(row.customer_id, row.caller) for row in rows} == {("wang", "h1")}
    assert "secret" not in str(rows)


async def test_a_customer_has_a_limited_number_of_notes(asks, bank) -> None:
    async with bank.database.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO notes (customer_id, note_id, text, author_id, branch_id)"
                " SELECT 'wang', 'n' || g, 'x', 'h1', 'b1' FROM generate_series(1, 1000) g"
            )
        )
    assert await refusal(asks().write()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NOTES_TOO_MANY")
