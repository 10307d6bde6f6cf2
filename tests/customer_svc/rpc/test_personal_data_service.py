"""What a person may ask: to see all that is kept of him, and to be erased; over the wire."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.customer.v1 import operation_service_pb2, operation_service_pb2_grpc, personal_data_pb2
from banyan.customer.v1 import personal_data_service_pb2 as pb
from banyan.customer.v1 import personal_data_service_pb2_grpc as pb_grpc
from google.longrunning import operations_pb2
from sqlalchemy import text

from chassis.caller import Role
from chassis.errors import Kind, Refused
from chassis.operations import Operations, OperationServicer
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.rpc.personal_data_service import ExportingPersonalData, PersonalDataServicer
from services.customer_svc.usecases.export_personal_data import METHOD

# The wheel ships no types for it.
longrunning: Any = operations_pb2

OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
SECRET = b"s" * 32


class Others:
    """Stand for the other services; one of them may be away."""

    names = ("assignment_svc", "campaign_svc", "alert_svc")

    def __init__(self) -> None:
        self.away: str | None = None
        self.asked: list[tuple[str, ...]] = []

    async def read(self, service: str, customer_id: str, requester_id: str, reference: str):
        if service == self.away:
            raise Refused(Kind.UNAVAILABLE, "PART_UNAVAILABLE", f"{service} is away", {"service": service})
        self.asked.append((service, customer_id, requester_id, reference))
        return {"rows": [json.dumps({"of": service})]}


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
async def channel(filled, hire, others, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """h1 heads b1, Wang's primary branch; h2 his secondary one; h0 the branch above both, where a0 approves too."""
    await hire("h1", "b1", "BRANCH_HEAD")
    handler = ExportingPersonalData(filled.database, filled.keys, others)
    operations = Operations(filled.database, "customer", {METHOD: handler})
    services = [
        Served(
            "banyan.customer.v1.PersonalDataService",
            pb_grpc.add_PersonalDataServiceServicer_to_server,
            PersonalDataServicer(filled.database, operations, SECRET, filled.keys),
        ),
        Served(
            OPERATION_SERVICE,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, SECRET),
        ),
    ]
    worker = asyncio.create_task(operations.work())
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield opened
    worker.cancel()
    await asyncio.wait([worker])


@pytest.fixture
def stub(channel) -> pb_grpc.PersonalDataServiceStub:
    return pb_grpc.PersonalDataServiceStub(channel)


@pytest.fixture
def as_(signed_in: SignedIn):
    """`as_("h1")`: the metadata of somebody's calls."""
    people = {
        "h1": ((Role.BRANCH_HEAD,), "b1"),
        "h2": ((Role.BRANCH_HEAD,), "b2"),
        "h9": ((Role.BRANCH_HEAD,), "b9"),
        "h0": ((Role.BRANCH_HEAD, Role.APPROVER), "north"),
        "a0": ((Role.APPROVER,), "north"),
        "wang": ((Role.APPROVER,), "north"),
        "a1": ((Role.APPROVER,), "b1"),
        "m1": ((Role.MANAGER,), "b1"),
        "admin": ((Role.ADMIN,), "north"),
    }

    def metadata(staff_id: str):
        roles, branch_id = people[staff_id]
        return signed_in.staff(*roles, staff_id=staff_id, branch_id=branch_id)

    return metadata


def asked(**fields: Any) -> dict[str, Any]:
    return {"name": "customers/wang", "reference": "letter 7", "request_id": str(uuid.uuid4())} | fields


async def refused_with(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""


async def finished(channel, begun: Any, metadata) -> Any:
    operations = operation_service_pb2_grpc.OperationServiceStub(channel)
    async with asyncio.timeout(20):
        while not begun.done:
            wait = longrunning.WaitOperationRequest(name=begun.name)
            begun = await operations.WaitOperation(wait, metadata=metadata)
    return begun


async def exported(channel, stub, metadata) -> personal_data_pb2.PersonalDataExport:
    done = await finished(
        channel, await stub.ExportPersonalData(pb.ExportPersonalDataRequest(**asked()), metadata=metadata), metadata
    )
    export = personal_data_pb2.PersonalDataExport()
    assert done.response.Unpack(export), done.error
    return export


async def fetched(stub, name: str, metadata) -> Any:
    pieces = [
        piece.data
        async for piece in stub.DownloadPersonalData(pb.DownloadPersonalDataRequest(name=name), metadata=metadata)
    ]
    return json.loads(b"".join(pieces))


async def noted(bank, *methods: str) -> list[tuple[str, str, str]]:
    query = "SELECT method, caller, customer_id FROM audit WHERE method = ANY (:methods) ORDER BY audit_id"
    async with bank.database.read() as conn:
        return [(row[0], row[1], row[2]) for row in await conn.execute(text(query), {"methods": list(methods)})]


async def test_a_person_is_shown_what_every_service_keeps_of_him(filled, channel, stub, others, as_) -> None:
    export = await exported(channel, stub, as_("h1"))
    assert (export.requester, export.reference) == ("staff/h1", "letter 7")
    told = await fetched(stub, export.name, as_("h1"))
    assert told["contact_data"] == {"wang": {"id_number": "110101199001011234", "mobile": "13812345678"}}
    assert set(told["services"]) == {"customer_svc", *others.names}
    own = told["services"]["customer_svc"]
    assert [row["account_id"] for row in own["accounts"]] == ["a0", "a1", "a2"]
    assert own["customers"][0]["display_name"] == "王小明"
    assert {row["related_customer_id"] for row in own["relations"]} == {"zhao"}
    assert {row["method"]: row["count"] for row in own["audit"]} == {"ExportPersonalData": 1}
    assert others.asked == [(service, "wang", "h1", "letter 7") for service in others.names]
    steps = await noted(filled, "ExportPersonalData", "ReadPersonalData", "DownloadPersonalData")
    assert steps == [
        (step, "h1", "wang") for step in ("ExportPersonalData", "ReadPersonalData", "DownloadPersonalData")
    ]
    async with filled.database.read() as conn:
        chunks = (await conn.execute(text("SELECT content FROM export_chunks"))).scalars().all()
    assert chunks
    assert not any(b"13812345678" in bytes(chunk) for chunk in chunks)


@pytest.mark.parametrize("service", Others.names)
async def test_without_a_service_the_whole_fails_with_its_name(channel, stub, others, as_, service: str) -> None:
    others.away = service
    begun = await stub.ExportPersonalData(pb.ExportPersonalDataRequest(**asked()), metadata=as_("h1"))
    done = await finished(channel, begun, as_("h1"))
    assert done.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert service in done.error.message


async def test_a_file_is_for_who_asked_for_it_and_for_a_day(filled, channel, stub, as_) -> None:
    export = await exported(channel, stub, as_("h1"))
    shown = await stub.GetPersonalDataExport(pb.GetPersonalDataExportRequest(name=export.name), metadata=as_("h1"))
    assert shown == export
    get = pb.GetPersonalDataExportRequest(name=export.name)
    for somebody in ("h0", "h9"):
        code, _ = await refused_with(stub.GetPersonalDataExport(get, metadata=as_(somebody)))
        assert code is grpc.StatusCode.NOT_FOUND
    async with filled.database.begin() as tx:
        await tx.execute(text("UPDATE personal_data_exports SET expire_time = bank_now()"))
    code, _ = await refused_with(stub.GetPersonalDataExport(get, metadata=as_("h1")))
    assert code is grpc.StatusCode.NOT_FOUND


REFUSED = [
    ("h2", grpc.StatusCode.PERMISSION_DENIED),
    ("m1", grpc.StatusCode.PERMISSION_DENIED),
    ("h9", grpc.StatusCode.NOT_FOUND),
    ("admin", grpc.StatusCode.PERMISSION_DENIED),
]


@pytest.mark.parametrize(("somebody", "code"), REFUSED)
async def test_only_heads_of_the_primary_side_ask(stub, as_, somebody: str, code: grpc.StatusCode) -> None:
    export, erase = pb.ExportPersonalDataRequest(**asked()), pb.EraseCustomerRequest(**asked())
    assert (await refused_with(stub.ExportPersonalData(export, metadata=as_(somebody))))[0] is code
    assert (await refused_with(stub.EraseCustomer(erase, metadata=as_(somebody))))[0] is code


@pytest.mark.parametrize(
    "fields", [{"reference": " "}, {"reference": "x" * 201}, {"request_id": "7"}, {"name": "wang"}]
)
async def test_bad_requests_are_refused(stub, as_, fields) -> None:
    export, erase = pb.ExportPersonalDataRequest(**asked(**fields)), pb.EraseCustomerRequest(**asked(**fields))
    for call in (stub.ExportPersonalData(export, metadata=as_("h1")), stub.EraseCustomer(erase, metadata=as_("h1"))):
        assert (await refused_with(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def erasure_of(stub, metadata, **fields: Any) -> personal_data_pb2.Erasure:
    answer = await stub.EraseCustomer(pb.EraseCustomerRequest(**asked(**fields)), metadata=metadata)
    return answer.erasure


async def test_a_dry_run_says_what_would_go_and_stores_nothing(filled, stub, as_) -> None:
    foreseen = await erasure_of(stub, as_("h1"), validate_only=True)
    assert foreseen.name == ""
    records = next(v for v in foreseen.verdicts if v.part == personal_data_pb2.ERASURE_PART_RECORDS)
    assert not records.erased
    assert list(records.obstacles) == [
        personal_data_pb2.ERASURE_OBSTACLE_LEGAL_FREEZE,
        personal_data_pb2.ERASURE_OBSTACLE_LIVE_BUSINESS,
    ]
    assert records.row_counts["accounts"] == 3
    async with filled.database.read() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM erasures"))).scalar_one() == 0
    assert await noted(filled, "EraseCustomer") == [("EraseCustomer", "h1", "wang")]


async def test_one_erasure_at_a_time_and_the_same_request_gets_the_same(stub, as_) -> None:
    request = pb.EraseCustomerRequest(**asked())
    answers = await asyncio.gather(*(stub.EraseCustomer(request, metadata=as_("h1")) for _ in range(8)))
    assert len({answer.erasure.name for answer in answers}) == 1
    others = (stub.EraseCustomer(pb.EraseCustomerRequest(**asked()), metadata=as_("h0")) for _ in range(8))
    found = await asyncio.gather(*others, return_exceptions=True)
    assert {error.code() for error in found if isinstance(error, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.ALREADY_EXISTS
    }
    assert len(found) == len([error for error in found if isinstance(error, grpc.aio.AioRpcError)])


def decision(kind: Any, erasure: personal_data_pb2.Erasure) -> Any:
    return kind(name=erasure.name, reason="as asked", request_id=str(uuid.uuid4()))


async def test_somebody_else_at_head_office_approves_and_it_waits_seven_days(stub, as_) -> None:
    erasure = await erasure_of(stub, as_("h0"))
    for somebody, code in (("h0", "nobody decides"), ("wang", "nobody decides"), ("a1", ""), ("h1", "")):
        status, said = await refused_with(
            stub.ApproveErasure(decision(pb.ApproveErasureRequest, erasure), metadata=as_(somebody))
        )
        assert status in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}
        assert code in said
    approved = await stub.ApproveErasure(decision(pb.ApproveErasureRequest, erasure), metadata=as_("a0"))
    assert approved.erasure.state == personal_data_pb2.Erasure.STATE_APPROVED
    waited = approved.erasure.execute_time.seconds - approved.erasure.update_time.seconds
    assert waited == 7 * 86_400
    again = stub.ApproveErasure(decision(pb.ApproveErasureRequest, erasure), metadata=as_("a0"))
    assert (await refused_with(again))[0] is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("somebody", ["h1", "h0", "a0"])
async def test_an_approved_erasure_can_be_called_off(stub, as_, somebody: str) -> None:
    erasure = await erasure_of(stub, as_("h1"))
    await stub.ApproveErasure(decision(pb.ApproveErasureRequest, erasure), metadata=as_("a0"))
    for stranger in ("h2", "h9", "a1"):
        status, _ = await refused_with(
            stub.CancelErasure(decision(pb.CancelErasureRequest, erasure), metadata=as_(stranger))
        )
        assert status in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}
    gone = await stub.CancelErasure(decision(pb.CancelErasureRequest, erasure), metadata=as_(somebody))
    assert (gone.erasure.state, gone.erasure.decider) == (
        personal_data_pb2.Erasure.STATE_CANCELLED,
        f"staff/{somebody}",
    )
    # Then he may ask again.
    assert (await erasure_of(stub, as_("h1"))).name != erasure.name


async def test_a_refused_one_is_over(stub, as_) -> None:
    erasure = await erasure_of(stub, as_("h1"))
    answer = await stub.RefuseErasure(decision(pb.RefuseErasureRequest, erasure), metadata=as_("a0"))
    assert answer.erasure.state == personal_data_pb2.Erasure.STATE_REFUSED
    cancel = stub.CancelErasure(decision(pb.CancelErasureRequest, erasure), metadata=as_("h1"))
    assert (await refused_with(cancel))[0] is grpc.StatusCode.FAILED_PRECONDITION


async def test_erasures_are_shown_to_who_asks_and_who_approves(filled, stub, as_) -> None:
    await filled.load("customers", [{"customer_id": "sun", "display_name": "孙七"}])
    made = await erasure_of(stub, as_("h1"))
    await erasure_of(stub, as_("h1"), name="customers/li")
    for parent, somebody, count in (("wang", "h1", 1), ("wang", "a0", 1), ("-", "a0", 2)):
        names: list[str] = []
        request = pb.ListErasuresRequest(parent=f"customers/{parent}", page_size=1)
        while True:
            page = await stub.ListErasures(request, metadata=as_(somebody))
            names += [erasure.name for erasure in page.erasures]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert len(set(names)) == count
    everybody = stub.ListErasures(pb.ListErasuresRequest(parent="customers/-"), metadata=as_("h1"))
    assert (await refused_with(everybody))[0] is grpc.StatusCode.PERMISSION_DENIED
    shown = await stub.GetErasure(pb.GetErasureRequest(name=made.name), metadata=as_("a0"))
    assert shown.verdicts
    for stranger in ("h9", "a1"):
        code, _ = await refused_with(stub.GetErasure(pb.GetErasureRequest(name=made.name), metadata=as_(stranger)))
        assert code is grpc.StatusCode.NOT_FOUND
