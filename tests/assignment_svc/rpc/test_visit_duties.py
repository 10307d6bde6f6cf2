"""Due visits, summaries and their policy over the wire: who may see and set them."""

import uuid
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import visit_duty_pb2, visit_duty_service_pb2_grpc, visit_pb2
from banyan.assignment.v1 import visit_duty_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from chassis.wire import date_to_wire

EMPTY = "TRUNCATE branch, staff, ownership, owner, private_manager, branch_facts, visit, visit_month, visit_duty"
# c0 to c4 are mia's at north, d0 and d1 sue's at south; all are borrowers who are to be visited once a month.
WORLD = """
WITH branches AS (
  INSERT INTO branch (branch_id, display_name, parent_id)
  VALUES ('region', 'R', NULL), ('north', 'N', 'region'), ('south', 'S', 'region')
), people AS (
  INSERT INTO staff (staff_id, display_name, branch_id, roles)
  VALUES ('mia', 'M', 'north', '{MANAGER}'), ('sue', 'S', 'south', '{MANAGER}')
), owned (customer_id, branch_id, manager_id) AS (
  SELECT 'c' || n, 'north', 'mia' FROM generate_series(0, 4) AS n
  UNION ALL SELECT 'd' || n, 'south', 'sue' FROM generate_series(0, 1) AS n
), roots AS (
  INSERT INTO ownership (customer_id, state, business_date) SELECT customer_id, 'LIVE', '2026-06-30' FROM owned
), facts AS (
  INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_outstanding_minor, card_live, deposit_live,
    relation_since_date, customer_state)
  SELECT customer_id, branch_id, true, 30000000, false, false, '2020-01-01', 'ACTIVE' FROM owned
)
INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor)
SELECT customer_id, branch_id, 'PRIMARY', 'LOAN', manager_id, false, '2020-01-01', '2020-01-01', 'test' FROM owned
"""
VISITED = """
INSERT INTO visit (customer_id, visit_id, staff_id, branch_id, kind, content, attachments, device_time, visit_time,
  visit_date, captured_offline, late, state)
SELECT c, 'v', 'mia', 'north', 'VISIT', 'x', '[]', bank_now(), bank_now(),
  (bank_now() AT TIME ZONE 'Asia/Shanghai')::date, false, false, s
FROM (VALUES ('c0', 'VALID'), ('c1', 'SUSPICIOUS')) AS made (c, s)
"""


@pytest.fixture
async def bank(service):
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(WORLD))
        await tx.execute(text(VISITED))
    yield service
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text("DELETE FROM visit_policy WHERE version > 1"))


async def today(service) -> date:
    async with service.parts.database.read() as conn:
        return (await conn.execute(text("SELECT (bank_now() AT TIME ZONE 'Asia/Shanghai')::date"))).scalar_one()


class Asker:
    """Calls as somebody."""

    def __init__(self, service, staff: str, role: Role = Role.MANAGER, branch: str = "north") -> None:
        self.stub: Any = visit_duty_service_pb2_grpc.VisitDutyServiceStub(service.channel)
        self.metadata = service.signed_in.staff(role, staff_id=staff, branch_id=branch)

    async def due(self, staff: str, **given: Any):
        request = pb.ListDueVisitsRequest(parent=f"staff/{staff}", **given)
        return await self.stub.ListDueVisits(request, metadata=self.metadata)

    async def names(self, staff: str, **given: Any) -> list[str]:
        return [one.customer.removeprefix("customers/") for one in (await self.due(staff, **given)).due_visits]

    async def summaries(self, branch: str, **given: Any):
        request = pb.ListVisitSummariesRequest(parent=f"branches/{branch}", **given)
        return await self.stub.ListVisitSummaries(request, metadata=self.metadata)

    async def set_policy(self, policy: visit_duty_pb2.VisitPolicy):
        request = pb.CreateVisitPolicyRequest(visit_policy=policy, request_id=str(uuid.uuid4()))
        return await self.stub.CreateVisitPolicy(request, metadata=self.metadata)


async def reason_of(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


@pytest.mark.parametrize(("role", "seen"), [("MANAGER", ["d1"]), ("PRIVATE_MANAGER", ["c4", "d1"])])
async def test_who_covers_a_manager_lists_his_duties_by_the_role_he_covers(bank, role, seen) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("DELETE FROM acting_manager"))
        await tx.execute(text("UPDATE staff SET roles = '{MANAGER,PRIVATE_MANAGER}' WHERE staff_id = 'sue'"))
        await tx.execute(text("UPDATE owner SET manager_id = NULL WHERE customer_id = 'd0'"))
        await tx.execute(
            text(
                "INSERT INTO private_manager (customer_id, staff_id, actor, reason, create_time)"
                " VALUES ('c4', 'sue', 'test', 'test', '2020-01-01')"
            )
        )
        await tx.execute(
            text(
                "INSERT INTO acting_manager (acting_manager_id, branch_id, acting_id, covered_id, role, from_date,"
                " until_date, reason, creator) VALUES ('a', 'south', 'mia', 'sue', :role, '2020-01-01', '2999-01-01',"
                " 'away', 'test')"
            ),
            {"role": role},
        )
    listed = await Asker(bank, "mia").names("sue")
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("DELETE FROM acting_manager"))
    assert sorted(listed) == seen


async def test_a_manager_lists_whom_he_is_to_visit_and_others_do_not_list_it(bank) -> None:
    mia = Asker(bank, "mia")
    page = await mia.due("mia", show_done=True)
    assert [one.customer for one in page.due_visits] == [f"customers/c{n}" for n in (1, 2, 3, 4, 0)]
    first, done = page.due_visits[0], page.due_visits[-1]
    assert (first.manager, first.branch, first.due_count, first.open_percent) == ("staff/mia", "branches/north", 1, 100)
    assert first.customer_class == visit_duty_pb2.VISIT_DUTY_CLASS_LOAN
    assert (first.HasField("last_visit_date"), first.next_due_date.year) == (False, (await today(bank)).year)
    assert (done.done_percent, done.open_percent, done.HasField("next_due_date")) == (100, 0, False)
    assert await mia.names("mia") == ["c1", "c2", "c3", "c4"]
    assert await reason_of(mia.due("sue")) == "NOT_FOUND"
    assert await reason_of(Asker(bank, "sue", branch="south").due("mia")) == "NOT_FOUND"


async def test_a_head_lists_those_of_his_branch_and_of_those_below(bank) -> None:
    head, region = Asker(bank, "hal", Role.BRANCH_HEAD), Asker(bank, "rex", Role.BRANCH_HEAD, "region")
    assert await head.names("mia") == await region.names("mia") == ["c1", "c2", "c3", "c4"]
    assert await head.names("-", branch="branches/north") == ["c1", "c2", "c3", "c4"]
    assert await region.names("-", branch="branches/south") == ["d0", "d1"]
    for call in (head.due("sue"), head.due("-", branch="branches/south"), head.due("nobody")):
        assert await reason_of(call) == "NOT_FOUND"
    assert await reason_of(head.due("-")) == "FIELD_INVALID"
    later = date_to_wire((await today(bank)).replace(day=28) + timedelta(days=5))
    assert await reason_of(head.due("mia", month_date=later)) == "FIELD_INVALID"


async def test_nobody_lists_himself(bank) -> None:
    assert await Asker(bank, "c1", Role.BRANCH_HEAD).names("mia") == ["c2", "c3", "c4"]


async def test_pages_of_due_visits_join(bank) -> None:
    mia = Asker(bank, "mia")
    page = await mia.due("mia", page_size=3)
    rest = await mia.due("mia", page_size=3, page_token=page.next_page_token)
    found = [one.customer for one in (*page.due_visits, *rest.due_visits)]
    assert (found, rest.next_page_token) == ([f"customers/c{n}" for n in (1, 2, 3, 4)], "")


async def test_the_private_manager_has_the_duty_wherever_he_sits(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("INSERT INTO private_manager VALUES ('c2', 'pam', 'r', 't', '2020-01-01')"))
    pam = Asker(bank, "pam", Role.PRIVATE_MANAGER, "office")
    assert await pam.names("pam") == ["c2"]
    assert await Asker(bank, "mia").names("mia") == ["c1", "c3", "c4"]
    assert await Asker(bank, "hal", Role.BRANCH_HEAD).names("-", branch="branches/north") == ["c1", "c2", "c3", "c4"]


async def test_customers_who_are_frozen_or_gone_are_nobodys_duty(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE ownership SET state = 'FROZEN' WHERE customer_id = 'c1'"))
        await tx.execute(text("UPDATE ownership SET state = 'FORMER' WHERE customer_id = 'c2'"))
        await tx.execute(text("UPDATE owner SET manager_id = NULL WHERE customer_id = 'c3'"))
    assert await Asker(bank, "mia").names("mia") == ["c4"]


async def test_summaries_add_up_by_manager_for_heads(bank) -> None:
    head, region = Asker(bank, "hal", Role.BRANCH_HEAD), Asker(bank, "rex", Role.BRANCH_HEAD, "region")
    [mia] = (await head.summaries("north")).visit_summaries
    assert (mia.manager, mia.customer_count, mia.due_count, mia.done_percent) == ("staff/mia", 5, 5, 100)
    counts = {visit_pb2.VisitState.Name(one.state): one.visit_count for one in mia.state_counts}
    assert counts == {"VISIT_STATE_VALID": 1, "VISIT_STATE_SUSPICIOUS": 1}
    page = await region.summaries("region", include_subtree=True, page_size=1)
    rest = await region.summaries("region", include_subtree=True, page_size=1, page_token=page.next_page_token)
    assert [one.manager for one in (*page.visit_summaries, *rest.visit_summaries)] == ["staff/mia", "staff/sue"]
    assert len((await region.summaries("region")).visit_summaries) == 0
    for call in (head.summaries("south"), Asker(bank, "mia").summaries("north")):
        assert await reason_of(call) == "NOT_FOUND"


async def test_a_policy_starts_with_a_month_to_come_and_never_changes(bank) -> None:
    admin = Asker(bank, "ada", Role.ADMIN)
    name = pb.GetVisitPolicyRequest(name="visitPolicies/1")
    first = await admin.stub.GetVisitPolicy(name, metadata=admin.metadata)
    assert (first.radius_m, first.whole_until_day, len(first.lines), first.actor) == (500, 15, 4, "migration")
    day = (await today(bank)).replace(day=28) + timedelta(days=10)
    wanted = visit_duty_pb2.VisitPolicy()
    wanted.CopyFrom(first)
    wanted.MergeFrom(visit_duty_pb2.VisitPolicy(reason="less", radius_m=300))
    assert await reason_of(admin.set_policy(wanted)) == "FIELD_INVALID", "it started long ago"
    wanted.MergeFrom(visit_duty_pb2.VisitPolicy(from_date=date_to_wire(day.replace(day=1))))
    second = await admin.set_policy(wanted)
    assert (second.name, second.radius_m, second.actor, second.lines) == ("visitPolicies/2", 300, "ada", first.lines)
    page = await admin.stub.ListVisitPolicies(pb.ListVisitPoliciesRequest(page_size=1), metadata=admin.metadata)
    more = pb.ListVisitPoliciesRequest(page_size=1, page_token=page.next_page_token)
    rest = await admin.stub.ListVisitPolicies(more, metadata=admin.metadata)
    assert [*page.visit_policies, *rest.visit_policies] == [second, first]
    for wrong in ("visitPolicies/9", "visitPolicies/x", "visitPolicies/99999999999"):
        call = admin.stub.GetVisitPolicy(pb.GetVisitPolicyRequest(name=wrong), metadata=admin.metadata)
        assert await reason_of(call) == "NOT_FOUND"
    assert await reason_of(Asker(bank, "mia").set_policy(wanted)) == "ROLE_FORBIDDEN"


async def test_due_visits_are_audited_by_customer(bank) -> None:
    await Asker(bank, "mia").due("mia")
    asked = text("SELECT count(*) FROM audit WHERE method = 'ListDueVisits' AND caller = 'mia' AND customer_id = 'c4'")
    async with bank.parts.database.read() as conn:
        assert (await conn.execute(asked)).scalar_one() >= 1
