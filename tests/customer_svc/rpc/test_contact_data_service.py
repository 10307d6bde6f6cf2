"""Contact data in clear, over the wire: for a purpose, counted, and noted before it is seen."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.customer.v1 import contact_data_service_pb2 as pb
from banyan.customer.v1 import contact_data_service_pb2_grpc
from sqlalchemy import text

from chassis import clock
from chassis.caller import Role
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.domain.customer import Owner
from services.customer_svc.rpc.contact_data_service import ContactDataServicer
from services.customer_svc.rpc.permissions import ALLOWED

MOBILE, ID_NUMBER = "13812345678", "110101199003071234"


@pytest.fixture
async def stub(
    bank, signed_in: SignedIn, tmp_path: Path
) -> AsyncIterator[contact_data_service_pb2_grpc.ContactDataServiceStub]:
    """c1 and c2 are b1's, managed by m1, and b2's as well, managed by m2."""
    numbers = {"id_type": "ID_CARD", "id_number": ID_NUMBER, "mobile": MOBILE}
    await bank.load("customers", [{"customer_id": "c1", **numbers}, {"customer_id": "c2"}, {"customer_id": "c3"}])
    owners = [Owner("b1", "PRIMARY", "m1", None), Owner("b2", "SECONDARY", "m2", None)]
    await bank.own({"c1": owners, "c2": owners})
    served = Served(
        "banyan.customer.v1.ContactDataService",
        contact_data_service_pb2_grpc.add_ContactDataServiceServicer_to_server,
        ContactDataServicer(bank.database, bank.keys),
    )
    async with in_process(app_of([served], ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield contact_data_service_pb2_grpc.ContactDataServiceStub(opened)


@pytest.fixture
def secondary(signed_in: SignedIn):
    return signed_in.staff(Role.MANAGER, staff_id="m2", branch_id="b2")


def wanted(customer: str = "c1", **fields: Any) -> pb.UnmaskContactDataRequest:
    given: dict[str, Any] = {"purpose": pb.UNMASK_PURPOSE_CALLBACK, "request_id": str(uuid.uuid4())} | fields
    return pb.UnmaskContactDataRequest(name=f"customers/{customer}", **given)


async def noted(bank) -> list[tuple[str, str, str]]:
    query = "SELECT caller, customer_id, detail ->> 'purpose' FROM audit WHERE method = 'UnmaskContactData'"
    async with bank.database.read() as conn:
        return [(row[0], row[1], row[2]) for row in await conn.execute(text(query))]


async def test_a_secondary_side_sees_contact_data_for_a_minute_and_is_counted(bank, stub, secondary) -> None:
    shown: pb.UnmaskContactDataResponse = await stub.UnmaskContactData(wanted(), metadata=secondary)
    assert (shown.id_number, shown.mobile, shown.remaining_count) == (ID_NUMBER, MOBILE, 49)
    left = shown.expire_time.ToDatetime(clock.now().tzinfo) - clock.now()
    assert timedelta(seconds=50) < left <= timedelta(seconds=61)
    assert await noted(bank) == [("m2", "c1", "CALLBACK")]
    nothing = await stub.UnmaskContactData(wanted("c2"), metadata=secondary)
    assert (nothing.id_number, nothing.mobile, nothing.remaining_count) == ("", "", 48)


async def test_the_primary_side_is_noted_but_not_counted(bank, stub, signed_in: SignedIn) -> None:
    primary = signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")
    shown = await stub.UnmaskContactData(wanted(), metadata=primary)
    assert (shown.mobile, shown.HasField("remaining_count")) == (MOBILE, False)
    assert await noted(bank) == [("m1", "c1", "CALLBACK")]


async def test_the_same_request_is_counted_and_noted_once(bank, stub, secondary) -> None:
    request = wanted()
    answers = await asyncio.gather(*(stub.UnmaskContactData(request, metadata=secondary) for _ in range(8)))
    assert {(answer.mobile, answer.remaining_count) for answer in answers} == {(MOBILE, 49)}
    assert len(await noted(bank)) == 1


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


async def test_an_old_request_shows_nothing_again_uncounted_and_unnoted(bank, stub, secondary) -> None:
    request = wanted()
    await stub.UnmaskContactData(request, metadata=secondary)
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE unmaskings SET create_time = create_time - interval '61 seconds'"))
    code, told = await refusal(stub.UnmaskContactData(request, metadata=secondary))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in told


async def test_a_request_is_not_asked_again_for_another_purpose(bank, stub, secondary) -> None:
    request = wanted()
    await stub.UnmaskContactData(request, metadata=secondary)
    request.purpose = pb.UNMASK_PURPOSE_DELIVERY
    code, _ = await refusal(stub.UnmaskContactData(request, metadata=secondary))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert await noted(bank) == [("m2", "c1", "CALLBACK")]


async def test_of_64_at_once_50_see_it_and_the_next_day_begins_anew(bank, stub, secondary) -> None:
    async def ask() -> grpc.StatusCode:
        try:
            await stub.UnmaskContactData(wanted(), metadata=secondary, timeout=30)
        except grpc.aio.AioRpcError as refused:
            return refused.code()
        return grpc.StatusCode.OK

    codes = await asyncio.gather(*(ask() for _ in range(64)))
    assert codes.count(grpc.StatusCode.OK) == 50
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 14
    assert len(await noted(bank)) == 50
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE unmaskings SET bank_date = bank_date - 1"))
    assert await ask() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"purpose": 0}, "purpose"),
        ({"purpose": 99}, "purpose"),
        ({"purpose": pb.UNMASK_PURPOSE_OTHER}, "reason"),
        ({"purpose": pb.UNMASK_PURPOSE_OTHER, "reason": "  because  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"request_id": ""}, "request_id"),
    ],
)
async def test_a_purpose_must_be_said(bank, stub, secondary, fields, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.UnmaskContactData(wanted(**fields), metadata=secondary)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (refused.value.details() or "")
    assert await noted(bank) == []


async def test_who_may_not_see_him_is_told_nothing(bank, stub, signed_in: SignedIn) -> None:
    stranger = signed_in.staff(Role.MANAGER, staff_id="m9", branch_id="b9")
    colleague = signed_in.staff(Role.MANAGER, staff_id="m3", branch_id="b2")
    answers = set[str | None]()
    for metadata, customer in ((stranger, "c1"), (colleague, "c1"), (stranger, "nobody"), (stranger, "c3")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.UnmaskContactData(wanted(customer), metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        answers.add(refused.value.details())
    assert len(answers) == 1
    for role in (Role.TELLER, Role.ANALYST, Role.ADMIN, Role.AUDITOR):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.UnmaskContactData(wanted(), metadata=signed_in.staff(role, branch_id="b1"))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await noted(bank) == []
