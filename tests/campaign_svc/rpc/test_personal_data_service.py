"""campaign_svc's part in what a person may ask, over the wire."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from banyan.campaign.v1 import personal_data_service_pb2 as pb
from banyan.campaign.v1 import personal_data_service_pb2_grpc
from sqlalchemy import text

from chassis.caller import Role
from chassis.feed import Wakeups
from chassis.server import Served
from chassis.sql import personal_data
from chassis.testing import SignedIn, app_of, in_process
from services.campaign_svc.rpc.permissions import ALLOWED
from services.campaign_svc.rpc.personal_data_service import CampaignPersonalDataServicer

ERASURE = "customers/c1/erasures/e1"
FILLED = """
INSERT INTO contacts (customer_id, contact_time, contact_id, channel, message_class, state, actor, branch_id)
  SELECT id, bank_now(), 'k-' || id, 'CALL', 'SERVICE', 'ACCEPTED', 'm1', 'b1' FROM unnest(ARRAY['c1', 'c2']) AS id;
INSERT INTO consents (customer_id, channel, category, state, state_time) VALUES
  ('c1', 'SMS', 'ALL', 'GRANTED', bank_now()), ('c2', 'SMS', 'ALL', 'GRANTED', bank_now());
INSERT INTO opt_outs (customer_id, channel, category, opt_out_time) VALUES ('c1', 'CALL', 'LOAN', bank_now());
INSERT INTO tasks (customer_id, task_id, title, assignee_id, branch_id, state, creator, create_time)
  VALUES ('c1', 't1', 'call him', 'm1', 'b1', 'OPEN', 'm1', bank_now())
"""


@pytest.fixture
async def stub(database, tmp_path: Path) -> AsyncIterator[personal_data_service_pb2_grpc.PersonalDataServiceStub]:
    async with database.begin() as tx:
        for statement in FILLED.split(";\n"):
            await tx.execute(text(statement))
    wakeups = Wakeups(None)
    served = Served(
        "banyan.campaign.v1.PersonalDataService",
        personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
        CampaignPersonalDataServicer(database, wakeups),
    )
    async with in_process(app_of([served], ALLOWED, SignedIn(tmp_path), "campaign.banyan"), tmp_path) as opened:
        yield personal_data_service_pb2_grpc.PersonalDataServiceStub(opened)
    await wakeups.close()


@pytest.fixture
def service(tmp_path: Path):
    return SignedIn(tmp_path).service("customer_svc")


async def rows_of(stub, service, customer: str = "c1") -> dict[str, list[dict[str, object]]]:
    request = pb.ReadPersonalDataRequest(name=f"customers/{customer}", requester="staff/h1", reference="letter 7")
    found: dict[str, list[dict[str, object]]] = {}
    async for answer in stub.ReadPersonalData(request, metadata=service):
        found.setdefault(answer.table, []).extend(map(json.loads, answer.rows))
    return found


async def test_every_row_is_told_and_who_wants_it_is_noted(database, stub, service) -> None:
    found = await rows_of(stub, service)
    assert {name: len(rows) for name, rows in found.items() if rows} == {
        "tasks": 1,
        "consents": 1,
        "contacts": 1,
        "opt_outs": 1,
    }
    assert found["tasks"][0]["title"] == "call him"
    async with database.read() as conn:
        noted = await conn.execute(
            text("SELECT customer_id, detail ->> 'requester', detail ->> 'reference' FROM audit")
        )
        assert [tuple(row) for row in noted] == [("c1", "h1", "letter 7")]
    assert not any((await rows_of(stub, service, "nobody")).values())


async def test_too_many_rows_are_refused(stub, service, monkeypatch) -> None:
    monkeypatch.setattr(personal_data, "ROWS_MAX", 2)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rows_of(stub, service)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(("everything", "left"), [(False, {"contacts", "opt_outs"}), (True, {"opt_outs"})])
async def test_what_is_erased_never_lets_him_be_contacted(stub, service, everything, left: set[str]) -> None:
    request = pb.ErasePersonalDataRequest(name="customers/c1", erasure=ERASURE, everything=everything)
    first = await stub.ErasePersonalData(request, metadata=service)
    again = await stub.ErasePersonalData(request, metadata=service)
    assert (first.row_count, again.row_count) == (3 if everything else 2, 0)
    found = await rows_of(stub, service)
    assert {name for name, rows in found.items() if rows} == left | {"audit"}
    blocked = {(row["channel"], row["category"]) for row in found["opt_outs"]}
    assert blocked == {("ALL", "ALL"), ("CALL", "LOAN")}
    assert len((await rows_of(stub, service, "c2"))["contacts"]) == 1


async def test_one_with_his_number_is_only_put_down_as_not_to_be_contacted(database, stub, service) -> None:
    for _ in range(2):
        await stub.SuppressContacts(pb.SuppressContactsRequest(name="customers/c2"), metadata=service)
    found = await rows_of(stub, service, "c2")
    assert [(row["channel"], row["category"]) for row in found["opt_outs"]] == [("ALL", "ALL")]
    assert (len(found["contacts"]), len(found["consents"])) == (1, 1)
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT customer_id FROM contact_rooms"))).scalars().all() == ["c2"]


async def test_only_services_ask(stub, tmp_path: Path) -> None:
    head = SignedIn(tmp_path).staff(Role.BRANCH_HEAD)
    erase = pb.ErasePersonalDataRequest(name="customers/c1", erasure=ERASURE, everything=True)
    for call in (
        stub.ErasePersonalData(erase, metadata=head),
        stub.SuppressContacts(pb.SuppressContactsRequest(name="customers/c1"), metadata=head),
        rows_of(stub, head),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
