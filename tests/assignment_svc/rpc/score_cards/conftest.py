"""A bank of two branches below one, with a month of score cards, and people who ask about them."""

import uuid
from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import (
    credit_service_pb2,
    credit_service_pb2_grpc,
    operation_service_pb2_grpc,
    score_card_service_pb2,
    score_card_service_pb2_grpc,
    target_service_pb2,
    target_service_pb2_grpc,
)
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis import wire
from chassis.caller import Role
from services.assignment_svc.usecases.build_score_cards import build_score_cards

TABLES = (
    "branch, staff, ownership, owner, owner_period, private_manager, balance_step, customer_month, interception,"
    " credit_custody, credit, score_import, score_month, score_card, score_figure, target"
)
BRANCHES = (
    "INSERT INTO branch (branch_id, display_name, parent_id)"
    " VALUES ('top', 'Top', NULL), ('north', 'N', 'top'), ('south', 'S', 'top')"
)
STAFF = {
    "boss": ("top", Role.BRANCH_HEAD),
    "hn": ("north", Role.BRANCH_HEAD),
    "hs": ("south", Role.BRANCH_HEAD),
    "m1": ("north", Role.MANAGER),
    "m1b": ("north", Role.MANAGER),
    "m2": ("south", Role.MANAGER),
    "lobby": ("south", Role.LOBBY),
    "analyst": ("top", Role.ANALYST),
    "admin": ("top", Role.ADMIN),
    "approver": ("top", Role.APPROVER),
}
# Customer "m1" is the manager himself, whom a colleague looks after.
OWNERS = (
    ("c1", "north", "PRIMARY", "m1"),
    ("c1", "south", "SECONDARY", "m2"),
    ("c2", "north", "PRIMARY", "m1"),
    ("c3", "south", "PRIMARY", "m2"),
    ("m1", "north", "PRIMARY", "m1b"),
)
STEPS = {"c1": 1_000, "c2": 500, "c3": 10_000, "m1": 70}
LAST = date(2026, 6, 30)
SERVICES = {
    "ScoreCardService": (score_card_service_pb2_grpc.ScoreCardServiceStub, score_card_service_pb2),
    "CreditService": (credit_service_pb2_grpc.CreditServiceStub, credit_service_pb2),
    "TargetService": (target_service_pb2_grpc.TargetServiceStub, target_service_pb2),
    "OperationService": (operation_service_pb2_grpc.OperationServiceStub, operations_pb2),
}


async def goes_on(_done, _total):
    return True


class Bank:
    """The service, its database, and who calls it: `bank.ask("m1", "GetScoreCard", name=…)`."""

    def __init__(self, service):
        self.database = service.parts.database
        self._service = service
        self._rpcs = {}
        for stub, messages in SERVICES.values():
            made = stub(service.channel)
            for name in vars(made):
                self._rpcs.setdefault(name, (getattr(made, name), getattr(messages, f"{name}Request", None)))

    async def ask(self, staff_id, rpc, **given):
        branch_id, role = STAFF[staff_id]
        metadata = self._service.signed_in.staff(role, staff_id=staff_id, branch_id=branch_id)
        call, request = self._rpcs[rpc]
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            given.setdefault("request_id", str(uuid.uuid4()))
        return await call(request(**given), metadata=metadata)

    async def refused(self, staff_id, rpc, **given):
        """The reason of a refusal, and the fields that it names."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(staff_id, rpc, **given)
        reason, fields = "", []
        status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
        assert status is not None
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                reason = info.reason
            if detail.Unpack(bad):
                fields = [(one.field, one.description) for one in bad.field_violations]
        return reason, fields

    async def wait(self, staff_id, operation, answer):
        """The answer of long work, or the message of its error."""
        done = await self.ask(staff_id, "WaitOperation", name=operation.name, timeout=Duration(seconds=20))
        assert done.done
        if done.HasField("error"):
            return done.error.message
        assert done.response.Unpack(answer)
        return answer

    async def build(self, day=LAST):
        return await build_score_cards(self.database, day, goes_on)

    async def imported(self, day):
        """Says that the feed of a day is there, whose balances are those of before."""
        async with self.database.begin() as tx:
            await tx.execute(text("TRUNCATE score_import"))
            for table in ("balance_steps", "customer_months"):
                await tx.execute(text("INSERT INTO score_import VALUES (:table, :day)"), {"table": table, "day": day})


@pytest.fixture
async def bank(service):
    made = Bank(service)
    async with made.database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        await tx.execute(text(BRANCHES))
        for staff_id, (branch_id, role) in STAFF.items():
            await tx.execute(
                text("INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES (:id, :id, :branch, :roles)"),
                {"id": staff_id, "branch": branch_id, "roles": [role.value]},
            )
        for customer, branch, side, manager in OWNERS:
            await tx.execute(
                text(
                    "WITH root AS (INSERT INTO ownership (customer_id, state, business_date) VALUES (:customer, 'LIVE',"
                    " '2026-06-01') ON CONFLICT DO NOTHING) INSERT INTO owner (customer_id, branch_id, side, rule,"
                    " manager_id, held_by_margin, since_date, from_date, actor) VALUES (:customer, :branch, :side,"
                    " 'DEPOSIT', :manager, false, '2026-06-01', '2026-06-01', 'test')"
                ),
                {"customer": customer, "branch": branch, "side": side, "manager": manager},
            )
        for customer, balance in STEPS.items():
            await tx.execute(
                text("INSERT INTO balance_step VALUES (:customer, 'north', '2026-05-01', :balance)"),
                {"customer": customer, "balance": balance},
            )
            await tx.execute(
                text(
                    "INSERT INTO customer_month VALUES (:customer, '2026-06-01', 1, 5, :wealth, 0, 2, true, true,"
                    " :is_new, false)"
                ),
                {"customer": customer, "wealth": balance * 2, "is_new": customer == "c2"},
            )
    await made.imported(LAST)
    await made.build()
    yield made
    async with made.database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        await tx.execute(text("DELETE FROM score_policy WHERE version > 1"))


@pytest.fixture
def day():
    """A day of the wire."""
    return lambda *parts: wire.date_to_wire(date(*parts))
