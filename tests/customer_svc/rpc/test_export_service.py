import asyncio
import csv
import io
import uuid
from datetime import date, timedelta
from typing import Any, cast

import grpc
import pyarrow.parquet as pq
import pytest
from banyan.customer.v1 import (
    customer_condition_pb2,
    customer_group_pb2,
    export_pb2,
    export_service_pb2_grpc,
    operation_service_pb2_grpc,
)
from banyan.customer.v1 import export_service_pb2 as pb
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.exports import COLUMNS as DOMAIN_COLUMNS
from services.customer_svc.jobs.group_upkeep import clear_once
from services.customer_svc.usecases import export_customers

Query: Any = customer_group_pb2.SavedQuery
Condition: Any = customer_condition_pb2.CustomerCondition
Identity: Any = customer_condition_pb2.IdentityCondition
Export: Any = export_pb2.Export
longrunning: Any = operations_pb2
Status = grpc.StatusCode
COLUMNS = ["customer", "display_name", "mobile", "own.deposit_balance", "total.deposit_balance", "own.account_count"]


class Maker:
    """Makes exports as somebody."""

    def __init__(self, channel, metadata) -> None:
        self.stub: Any = export_service_pb2_grpc.ExportServiceStub(channel)
        self._operations: Any = operation_service_pb2_grpc.OperationServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, request) -> Any:
        return await getattr(self.stub, method)(request, metadata=self._metadata)

    async def order(self, *conditions: Any, **fields: Any) -> Any:
        wanted: dict[str, Any] = {
            "query": Query(conditions=conditions),
            "columns": COLUMNS,
            "format": Export.FORMAT_CSV,
            "purpose": "季度回访",
            "request_id": str(uuid.uuid4()),
        }
        return await self.call("ExportCustomers", pb.ExportCustomersRequest(**(wanted | fields)))

    async def finished(self, operation) -> Any:
        while not operation.done:
            request = longrunning.WaitOperationRequest(name=operation.name)
            operation = await self._operations.WaitOperation(request, metadata=self._metadata)
        return operation

    async def cancel(self, operation) -> None:
        request = longrunning.CancelOperationRequest(name=operation.name)
        await self._operations.CancelOperation(request, metadata=self._metadata)

    async def make(self, *conditions: Any, **fields: Any) -> Any:
        ended = await self.finished(await self.order(*conditions, **fields))
        assert not ended.HasField("error"), ended.error
        export = Export()
        assert ended.response.Unpack(export)
        return export

    async def download(self, name: str) -> tuple[bytes, str, dict[str, Any]]:
        call = self.stub.DownloadExport(pb.DownloadExportRequest(name=name), metadata=self._metadata)
        pieces = [piece async for piece in call]
        head = dict(tuple(pair) for pair in await call.initial_metadata())
        return b"".join(piece.data for piece in pieces), pieces[0].content_type, head

    async def rows(self, name: str) -> list[dict[str, str]]:
        content, _, _ = await self.download(name)
        assert content.startswith(b"\xef\xbb\xbf"), "Excel takes it for UTF-8"
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.fixture
async def makes(filled, channel, signed_in, hire):
    del filled

    async def make(role: Role, branch: str = "b1", staff: str = "h1") -> Maker:
        await hire(staff, branch, role)
        return Maker(channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


@pytest.fixture
async def policy(bank):
    """`await policy(manager, head, head_office)` puts other limits in force; they end with the test."""

    async def put(*limits: int) -> None:
        values = ", ".join(map(str, limits))
        async with bank.database.begin() as tx:
            await tx.execute(text(f"INSERT INTO export_policies VALUES (2, bank_now(), {values})"))

    yield put
    async with bank.database.begin() as tx:
        await tx.execute(text("DELETE FROM export_policies WHERE version > 1"))


async def refusal(call) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason, dict(info.metadata)


async def audited(bank, method: str) -> list[tuple[str, str, dict[str, str]]]:
    async with bank.database.read() as conn:
        rows = await conn.execute(
            text("SELECT customer_id, request_id, detail FROM audit WHERE method = :method ORDER BY audit_id"),
            {"method": method},
        )
        return [(row.customer_id, row.request_id, row.detail) for row in rows]


@pytest.mark.usefixtures("working")
async def test_a_file_has_every_figure_that_its_maker_sees(makes, bank) -> None:
    figures = {"aum_minor": 300, "deposit_balance_minor": 500, "deposit_month_start_minor": 200, "loan_grade": 2}
    given = figures | {"holding_categories": "card;loan", "counter_90d_count": 1, "mobile_90d_count": 3}
    at = [{"customer_id": "wang", "branch_id": "b1", **given}, {"customer_id": "wang", "branch_id": "b2"}]
    await bank.load("customer_branch_figures", at)
    await bank.load("customer_figures", [{"customer_id": "wang", **given, "aum_minor": 700}])
    primary, secondary = await makes(Role.BRANCH_HEAD, "b1", "h1"), await makes(Role.BRANCH_HEAD, "b2", "h2")
    li, wang = await primary.rows((await primary.make(columns=[*DOMAIN_COLUMNS])).name)
    assert (wang["own.aum"], wang["total.aum"], wang["own.loan_grade"]) == ("3.00", "7.00", "2")
    assert (wang["total.deposit_month_change"], wang["own.mobile_share_percent"]) == ("3.00", "75")
    assert wang["own.holding_categories"] == "card;loan"
    assert {li[name] for name in li if "aum" in name} == {""}
    asked = ["customer", "own.aum", "total.aum", "total.loan_grade", "own.deposit_month_change"]
    (seen,) = await secondary.rows((await secondary.make(columns=asked)).name)
    del seen["exported_by"]
    assert seen == {**dict.fromkeys(asked, ""), "customer": "wang"}
    await bank.load("customer_branch_figures", [{**at[0], "branch_id": "b2"}])
    (seen,) = await secondary.rows((await secondary.make(columns=asked)).name)
    assert (seen["own.aum"], seen["own.deposit_month_change"], seen["total.aum"]) == ("3.00", "3.00", "")
    code, reason, told = await refusal(primary.order(columns=["customer", "total.everything", "own.id_number"]))
    assert (code, reason) == (Status.INVALID_ARGUMENT, "COLUMNS_UNKNOWN")
    assert told == {"columns": "total.everything,own.id_number"}


@pytest.mark.usefixtures("working")
async def test_a_file_holds_what_its_maker_sees_and_says_who_made_it(makes, bank) -> None:
    primary, secondary = await makes(Role.BRANCH_HEAD, "b1", "h1"), await makes(Role.BRANCH_HEAD, "b2", "h2")
    export = await primary.make()
    assert (export.row_count, export.creator, export.purpose) == (2, "staff/h1", "季度回访")
    li, wang = await primary.rows(export.name)
    assert (li["customer"], wang["customer"]) == ("li", "wang")
    assert (wang["display_name"], wang["mobile"]) == ("王小明", "13812345678")
    assert (wang["own.deposit_balance"], wang["total.deposit_balance"]) == ("10.00", "10.50")
    export_id = export.name.removeprefix("exports/")
    who, when, which = wang["exported_by"].split(" ")
    assert (who, which, when[-6:]) == ("h1", export_id, "+00:00")
    [masked] = await secondary.rows((await secondary.make()).name)
    assert (masked["mobile"], masked["own.deposit_balance"]) == ("138****5678", "0.50")
    assert masked["total.deposit_balance"] == ""

    entries = await audited(bank, "ExportCustomers")
    [ordered] = [detail for _, _, detail in entries if detail.get("export") == export_id]
    assert (ordered["purpose"], ordered["count"], ordered["columns"]) == ("季度回访", "2", ",".join(COLUMNS))
    assert sorted(customer for customer, request_id, _ in entries if request_id == export_id) == ["li", "wang"]


@pytest.mark.usefixtures("working")
async def test_a_parquet_file_has_types_and_the_same_watermark(makes) -> None:
    head = await makes(Role.BRANCH_HEAD)
    columns = [*COLUMNS, "birth_date", "update_time", "masked_fields", "view_level"]
    export = await head.make(format=Export.FORMAT_PARQUET, columns=columns)
    content, kind, metadata = await head.download(export.name)
    assert kind == "application/vnd.apache.parquet"
    assert metadata["content-disposition"] == f'attachment; filename="{export.file_name}"'
    assert len(content) == export.size_bytes
    table = pq.read_table(io.BytesIO(content))
    assert table.column_names == [*columns, "exported_by"]
    wang = table.to_pylist()[1]
    assert wang["birth_date"] == date(1990, 1, 1)
    assert str(wang["total.deposit_balance"]) == "10.50"
    assert wang["exported_by"].encode() == table.schema.metadata[b"exported_by"]


@pytest.mark.usefixtures("working")
async def test_no_cell_is_run_by_a_spreadsheet(makes, bank) -> None:
    evil = ["=cmd|'/C calc'!A0", "+1", "-2", "@SUM(A1)", 'a "quoted", name\nof two lines']
    await bank.load("customers", [{"customer_id": f"x{n}", "display_name": name} for n, name in enumerate(evil)])
    await bank.own({f"x{n}": [Owner("b1", "PRIMARY", None, None)] for n in range(len(evil))})
    head = await makes(Role.BRANCH_HEAD)
    export = await head.make(columns=["display_name", "customer"])
    names = [row["display_name"] for row in await head.rows(export.name) if row["customer"].startswith("x")]
    assert names == [*(f"'{name}" for name in evil[:4]), evil[4]]


@pytest.mark.usefixtures("working")
async def test_only_its_maker_sees_an_export_and_each_download_is_noted(makes, bank) -> None:
    head, other = await makes(Role.BRANCH_HEAD, "b1", "h1"), await makes(Role.BRANCH_HEAD, "b1", "h9")
    name = (await head.make()).name
    for method, request in (("GetExport", pb.GetExportRequest), ("DeleteExport", pb.DeleteExportRequest)):
        assert (await refusal(other.call(method, request(name=name))))[0] is Status.NOT_FOUND
    assert (await refusal(other.download(name)))[0] is Status.NOT_FOUND
    assert not (await other.call("ListExports", pb.ListExportsRequest())).exports
    await head.download(name)
    await head.download(name)
    assert [row[2]["export"] for row in await audited(bank, "DownloadExport")] == [name.removeprefix("exports/")] * 2
    second = (await head.make()).name
    page = await head.call("ListExports", pb.ListExportsRequest(page_size=1))
    rest = await head.call("ListExports", pb.ListExportsRequest(page_size=1, page_token=page.next_page_token))
    assert [page.exports[0].name, rest.exports[0].name] == [second, name]
    await head.call("DeleteExport", pb.DeleteExportRequest(name=name))
    assert (await refusal(head.call("GetExport", pb.GetExportRequest(name=name))))[0] is Status.NOT_FOUND


@pytest.mark.usefixtures("working")
async def test_a_file_stands_sealed_in_the_database(makes, bank) -> None:
    head = await makes(Role.BRANCH_HEAD)
    export = await head.make()
    async with bank.database.begin() as tx:
        content = (await tx.execute(text("SELECT content FROM export_chunks"))).scalar_one()
        await tx.execute(text("INSERT INTO export_chunks SELECT export_id, 1, content FROM export_chunks"))
    assert b"13812345678" not in content
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await head.download(export.name)
    assert raised.value.code() is Status.INTERNAL, "a piece in another's place does not open"


@pytest.mark.usefixtures("working")
async def test_exports_are_gone_after_a_day(makes, bank) -> None:
    head = await makes(Role.BRANCH_HEAD)
    export = await head.make()
    assert export.expire_time.ToDatetime() - export.create_time.ToDatetime() == timedelta(hours=24)
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE exports SET expire_time = bank_now() - interval '1 second'"))
    assert (await refusal(head.download(export.name)))[0] is Status.NOT_FOUND
    await clear_once(bank.database)
    async with bank.database.read() as conn:
        left = (await conn.execute(text("SELECT count(*) FROM export_chunks"))).scalar_one()
    assert left == 0


async def test_more_than_the_limit_is_refused_and_not_cut(makes, policy) -> None:
    await policy(1, 1, 2)
    head = await makes(Role.BRANCH_HEAD)
    assert await refusal(head.order()) == (
        Status.RESOURCE_EXHAUSTED,
        "EXPORT_TOO_LARGE",
        {"limit": "1", "count": "2"},
    )
    assert (await (await makes(Role.BRANCH_HEAD, "north", "top")).order()).name, "head office has a limit of its own"


async def test_nobody_makes_exports_without_end(makes, monkeypatch) -> None:
    monkeypatch.setattr(export_customers, "EXPORTS_OF_ONE_MAX", 1)
    head = await makes(Role.BRANCH_HEAD)
    await head.order()
    assert await refusal(head.order()) == (Status.RESOURCE_EXHAUSTED, "EXPORTS_TOO_MANY", {"limit": "1"})


async def test_what_is_wrong_with_an_order_is_named(makes) -> None:
    head = await makes(Role.BRANCH_HEAD)
    code, reason, told = await refusal(head.order(columns=["customer", "salary", "iban"]))
    assert (code, reason, told) == (Status.INVALID_ARGUMENT, "COLUMNS_UNKNOWN", {"columns": "salary,iban"})
    for fields in ({"columns": []}, {"columns": ["customer"] * 2}, {"purpose": ""}, {"purpose": "x" * 501}):
        assert (await refusal(head.order(**fields)))[:2] == (Status.INVALID_ARGUMENT, "FIELD_INVALID")
    by_number = Condition(identity=Identity(mobile="13812345678"))
    assert (await refusal(head.order(by_number)))[1] == "FIELD_INVALID", "numbers are not stored in clear"
    for role in (Role.TELLER, Role.MARKETER, Role.ANALYST):
        assert (await refusal((await makes(role, "b1", "t1")).order()))[0] is Status.PERMISSION_DENIED


async def test_who_left_meanwhile_gets_no_file(makes, hire, operations) -> None:
    head = await makes(Role.BRANCH_HEAD)
    ordered = await head.order()
    await hire("h1", "b1", Role.BRANCH_HEAD, until=date(2026, 6, 29))
    worker = asyncio.create_task(operations.work())
    ended = await head.finished(ordered)
    worker.cancel()
    await asyncio.wait([worker])
    assert (ended.error.code, ended.error.message) == (Status.FAILED_PRECONDITION.value[0], "the owner has left")


async def test_a_cancelled_export_leaves_nothing(makes, bank, operations) -> None:
    head = await makes(Role.BRANCH_HEAD)
    ordered = await head.order()
    await head.cancel(ordered)
    worker = asyncio.create_task(operations.work())
    ended = await head.finished(ordered)
    worker.cancel()
    await asyncio.wait([worker])
    assert ended.error.code == Status.CANCELLED.value[0]
    async with bank.database.read() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM export_chunks"))).scalar_one() == 0
