"""Relations over the wire: the feed's and those that staff tell, in both directions."""

import uuid
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import customer_pb2, relation_pb2, relation_service_pb2_grpc
from banyan.customer.v1 import relation_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chassis.caller import Role
from services.customer_svc.domain.customer import Owner

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
PERSON, CUSTOMER = customer_pb2.RelatedPerson.DIRECTION_PERSON, customer_pb2.RelatedPerson.DIRECTION_CUSTOMER
FEED, MANUAL = relation_pb2.Relation.SOURCE_FEED, relation_pb2.Relation.SOURCE_MANUAL


class Asker:
    """Calls as somebody."""

    def __init__(self, channel, metadata) -> None:
        self._stub = relation_service_pb2_grpc.RelationServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def tell(self, of: str = "wang", to: str = "li", **fields) -> relation_pb2.Relation:
        said: dict[str, Any] = {"kind": "household", "reason": "they said so", "related_customer": f"customers/{to}"}
        relation = relation_pb2.Relation(**(said | fields))
        return await self.call(
            "CreateRelation", parent=f"customers/{of}", relation=relation, request_id=str(uuid.uuid4())
        )

    async def end(self, relation: relation_pb2.Relation, reason: str = "moved out") -> relation_pb2.Relation:
        given = {"name": relation.name, "reason": reason, "request_id": str(uuid.uuid4())}
        return (await self.call("EndRelation", **given)).relation

    async def listed(self, of: str = "wang", **fields):
        return list((await self.call("ListRelations", parent=f"customers/{of}", **fields)).relations)


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


async def test_the_sources_relation_names_nobody_whom_the_viewer_does_not_see(asks) -> None:
    [relation] = await asks().listed()
    assert (relation.kind, relation.source, relation.direction) == ("disponent", FEED, PERSON)
    assert (relation.display_name, relation.mobile, relation.related_customer) == ("赵*", "137****0001", "")
    assert "zhao" not in relation.name
    assert await asks().call("GetRelation", name=relation.name) == relation
    [known] = await asks(Role.SERVICE).listed()
    assert (known.name, known.related_customer, known.display_name) == (relation.name, "customers/zhao", "赵六")
    [reverse] = await asks(Role.SERVICE).listed("zhao")
    assert (reverse.kind, reverse.direction, reverse.related_customer) == ("disponent", CUSTOMER, "customers/wang")


async def test_what_staff_tell_is_seen_from_both_ends_with_who_and_why(asks) -> None:
    told = await asks().tell(kind="guarantor")
    assert (told.source, told.author, told.reason, told.direction) == (MANUAL, "staff/h1", "they said so", PERSON)
    assert (told.related_customer, told.display_name, told.mobile) == ("customers/li", "李四", "139****0001")
    [other] = await asks().listed("li")
    assert (other.related_customer, other.direction, other.display_name) == ("customers/wang", CUSTOMER, "王小明")
    assert other.name.rpartition("/")[2] == told.name.rpartition("/")[2]
    assert {one.kind for one in await asks().listed()} == {"disponent", "guarantor"}


async def test_a_relation_can_be_told_from_its_other_end(asks) -> None:
    told = await asks().tell("li", "wang", direction=CUSTOMER, kind="guardian")
    assert (told.direction, told.related_customer) == (CUSTOMER, "customers/wang")
    [_, seen] = await asks().listed("wang")
    assert (seen.kind, seen.direction, seen.related_customer) == ("guardian", PERSON, "customers/li")


async def test_the_feed_neither_adds_to_nor_removes_what_staff_told(asks, bank) -> None:
    await asks().tell()
    await bank.load("relations", [])
    await bank.load("relations", [{"customer_id": "wang", "related_customer_id": "li", "kind": "guardian"}])
    assert {(one.kind, one.source) for one in await asks().listed()} >= {("household", MANUAL), ("guardian", FEED)}


async def test_what_staff_told_is_ended_not_deleted(asks) -> None:
    told = await asks().tell()
    ended = await asks().end(told)
    assert (ended.end_actor, ended.end_reason, ended.HasField("end_time")) == ("h1", "moved out", True)
    assert await asks().end(told, "again") == ended
    assert [one.kind for one in await asks().listed()] == ["disponent"]
    assert [one.kind for one in await asks().listed(show_ended=True)] == ["disponent", "household"]
    again = await asks().tell()
    assert again.name != told.name


async def test_only_the_source_ends_what_the_source_told(asks) -> None:
    [relation] = await asks().listed()
    assert await refusal(asks().end(relation)) == (grpc.StatusCode.FAILED_PRECONDITION, "RELATION_OF_FEED")


async def test_nobody_is_found_out_by_telling_relations(asks) -> None:
    head = asks()
    assert await refusal(head.tell(to="zhao")) == NOT_FOUND
    assert await refusal(head.tell(to="nobody")) == NOT_FOUND
    assert await refusal(asks(branch="b9").tell()) == NOT_FOUND
    assert await refusal(asks(Role.TELLER).listed()) == NOT_FOUND
    assert (await refusal(asks(Role.TELLER).tell()))[0] is grpc.StatusCode.PERMISSION_DENIED
    assert await refusal(head.call("GetRelation", name="customers/wang/relations/none")) == NOT_FOUND


async def test_an_end_whose_existence_alone_is_seen_has_a_link_and_no_name(asks, bank) -> None:
    owners = [Owner("b1", "PRIMARY", "m1", None)]
    await bank.own({"wang": owners, "li": [Owner("b1", "PRIMARY", "m2", None)]})
    await asks().tell()
    [_, seen] = await asks(Role.MANAGER, "b1", "m1").listed()
    assert (seen.kind, seen.related_customer, seen.display_name) == ("household", "customers/li", "李*")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"kind": "friend"}, "FIELD_INVALID"),
        ({"reason": " "}, "FIELD_INVALID"),
        ({"reason": "x" * 401}, "FIELD_INVALID"),
        ({"to": "wang"}, "FIELD_INVALID"),
    ],
)
async def test_what_no_relation_may_be_is_refused(asks, fields, answer: str) -> None:
    assert (await refusal(asks().tell(**fields)))[1] == answer


async def test_a_relation_is_told_once(asks, bank) -> None:
    await asks().tell()
    taken = (grpc.StatusCode.ALREADY_EXISTS, "RELATION_TAKEN")
    assert await refusal(asks().tell()) == taken
    await bank.load("relations", [{"customer_id": "wang", "related_customer_id": "li", "kind": "guardian"}])
    assert await refusal(asks().tell(kind="guardian")) == taken


async def test_pages_follow_each_other(asks) -> None:
    for kind in ("guarantor", "guardian", "household"):
        await asks().tell(kind=kind)
    first = await asks().call("ListRelations", parent="customers/wang", page_size=3)
    rest = await asks().listed(page_size=3, page_token=first.next_page_token)
    assert [one.kind for one in (*first.relations, *rest)] == ["disponent", "guarantor", "guardian", "household"]
