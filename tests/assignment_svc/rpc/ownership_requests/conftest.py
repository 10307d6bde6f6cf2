"""A small bank for requests: two branches below a region, their staff, and customers with owners."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import ownership_request_pb2 as rp
from banyan.assignment.v1 import ownership_request_service_pb2 as pb
from banyan.assignment.v1 import ownership_request_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Role
from services.assignment_svc.store import allocation, gate
from services.assignment_svc.store.allocate_now import allocate_now

DAY = date(2026, 6, 30)
TABLES = (
    "branch, staff, branch_facts, ownership, owner, owner_period, ownership_hold, officer_override, row_protection,"
    " ownership_change, ownership_request, request_approval, request_transition, delegation, bank_holiday,"
    " private_manager, merged_customers, business_day, staff_relation"
)
# Of few rows faster than TRUNCATE.
EMPTY = (
    *(f"DELETE FROM {name}" for name in TABLES.split(", ")),
    "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, changes_date = NULL",
)
STAFF = {
    "boss": ("hq", "BRANCH_HEAD"),
    "rh": ("region", "BRANCH_HEAD"),
    "nh": ("north", "BRANCH_HEAD"),
    "nm": ("north", "MANAGER"),
    "nm2": ("north", "MANAGER"),
    "nt": ("north", "TELLER"),
    "sh": ("south", "BRANCH_HEAD"),
    "sm": ("south", "MANAGER"),
    "sm2": ("south", "MANAGER"),
}
BANK = (
    f"UPDATE allocation_day SET facts_date = '{DAY}', business_date = '{DAY}'",
    f"INSERT INTO business_day (business_date) VALUES ('{DAY}')",
    (
        "INSERT INTO branch (branch_id, display_name, parent_id) VALUES"
        " ('hq', 'H', NULL), ('region', 'R', 'hq'), ('north', 'N', 'region'), ('south', 'S', 'region')"
    ),
    "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES "
    + ", ".join(f"('{staff}', '{staff}', '{branch}', '{{{role}}}')" for staff, (branch, role) in STAFF.items()),
)
FACTS = (
    "INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_id, loan_outstanding_minor,"
    " loan_first_disburse_date, loan_officer_id, card_live, deposit_live, deposit_sum_minor, relation_since_date,"
    " customer_state) VALUES (:customer, :branch, :loan, CASE WHEN :loan THEN 'l-' || :customer END,"
    " CASE WHEN :loan THEN 100 END, CASE WHEN :loan THEN CAST(:day AS date) END, :officer, false, true, :deposits,"
    " :day, 'ACTIVE')"
)


def facts(customer: str, branch: str, deposits: int = 100, officer: str | None = None) -> dict[str, object]:
    values = {"customer": customer, "branch": branch, "deposits": deposits, "loan": officer is not None}
    return {**values, "officer": officer, "day": DAY}


async def allocate(tx: AsyncConnection, *customers: str) -> None:
    day = await gate.pass_by_hand(tx)
    await allocate_now(tx, customers, day, await allocation.policy_in_force(tx, day), "test")


@dataclass(frozen=True)
class Asker:
    """Calls as somebody."""

    bank: "RequestBank"
    staff: str
    branch: str
    role: str

    @property
    def stub(self) -> Any:
        return ownership_request_service_pb2_grpc.OwnershipRequestServiceStub(self.bank.service.channel)

    @property
    def metadata(self) -> Any:
        signed_in = self.bank.service.signed_in
        return signed_in.staff(Role(self.role), staff_id=self.staff, branch_id=self.branch)

    async def create(self, kind: str, customer: str = "c1", request_id: str = "", etag: str = "", **more: Any):
        asked = rp.OwnershipRequest(kind=f"KIND_{kind}", reason=more.pop("reason", "for good reasons"))
        if customer:
            asked.customer = f"customers/{customer}"
        for name, value in more.items():
            if name == "end_date":
                asked.end_date.year, asked.end_date.month, asked.end_date.day = value.timetuple()[:3]
            else:
                setattr(asked, name, value)
        request = pb.CreateOwnershipRequestRequest(
            ownership_request=asked, ownership_etag=etag, request_id=request_id or str(uuid.uuid4())
        )
        return await self.stub.CreateOwnershipRequest(request, metadata=self.metadata)

    async def pull(self, name: str = "王小明", id_number: str = "110101199003077758", **more: Any):
        return await self.create("PULL", "", display_name=name, id_number=id_number, **more)

    async def get(self, name: str):
        return await self.stub.GetOwnershipRequest(pb.GetOwnershipRequestRequest(name=name), metadata=self.metadata)

    async def page(self, inbox: str = "WAITING_FOR_ME", **more: Any):
        request = pb.ListOwnershipRequestsRequest(inbox=f"INBOX_{inbox}", **more)
        return await self.stub.ListOwnershipRequests(request, metadata=self.metadata)

    async def inbox(self, inbox: str = "WAITING_FOR_ME", **more: Any) -> list[str]:
        return [one.name for one in (await self.page(inbox, **more)).ownership_requests]

    async def approve(self, name: str, request_id: str = "", **more: Any):
        request = pb.ApproveOwnershipRequestRequest(name=name, request_id=request_id or str(uuid.uuid4()), **more)
        return await self.stub.ApproveOwnershipRequest(request, metadata=self.metadata)

    async def refuse(self, name: str, reason: str = "no", **more: Any):
        request = pb.RefuseOwnershipRequestRequest(name=name, reason=reason, request_id=str(uuid.uuid4()), **more)
        return await self.stub.RefuseOwnershipRequest(request, metadata=self.metadata)

    async def withdraw(self, name: str, **more: Any):
        request = pb.WithdrawOwnershipRequestRequest(name=name, request_id=str(uuid.uuid4()), **more)
        return await self.stub.WithdrawOwnershipRequest(request, metadata=self.metadata)


class RequestBank:
    """The bank, who calls, and a look at what is stored."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.database = service.parts.database

    def as_(self, staff: str) -> Asker:
        branch, role = STAFF[staff]
        return Asker(self, staff, branch, role)

    async def run(self, statement: str, **values: object) -> None:
        async with self.database.begin() as tx:
            await tx.execute(text(statement), values)

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.database.read() as conn:
            return [tuple(row) for row in await conn.execute(text(statement), values)]

    async def owners(self, customer: str = "c1") -> list[tuple[str, str, str | None]]:
        query = "SELECT side, branch_id, manager_id FROM owner WHERE customer_id = :customer ORDER BY side, branch_id"
        return [(row[0], row[1], row[2]) for row in await self.rows(query, customer=customer)]

    async def holds(self, customer: str = "c1") -> list[tuple[str, str]]:
        query = "SELECT kind, branch_id FROM ownership_hold WHERE customer_id = :customer ORDER BY kind"
        return [(row[0], row[1]) for row in await self.rows(query, customer=customer)]

    async def add(self, customer: str, branch: str, deposits: int = 100, officer: str | None = None) -> None:
        async with self.database.begin() as tx:
            await tx.execute(text(FACTS), facts(customer, branch, deposits, officer))

    async def name(self, customer: str, branch: str, staff: str) -> None:
        query = "UPDATE owner SET named_manager_id = :staff WHERE customer_id = :customer AND branch_id = :branch"
        await self.run(query, customer=customer, branch=branch, staff=staff)
        await self.allocate(customer)

    async def allocate(self, *customers: str) -> None:
        async with self.database.begin() as tx:
            await allocate(tx, *customers)

    async def later(self, name: str, column: str = "due_time") -> None:
        """Its time is over."""
        query = f"UPDATE ownership_request SET {column} = bank_now() - interval '1 s' WHERE request_id = :id"
        await self.run(query, id=name.split("/")[1])


@pytest.fixture
async def bank(service: Any) -> AsyncIterator[RequestBank]:
    """c1 and c2 lead at north with manager nm, c1 has a row at south too; c3 is a borrower at north."""
    opened = RequestBank(service)
    service.identities.of = {("王小明", "110101199003077758"): "c1"}
    service.identities.reachable = service.open_tasks.reachable = True
    service.open_tasks.of = {}
    async with opened.database.begin() as tx:
        for statement in (*EMPTY, *BANK):
            await tx.execute(text(statement))
        for customer, branch, deposits in (("c1", "north", 500), ("c1", "south", 100), ("c2", "north", 300)):
            await tx.execute(text(FACTS), facts(customer, branch, deposits))
        await tx.execute(text(FACTS), facts("c3", "north", 100, "nm"))
        await allocate(tx, "c1", "c2", "c3")
        await tx.execute(text("UPDATE owner SET named_manager_id = 'nm' WHERE branch_id = 'north'"))
        await allocate(tx, "c1", "c2")
    yield opened
    async with opened.database.begin() as tx:
        for statement in EMPTY:
            await tx.execute(text(statement))


@pytest.fixture
def refusal_of() -> Any:
    """The code and the reason of a refusal, with its metadata."""

    async def read(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
        assert status
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return caught.value.code(), info.reason, dict(info.metadata)

    return read
