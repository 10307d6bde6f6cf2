"""Policies of allocation over the wire: four eyes, starts, what another policy would change, and why he is owned so."""

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import (
    operation_service_pb2_grpc,
    ownership_pb2,
    ownership_policy_pb2,
    ownership_policy_service_pb2_grpc,
)
from banyan.assignment.v1 import ownership_policy_service_pb2 as pb
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis import wire
from chassis.caller import Role
from services.assignment_svc.store import allocation
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships

longrunning: Any = operations_pb2

EMPTY = (
    "TRUNCATE branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, policy_trial, policy_trial_row,"
    " policy_trial_branch, policy_trial_manager"
)
RESET = (
    "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, changes_date = NULL, policy_version = 0,"
    " seen_rev = '0'"
)
DAY = date(2026, 6, 30)
NEXT = DAY + timedelta(days=1)
PARAMETERS = {
    "grace_days": 90,
    "run_off_days": 90,
    "challenge_percent": 120,
    "return_months": 12,
    "protection_idle_days": 30,
    "lead_days": 15,
}
# Every customer has 100 at north, where he is owned, and n more at south; c0's loan at south ended 100 days ago.
FACTS = """
INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,
  loan_end_date, relation_since_date, customer_state)
SELECT 'c' || n, branch, false, false, true, CASE branch WHEN 'north' THEN 10000 ELSE 10000 + n * 100 END,
  CASE WHEN n = 0 AND branch = 'south' THEN date '2026-03-22' END,
  CASE branch WHEN 'north' THEN date '2001-01-01' ELSE date '2002-02-02' END, 'ACTIVE'
FROM generate_series(0, 30) AS n, (VALUES ('north'), ('south')) AS b (branch)
"""


async def goes_on(_done: int, _total: int) -> bool:
    return True


@pytest.fixture
async def bank(service):
    """Everybody's primary branch is north, which has as much as south until south has more."""
    database = service.parts.database
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(RESET))
        await tx.execute(
            text("INSERT INTO branch (branch_id, display_name) VALUES ('north', 'N'), ('south', 'S'), ('west', 'W')")
        )
        await tx.execute(text(FACTS.replace("10000 + n * 100", "10000")))
        await allocation.set_facts_date(tx, DAY)
    await allocate_ownerships(database, DAY, goes_on)
    async with database.begin() as tx:
        change = "UPDATE branch_facts SET deposit_sum_minor = 10000 + substr(customer_id, 2)::int * 100,"
        await tx.execute(text(f"{change} rev = pg_current_xact_id() WHERE branch_id = 'south'"))
    await allocate_ownerships(database, DAY, goes_on)
    yield service
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(RESET))
        await tx.execute(text("DELETE FROM ownership_policy WHERE version > 1"))


class Asker:
    def __init__(self, service, *roles: Role, staff: str, branch: str = "office") -> None:
        self.stub = ownership_policy_service_pb2_grpc.OwnershipPolicyServiceStub(service.channel)
        self.operations = operation_service_pb2_grpc.OperationServiceStub(service.channel)
        self.metadata = service.signed_in.staff(*roles, staff_id=staff, branch_id=branch)

    async def create(self, start: date = NEXT, request_id: str = "", **parameters: int):
        policy = ownership_policy_pb2.OwnershipPolicy(
            parameters=ownership_policy_pb2.AllocationParameters(**{**PARAMETERS, **parameters}),
            start_date=wire.date_to_wire(start),
            reason="the board wants it",
        )
        request = pb.CreateOwnershipPolicyRequest(ownership_policy=policy, request_id=request_id or str(uuid.uuid4()))
        return await self.stub.CreateOwnershipPolicy(request, metadata=self.metadata)

    async def approve(self, name: str):
        request = pb.ApproveOwnershipPolicyRequest(name=name, request_id=str(uuid.uuid4()))
        return (await self.stub.ApproveOwnershipPolicy(request, metadata=self.metadata)).ownership_policy

    async def withdraw(self, name: str):
        request = pb.WithdrawOwnershipPolicyRequest(name=name, reason="a mistake", request_id=str(uuid.uuid4()))
        return (await self.stub.WithdrawOwnershipPolicy(request, metadata=self.metadata)).ownership_policy

    async def begin(self, **parameters: int):
        request = pb.TryOwnershipPolicyRequest(
            parameters=ownership_policy_pb2.AllocationParameters(**{**PARAMETERS, **parameters}),
            request_id=str(uuid.uuid4()),
        )
        return await self.stub.TryOwnershipPolicy(request, metadata=self.metadata)

    async def tried(self, **parameters: int) -> ownership_policy_pb2.PolicyTrial:
        operation = await self.begin(**parameters)
        async with asyncio.timeout(30):
            while not operation.done:
                await asyncio.sleep(0.05)
                request = longrunning.GetOperationRequest(name=operation.name)
                operation = await self.operations.GetOperation(request, metadata=self.metadata)
        assert operation.WhichOneof("result") == "response", operation
        trial = ownership_policy_pb2.PolicyTrial()
        assert operation.response.Unpack(trial)
        return trial

    async def changes(self, trial: str, size: int = 0, token: str = ""):
        request = pb.ListPolicyTrialChangesRequest(parent=trial, page_size=size, page_token=token)
        return await self.stub.ListPolicyTrialChanges(request, metadata=self.metadata)

    async def explain(self, customer: str):
        request = pb.ExplainOwnershipRequest(name=f"customers/{customer}/ownership")
        return await self.stub.ExplainOwnership(request, metadata=self.metadata)


@pytest.fixture
def admin(bank):
    return Asker(bank, Role.ADMIN, staff="a1")


@pytest.fixture
def approver(bank):
    return Asker(bank, Role.APPROVER, staff="a2")


async def refused(call: Any) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo, list[str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
    info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(fields)
    return caught.value.code(), info, [violation.field for violation in fields.field_violations]


async def test_a_policy_counts_from_its_start_once_somebody_else_approved_it(bank, admin, approver):
    proposed = await admin.create(grace_days=30, lead_days=10)
    assert proposed.state == ownership_policy_pb2.OwnershipPolicy.STATE_PROPOSED
    assert (proposed.creator, proposed.name) == ("a1", "ownershipPolicies/2")
    assert proposed.chinese.startswith("自2026年7月1日起：最后一笔贷款结清后，贷款网点继续主办30天；")
    assert "stays primary for 30 days" in proposed.english
    code, info, _ = await refused(admin.approve(proposed.name))
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "POLICY_OWN")
    approved = await approver.approve(proposed.name)
    assert (approved.approver, approved.state) == ("staff/a2", ownership_policy_pb2.OwnershipPolicy.STATE_APPROVED)
    _, info, _ = await refused(approver.approve(proposed.name))
    assert (info.reason, info.metadata["state"]) == ("POLICY_NOT_PROPOSED", "APPROVED")
    async with bank.parts.database.read() as conn:
        in_force = [(await allocation.policy_in_force(conn, day)).grace_days for day in (DAY, NEXT)]
    assert in_force == [90, 30]


async def test_a_policy_is_withdrawn_until_it_has_started(bank, admin, approver):
    proposed = await admin.create()
    await approver.approve(proposed.name)
    _, info, _ = await refused(admin.create())
    assert (info.reason, info.metadata["ownership_policy"]) == ("POLICY_START_TAKEN", proposed.name)
    withdrawn = await admin.withdraw(proposed.name)
    assert (withdrawn.state, withdrawn.withdraw_reason) == (3, "a mistake")
    again = await admin.create()
    await approver.approve(again.name)
    async with bank.parts.database.begin() as tx:
        await allocation.set_facts_date(tx, NEXT)
    _, info, _ = await refused(admin.withdraw(again.name))
    assert info.reason == "POLICY_NOT_WITHDRAWABLE"
    _, info, _ = await refused(admin.create(NEXT))
    assert (info.reason, info.metadata["last_business_date"]) == ("POLICY_START_PAST", NEXT.isoformat())


async def test_every_parameter_out_of_range_and_each_contradiction_is_named(admin):
    code, _, fields = await refused(admin.create(grace_days=366, challenge_percent=99, lead_days=91))
    names = ["grace_days", "challenge_percent", "lead_days"]
    assert (code, fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        [f"ownership_policy.parameters.{name}" for name in names],
    )
    for wrong in ({"grace_days": 15}, {"protection_idle_days": 15}):
        _, _, fields = await refused(admin.create(**wrong))
        assert fields == ["ownership_policy.parameters.lead_days"]
    code, _, _ = await refused(
        admin.stub.GetOwnershipPolicy(
            pb.GetOwnershipPolicyRequest(name="ownershipPolicies/99"), metadata=admin.metadata
        )
    )
    assert code is grpc.StatusCode.NOT_FOUND


async def test_a_repeated_request_gives_the_same_policy_and_all_are_listed(admin):
    request_id = str(uuid.uuid4())
    first, second = [await admin.create(request_id=request_id) for _ in range(2)]
    assert first == second
    page = await admin.stub.ListOwnershipPolicies(pb.ListOwnershipPoliciesRequest(page_size=1), metadata=admin.metadata)
    assert [one.name for one in page.ownership_policies] == [first.name]
    request = pb.ListOwnershipPoliciesRequest(page_size=1, page_token=page.next_page_token)
    rest = await admin.stub.ListOwnershipPolicies(request, metadata=admin.metadata)
    assert ([one.creator for one in rest.ownership_policies], rest.next_page_token) == (["migration"], "")


async def owned(service) -> list[tuple[object, ...]]:
    async with service.parts.database.read() as conn:
        rows = await conn.execute(text("SELECT * FROM owner ORDER BY customer_id, branch_id"))
        roots = await conn.execute(text("SELECT * FROM ownership ORDER BY customer_id"))
        return [tuple(row) for row in (*rows, *roots)]


async def test_a_trial_tells_what_would_change_and_changes_nothing(bank, admin):
    before = await owned(bank)
    trial = await admin.tried(challenge_percent=110)
    assert await owned(bank) == before
    # From 10 % more on, south takes over; from 20 % on it has done so already.
    assert (trial.customer_count, trial.changed_customer_count) == (31, 10)
    counts = {one.branch: one for one in trial.branch_counts}
    assert (counts["branches/south"].primary_gained_count, counts["branches/south"].primary_lost_count) == (10, 0)
    assert counts["branches/north"].primary_lost_count == 10
    shown = await admin.stub.GetPolicyTrial(pb.GetPolicyTrialRequest(name=trial.name), metadata=admin.metadata)
    assert shown == trial
    listed = await admin.stub.ListPolicyTrials(pb.ListPolicyTrialsRequest(), metadata=admin.metadata)
    assert [one.name for one in listed.policy_trials] == [trial.name]
    assert (await refused(admin.changes(trial.name)))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_trial_of_the_same_parameters_finds_nothing_even_before_a_night(bank, admin):
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE branch_facts SET deposit_sum_minor = 7, rev = pg_current_xact_id()"))
        await allocation.set_facts_date(tx, NEXT)
    assert (await admin.tried()).changed_customer_count == 0


async def test_grace_that_would_last_longer_gives_the_branch_of_the_loan_its_customer_back(bank, admin):
    trial = await admin.tried(grace_days=101)
    assert trial.changed_customer_count == 1
    head = Asker(bank, Role.BRANCH_HEAD, staff="h", branch="south")
    page = await head.changes(trial.name)
    [change] = page.policy_trial_changes
    # North leads c0 today, so south sees only its own row.
    assert (change.customer, change.branch) == ("customers/c0", "branches/south")
    assert change.before.rule == ownership_pb2.ALLOCATION_RULE_SECONDARY
    assert change.after.rule == ownership_pb2.ALLOCATION_RULE_GRACE
    assert change.chinese.startswith("现行：规则5：")
    assert "试行：规则2：" in change.chinese
    assert "Then: Rule 2: " in change.english


async def test_a_head_sees_the_changes_of_his_customers_page_by_page(bank, admin):
    trial = await admin.tried(challenge_percent=110)
    head = Asker(bank, Role.BRANCH_HEAD, staff="h", branch="north")
    seen, token = [], ""
    while True:
        page = await head.changes(trial.name, size=3, token=token)
        assert len(page.policy_trial_changes) <= 3
        seen += [(one.customer, one.branch) for one in page.policy_trial_changes]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(
        (f"customers/c{n}", f"branches/{branch}") for n in range(10, 20) for branch in ("north", "south")
    )
    stranger = Asker(bank, Role.BRANCH_HEAD, staff="w", branch="west")
    assert list((await stranger.changes(trial.name)).policy_trial_changes) == []
    shown = await stranger.stub.GetPolicyTrial(pb.GetPolicyTrialRequest(name=trial.name), metadata=stranger.metadata)
    assert (list(shown.branch_counts), shown.customer_count) == ([], 0)
    async with bank.parts.database.read() as conn:
        audited = "SELECT count(*) FROM audit WHERE method = 'ListPolicyTrialChanges' AND caller = 'h'"
        assert (await conn.execute(text(audited))).scalar_one() >= 10


async def test_a_trial_needs_facts_that_were_allocated(bank, admin):
    async with bank.parts.database.begin() as tx:
        await allocation.set_facts_date(tx, None)
    assert (await refused(admin.begin()))[1].reason == "NIGHT_PENDING"
    async with bank.parts.database.begin() as tx:
        await tx.execute(text(RESET))
    assert (await refused(admin.begin()))[1].reason == "NIGHT_MISSING"


async def test_a_customers_ownership_is_explained_with_what_the_caller_may_see(bank):
    head = Asker(bank, Role.BRANCH_HEAD, staff="h", branch="north")
    told = await head.explain("c5")
    north, south = told.owner_explanations
    assert (told.chinese, told.english) == (
        "客户有存续业务，主办网点唯一。",
        "The customer has live business and exactly one primary branch.",
    )
    assert "近30天日终存款余额合计100元" in north.chinese
    assert "The primary branch north has CNY 100" in south.english
    other = await Asker(bank, Role.BRANCH_HEAD, staff="h2", branch="south").explain("c5")
    [own] = other.owner_explanations
    assert (own.branch, other.chinese) == ("branches/south", "")
    assert "north" not in own.english
    outsider = Asker(bank, Role.BRANCH_HEAD, staff="h3", branch="west")
    answers = [(await refused(outsider.explain(customer)))[0] for customer in ("c5", "nobody")]
    assert answers == [grpc.StatusCode.NOT_FOUND] * 2
