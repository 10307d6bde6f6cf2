"""assignment_svc's part in what a person may ask, over the wire."""

import json
from collections.abc import AsyncIterator

import pytest
from banyan.assignment.v1 import personal_data_service_pb2 as pb
from banyan.assignment.v1 import personal_data_service_pb2_grpc
from sqlalchemy import text

FILLED = """
INSERT INTO ownership (customer_id, state, business_date) VALUES ('p1', 'FORMER', '2024-03-01');
INSERT INTO owner (customer_id, branch_id, side, rule, held_by_margin, since_date, from_date, actor)
  VALUES ('p1', 'north', 'PRIMARY', 'DEPOSIT', false, '2024-03-01', '2024-03-01', 'night');
INSERT INTO private_manager (customer_id, staff_id, reason, actor) VALUES ('p1', 'm1', 'asked', 'h1')
"""


@pytest.fixture
async def stub(database, service) -> AsyncIterator[personal_data_service_pb2_grpc.PersonalDataServiceStub]:
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE ownership, owner, private_manager, erased_customers"))
        for statement in FILLED.split(";\n"):
            await tx.execute(text(statement))
    yield personal_data_service_pb2_grpc.PersonalDataServiceStub(service.channel)
    # Others take rows of whoever was erased here.
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE erased_customers"))


async def rows_of(stub, metadata) -> dict[str, list[dict[str, object]]]:
    request = pb.ReadPersonalDataRequest(name="customers/p1", requester="staff/h1", reference="letter 7")
    found: dict[str, list[dict[str, object]]] = {}
    async for answer in stub.ReadPersonalData(request, metadata=metadata):
        found.setdefault(answer.table, []).extend(map(json.loads, answer.rows))
    return found


async def test_who_looked_after_a_person_is_told_until_it_is_erased(database, service, stub) -> None:
    caller = service.signed_in.service("customer_svc")
    found = await rows_of(stub, caller)
    assert {name for name, rows in found.items() if rows} >= {"ownership", "owner", "private_manager"}
    request = pb.ErasePersonalDataRequest(name="customers/p1", erasure="customers/p1/erasures/e1")
    await stub.ErasePersonalData(request, metadata=caller)
    assert len((await rows_of(stub, caller))["owner"]) == 1
    request.everything = True
    assert (await stub.ErasePersonalData(request, metadata=caller)).row_count == 2
    assert {name for name, rows in (await rows_of(stub, caller)).items() if rows} == {"ownership", "audit"}
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT gone FROM ownership WHERE customer_id = 'p1'"))).scalar_one()
