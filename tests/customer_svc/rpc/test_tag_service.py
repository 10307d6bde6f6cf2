"""Tags over the wire: defined, shown with their evidence, set and removed by hand against the batch."""

import json
import uuid
from datetime import date
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import tag_pb2, tag_service_pb2_grpc
from banyan.customer.v1 import tag_service_pb2 as pb
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role

DAY = date(2026, 6, 30)
EVIDENCE = {
    "because": ["transfers_out"],
    "figures": {"other_bank_30d_count": 7},
    "thresholds": {"transfers_out_min": 5},
}


def day(of: date) -> Date:
    return Date(year=of.year, month=of.month, day=of.day)


class Asker:
    """Calls as somebody about a customer, Wang unless told otherwise."""

    def __init__(self, channel, metadata) -> None:
        self._stub = tag_service_pb2_grpc.TagServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def change(self, method: str, tag: str, until: date | None = None, customer: str = "wang", **fields):
        if until is not None:
            fields["end_date"] = day(until)
        given = {"reason": "he told me", "request_id": str(uuid.uuid4()), **fields}
        return (await self.call(method, name=f"customers/{customer}/tags/{tag}", **given)).customer_tag

    async def tags(self, customer: str = "wang", **fields) -> dict[str, tag_pb2.CustomerTag]:
        found = await self.call("ListCustomerTags", parent=f"customers/{customer}", **fields)
        return {one.name.split("/")[-1]: one for one in found.customer_tags}


@pytest.fixture
def asks(tag_channel, signed_in):
    def make(role: Role = Role.BRANCH_HEAD, branch: str = "b1", staff: str = "somebody") -> Asker:
        if role is Role.SERVICE:
            return Asker(tag_channel, signed_in.service())
        return Asker(tag_channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


async def confirm(bank, *codes: str, on: date = DAY, customer: str = "wang") -> None:
    rows = [
        {
            "customer_id": customer,
            "tag_code": code,
            "rule_version": "1",
            "as_of_date": on,
            "evidence": json.dumps(EVIDENCE),
        }
        for code in codes
    ]
    await bank.load("customer_tags", rows, on)


async def codes_of(bank, customer: str = "wang") -> list[str]:
    async with bank.database.read() as conn:
        query = text("SELECT tag_codes FROM customers WHERE customer_id = :id")
        return (await conn.execute(query, {"id": customer})).scalar_one()


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason


NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_the_seven_built_in_tags_are_listed_with_their_words_page_by_page(asks) -> None:
    teller = asks(Role.TELLER)
    first = await teller.call("ListTags", kind=tag_pb2.TAG_KIND_POTENTIAL, page_size=5)
    token = first.next_page_token
    second = await teller.call("ListTags", kind=tag_pb2.TAG_KIND_POTENTIAL, page_size=5, page_token=token)
    found = [*first.tags, *second.tags]
    assert (len(found), second.next_page_token) == (6, "")
    assert all(tag.display_name and tag.display_name_en and tag.rule_text and tag.rule_text_en for tag in found)
    blacklist = await teller.call("GetTag", name="tags/BLACKLIST")
    assert (blacklist.kind, blacklist.display_name, blacklist.branch) == (tag_pb2.TAG_KIND_MANUAL, "黑名单", "")


async def test_a_head_makes_a_tag_for_his_subtree_and_a_top_branch_for_the_bank(asks) -> None:
    head, top = asks(), asks(branch="north")
    words = tag_pb2.Tag(display_name="老主顾", display_name_en="regular", branch="branches/b1")
    request_id = str(uuid.uuid4())
    made = await head.call("CreateTag", tag_id="REGULAR", tag=words, request_id=request_id)
    assert (made.name, made.kind, made.actor) == ("tags/REGULAR", tag_pb2.TAG_KIND_MANUAL, "somebody")
    assert await head.call("CreateTag", tag_id="REGULAR", tag=words, request_id=request_id) == made
    taken = await refusal(head.call("CreateTag", tag_id="REGULAR", tag=words, request_id=str(uuid.uuid4())))
    assert taken == (grpc.StatusCode.ALREADY_EXISTS, "TAG_TAKEN")
    assert await refusal(asks(branch="b2").call("GetTag", name="tags/REGULAR")) == NOT_FOUND
    assert (await top.call("GetTag", name="tags/REGULAR")).branch == "branches/b1"
    words.branch = ""
    again = {"tag": words, "request_id": str(uuid.uuid4())}
    sharing = (grpc.StatusCode.PERMISSION_DENIED, "SHARING_FORBIDDEN")
    assert await refusal(head.call("CreateTag", tag_id="FOR_ALL", **again)) == sharing
    assert (await top.call("CreateTag", tag_id="FOR_ALL", **again)).branch == ""
    assert (await asks(branch="b9").call("GetTag", name="tags/FOR_ALL")).display_name == "老主顾"


async def test_a_retired_tag_is_given_to_nobody_and_stays_with_who_has_it(asks, bank) -> None:
    head, manager = asks(), asks(Role.MANAGER, staff="m1")
    words = tag_pb2.Tag(display_name="旧", display_name_en="old", branch="branches/b1")
    await head.call("CreateTag", tag_id="OLD", tag=words, request_id=str(uuid.uuid4()))
    await head.change("SetCustomerTag", "OLD")
    retiring = {"name": "tags/OLD", "request_id": str(uuid.uuid4())}
    assert await refusal(asks(branch="b2").call("RetireTag", **retiring)) == NOT_FOUND
    assert (await refusal(manager.call("RetireTag", **retiring)))[1] == "ROLE_FORBIDDEN"
    first = (await head.call("RetireTag", **retiring)).tag
    assert first.HasField("retire_time")
    again = await head.call("RetireTag", name="tags/OLD", request_id=str(uuid.uuid4()))
    assert again.tag == first
    assert "tags/OLD" not in {tag.name for tag in (await head.call("ListTags")).tags}
    assert first in (await head.call("ListTags", show_retired=True)).tags
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    assert await refusal(head.change("SetCustomerTag", "OLD")) == (precondition, "TAG_RETIRED")
    assert (await head.tags())["OLD"].live
    await head.change("RemoveCustomerTag", "OLD")
    assert "OLD" not in await codes_of(bank)
    built_in = {"name": "tags/BLACKLIST", "request_id": str(uuid.uuid4())}
    assert await refusal(asks(branch="north").call("RetireTag", **built_in)) == (precondition, "TAG_BUILT_IN")


@pytest.mark.parametrize(
    ("tag_id", "words", "field"),
    [
        ("small", {}, "tag_id"),
        ("A" * 41, {}, "tag_id"),
        ("OK", {"display_name": "字" * 41}, "tag.display_name"),
        ("OK", {"rule_text": "x" * 401}, "tag.rule_text"),
        ("OK", {"branch": "b1"}, "tag.branch"),
    ],
)
async def test_a_malformed_definition_names_its_field(asks, tag_id: str, words: dict[str, str], field: str) -> None:
    tag = tag_pb2.Tag(display_name="词", display_name_en="word")
    for name, value in words.items():
        setattr(tag, name, value)
    with pytest.raises(grpc.aio.AioRpcError) as no:
        await asks().call("CreateTag", tag_id=tag_id, tag=tag, request_id=str(uuid.uuid4()))
    assert no.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (no.value.details() or "").startswith(field)


async def test_the_batch_says_why_in_words_and_until_when(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK", "LOAN_POTENTIAL")
    assert await codes_of(filled) == ["CHURN_RISK", "LOAN_POTENTIAL"]
    churn = (await asks(Role.MANAGER, staff="m1").tags())["CHURN_RISK"]
    told = churn.confirmation
    assert (churn.live, told.as_of_date, told.expiry_date) == (True, day(DAY), day(date(2026, 8, 4)))
    assert list(told.evidence) == ["30 天转出他行 7 次（不少于 5 次）"]
    assert list(told.evidence_en) == ["7 transfers to other banks in 30 days (at least 5)"]
    pages = await asks().call("ListCustomerTags", parent="customers/wang", page_size=1)
    rest = await asks().tags(page_size=1, page_token=pages.next_page_token)
    assert ([one.name for one in pages.customer_tags], list(rest)) == (
        ["customers/wang/tags/CHURN_RISK"],
        ["LOAN_POTENTIAL"],
    )


async def test_only_the_primary_side_and_services_see_and_set_tags(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK")
    name = "customers/wang/tags/CHURN_RISK"
    hidden = [asks(branch="b2"), asks(branch="b9"), asks(Role.TELLER), asks(Role.MANAGER, staff="m9")]
    for asker in hidden:
        assert await refusal(asker.call("GetCustomerTag", name=name)) == NOT_FOUND
        assert await refusal(asker.call("ListTagChanges", parent="customers/wang")) == NOT_FOUND
    assert await refusal(asks(branch="b2").change("SetCustomerTag", "BLACKLIST")) == NOT_FOUND
    assert (await refusal(asks(Role.TELLER).change("SetCustomerTag", "BLACKLIST")))[1] == "ROLE_FORBIDDEN"
    for asker in (asks(branch="north"), asks(Role.SERVICE)):
        assert (await asker.call("GetCustomerTag", name=name)).live
    assert (await asks(Role.SERVICE).change("SetCustomerTag", "BLACKLIST")).live
    assert await refusal(asks().tags("nobody")) == NOT_FOUND


async def test_every_read_is_remembered(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK")
    await asks().tags()
    await asks().call("GetCustomerTag", name="customers/wang/tags/CHURN_RISK")
    await asks().call("ListTagChanges", parent="customers/wang")
    async with filled.database.read() as conn:
        rows = await conn.execute(text("SELECT method, caller, customer_id FROM audit ORDER BY audit_id"))
        assert [tuple(row) for row in rows] == [
            (method, "somebody", "wang") for method in ("ListCustomerTags", "GetCustomerTag", "ListTagChanges")
        ]


async def test_a_manual_tag_is_set_replaced_and_removed_and_all_is_history(asks, filled) -> None:
    head = asks()
    request_id = str(uuid.uuid4())
    made = await head.change("SetCustomerTag", "BLACKLIST", request_id=request_id)
    assert (made.live, made.setting.reason, made.setting.actor) == (True, "he told me", "somebody")
    assert not made.setting.HasField("end_date")
    assert await head.change("SetCustomerTag", "BLACKLIST", request_id=request_id) == made
    until = date(2026, 7, 1)
    assert (await head.change("SetCustomerTag", "BLACKLIST", until)).setting.end_date == day(until)
    assert await codes_of(filled) == ["BLACKLIST"]
    assert not (await head.change("RemoveCustomerTag", "BLACKLIST", reason="a mistake")).live
    assert await codes_of(filled) == []
    not_carried = (grpc.StatusCode.FAILED_PRECONDITION, "TAG_NOT_CARRIED")
    assert await refusal(head.change("RemoveCustomerTag", "BLACKLIST")) == not_carried
    page = await head.call("ListTagChanges", parent="customers/wang", tag="tags/BLACKLIST", page_size=2)
    rest = await head.call(
        "ListTagChanges", parent="customers/wang", tag="tags/BLACKLIST", page_size=2, page_token=page.next_page_token
    )
    changes = [*page.tag_changes, *rest.tag_changes]
    assert [(change.kind, change.reason, change.actor) for change in changes] == [
        (tag_pb2.TagChange.KIND_REMOVED, "a mistake", "somebody"),
        (tag_pb2.TagChange.KIND_SET, "he told me", "somebody"),
        (tag_pb2.TagChange.KIND_SET, "he told me", "somebody"),
    ]


async def test_no_batch_undoes_a_hand_and_to_clear_it_restores_what_the_batch_says(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK")
    head, until = asks(), date(2026, 9, 28)
    removed = await head.change("RemoveCustomerTag", "CHURN_RISK", until)
    assert (removed.live, removed.override.set, removed.override.end_date) == (False, False, day(until))
    set_ = await head.change("SetCustomerTag", "LOAN_POTENTIAL", until)
    assert (set_.live, set_.override.set, set_.HasField("confirmation")) == (True, True, False)
    await confirm(filled, "CHURN_RISK", on=date(2026, 7, 1))
    assert await codes_of(filled) == ["LOAN_POTENTIAL"], "the batch confirmed the one and not the other"
    assert list(await head.tags()) == ["LOAN_POTENTIAL"]
    assert list(await head.tags(show_past=True)) == ["CHURN_RISK", "LOAN_POTENTIAL"]
    assert (await head.change("ClearTagOverride", "CHURN_RISK")).live
    assert not (await head.change("ClearTagOverride", "LOAN_POTENTIAL")).live
    assert await codes_of(filled) == ["CHURN_RISK"]
    none = (grpc.StatusCode.FAILED_PRECONDITION, "OVERRIDE_NONE")
    assert await refusal(head.change("ClearTagOverride", "CHURN_RISK")) == none


@pytest.mark.parametrize(
    ("method", "tag", "fields", "field"),
    [
        ("SetCustomerTag", "CHURN_RISK", {}, "end_date"),
        ("SetCustomerTag", "CHURN_RISK", {"until": date(2026, 6, 29)}, "end_date"),
        ("RemoveCustomerTag", "CHURN_RISK", {"until": date(2026, 9, 29)}, "end_date"),
        ("SetCustomerTag", "BLACKLIST", {"until": date(2026, 6, 29)}, "end_date"),
        ("RemoveCustomerTag", "BLACKLIST", {"until": date(2026, 7, 1)}, "end_date"),
        ("SetCustomerTag", "BLACKLIST", {"reason": "  "}, "reason"),
        ("SetCustomerTag", "BLACKLIST", {"reason": "x" * 401}, "reason"),
        ("SetCustomerTag", "BLACKLIST", {"request_id": "again"}, "request_id"),
    ],
)
async def test_a_change_without_reason_or_with_a_wrong_end_is_refused(asks, method, tag, fields, field) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as no:
        await asks().change(method, tag, **fields)
    assert no.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (no.value.details() or "").startswith(field)


async def test_a_tag_that_is_unknown_or_not_shared_cannot_be_set(asks) -> None:
    assert await refusal(asks().change("SetCustomerTag", "NO_SUCH")) == NOT_FOUND
    assert await refusal(asks().call("GetCustomerTag", name="customers/wang/tags/BLACKLIST")) == NOT_FOUND


async def test_whoever_changes_a_tag_is_told_of_it_and_that_is_noted(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK")
    given = {"until": date(2026, 7, 30), "request_id": str(uuid.uuid4())}
    answers = [await asks().change("RemoveCustomerTag", "CHURN_RISK", **given) for _ in range(2)]
    assert answers[0] == answers[1]
    async with filled.database.read() as conn:
        noted = await conn.execute(text("SELECT caller, customer_id FROM audit WHERE method = 'RemoveCustomerTag'"))
        assert [tuple(row) for row in noted] == [("somebody", "wang")] * 2


async def test_services_are_told_potential_tags_of_a_thousand_customers_at_most(asks, filled) -> None:
    await confirm(filled, "CHURN_RISK", "LOAN_POTENTIAL")
    await asks().change("SetCustomerTag", "BLACKLIST")
    customers = ["customers/wang", "customers/nobody"]
    [told] = (await asks(Role.SERVICE).call("BatchGetPotentialTags", customers=customers)).potential_tags
    assert (told.customer, list(told.tags)) == ("customers/wang", ["tags/CHURN_RISK", "tags/LOAN_POTENTIAL"])
    too_many = [f"customers/c{n}" for n in range(1_001)]
    refused = await refusal(asks(Role.SERVICE).call("BatchGetPotentialTags", customers=too_many))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert (await refusal(asks().call("BatchGetPotentialTags", customers=customers)))[1] == "ROLE_FORBIDDEN"
