"""The third role over the wire: named by the primary head, ended by him or with the key mark."""

import asyncio
import uuid
from datetime import date
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import ownership_service_pb2 as pb
from banyan.assignment.v1 import ownership_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role

EMPTY = "TRUNCATE branch, staff, ownership, owner, owner_period, private_manager, private_manager_period"
STAFF = (
    "INSERT INTO staff (staff_id, display_name, branch_id, roles, active_until_date)"
    " VALUES (:id, :id, :branch, CAST(:roles AS text[]), CAST(:until AS date))"
)
OWNED = """
WITH root AS (INSERT INTO ownership (customer_id, state, business_date)
  SELECT 'c' || n, 'LIVE', '2026-06-30' FROM generate_series(0, :last) AS n)
INSERT INTO owner (customer_id, branch_id, side, rule, held_by_margin, since_date, from_date, actor)
SELECT 'c' || n, branch, side, 'DEPOSIT', false, '2026-06-30', '2026-06-30', 'test'
FROM generate_series(0, :last) AS n, (VALUES ('north', 'PRIMARY'), ('south', 'SECONDARY')) AS sides (branch, side)
"""


@pytest.fixture
async def bank(service):
    """Every customer c0, c1 … is a key customer of branch north; pm sits at head office."""
    service.key_customers.ids = {f"c{n}" for n in range(64)}
    service.key_customers.reachable = True
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(OWNED), {"last": 63})
        for staff_id, roles, until in (
            ("pm", ["PRIVATE_MANAGER"], None),
            ("pm2", ["PRIVATE_MANAGER"], None),
            ("gone", ["PRIVATE_MANAGER"], date(2020, 1, 1)),
            ("teller", ["TELLER"], None),
        ):
            values = {"id": staff_id, "branch": "office", "roles": roles, "until": until}
            await tx.execute(text(STAFF), values)
    yield service
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text("DELETE FROM private_manager_policy WHERE version > 1"))


class Asker:
    """Calls as somebody, each write with the etag of now unless another is given."""

    def __init__(self, service, *roles: Role, branch: str = "north", staff: str = "head") -> None:
        self._stub = ownership_service_pb2_grpc.OwnershipServiceStub(service.channel)
        is_service = Role.SERVICE in roles
        signed_in = service.signed_in
        self._metadata = (
            signed_in.service() if is_service else signed_in.staff(*roles, staff_id=staff, branch_id=branch)
        )

    async def get(self, customer: str = "c0"):
        request = pb.GetOwnershipRequest(name=f"customers/{customer}/ownership")
        return await self._stub.GetOwnership(request, metadata=self._metadata)

    async def assign(self, staff: str = "pm", customer: str = "c0", etag: str | None = None, request_id: str = ""):
        request = pb.AssignPrivateManagerRequest(
            name=f"customers/{customer}/ownership",
            private_manager=f"staff/{staff}",
            reason="he asked for one",
            etag=(await self.get(customer)).etag if etag is None else etag,
            request_id=request_id or str(uuid.uuid4()),
        )
        return (await self._stub.AssignPrivateManager(request, metadata=self._metadata)).ownership

    async def remove(self, customer: str = "c0", **given):
        name = f"customers/{customer}/ownership"
        request = pb.RemovePrivateManagerRequest(name=name, reason="over", request_id=str(uuid.uuid4()), **given)
        return (await self._stub.RemovePrivateManager(request, metadata=self._metadata)).ownership

    async def periods(self, customer: str = "c0", size: int = 0, token: str = ""):
        request = pb.ListPrivateManagerPeriodsRequest(parent=f"customers/{customer}", page_size=size, page_token=token)
        return await self._stub.ListPrivateManagerPeriods(request, metadata=self._metadata)

    async def listed(self, branch: str):
        request = pb.ListOwnershipsRequest(parent=f"branches/{branch}")
        found = await self._stub.ListOwnerships(request, metadata=self._metadata)
        return [one.name.split("/")[1] for one in found.ownerships]


async def reason_of(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return caught.value.code(), info.reason


async def count(service, table: str = "private_manager") -> int:
    async with service.parts.database.read() as conn:
        return (await conn.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def test_the_primary_head_names_one_replaces_him_and_ends_it_and_all_is_history(bank) -> None:
    head = Asker(bank, Role.BRANCH_HEAD)
    assert (await head.get()).private_manager == ""
    first = await head.assign()
    assert first.private_manager == "staff/pm"
    second = await head.assign("pm2", etag=first.etag)
    assert (second.private_manager, second.etag != first.etag) == ("staff/pm2", True)
    ended = await head.remove(etag=second.etag)
    assert (ended.private_manager, (await head.get()).private_manager) == ("", "")
    page = await head.periods(size=1)
    [youngest] = page.private_manager_periods
    assert (youngest.private_manager, youngest.actor, youngest.reason) == ("staff/pm2", "head", "he asked for one")
    assert (youngest.end_actor, youngest.end_reason) == ("head", "over")
    rest = await head.periods(size=1, token=page.next_page_token)
    assert [one.private_manager for one in rest.private_manager_periods] == ["staff/pm"]
    assert rest.next_page_token == ""


async def test_one_who_is_there_already_stays_without_a_new_row(bank) -> None:
    head = Asker(bank, Role.BRANCH_HEAD)
    first = await head.assign()
    assert (await head.assign(etag=first.etag)).etag == first.etag
    assert (await count(bank), await count(bank, "private_manager_period")) == (1, 0)


async def test_the_same_request_gives_the_same_answer_even_when_nobody_can_be_asked_any_more(bank) -> None:
    head, request_id = Asker(bank, Role.BRANCH_HEAD), str(uuid.uuid4())
    etag = (await head.get()).etag
    first = await head.assign(etag=etag, request_id=request_id)
    bank.key_customers.reachable = False
    assert await head.assign(etag=etag, request_id=request_id) == first
    code, reason = await reason_of(head.assign("pm2"))
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "CUSTOMERS_UNREACHABLE")
    assert (await head.get()).private_manager == "staff/pm", "nothing half-done"


@pytest.mark.parametrize(
    ("staff", "customer", "etag", "refusal"),
    [
        ("pm", "c0", "0", (grpc.StatusCode.ABORTED, "ETAG_OLD")),
        ("gone", "c0", None, (grpc.StatusCode.FAILED_PRECONDITION, "PRIVATE_MANAGER_UNFIT")),
        ("teller", "c0", None, (grpc.StatusCode.FAILED_PRECONDITION, "PRIVATE_MANAGER_UNFIT")),
        ("nobody", "c0", None, (grpc.StatusCode.FAILED_PRECONDITION, "PRIVATE_MANAGER_UNFIT")),
        ("pm", "c63", None, (grpc.StatusCode.FAILED_PRECONDITION, "CUSTOMER_NOT_KEY")),
        ("pm", "c99", "0", (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")),
    ],
)
async def test_who_may_not_be_named_is_refused(bank, staff, customer, etag, refusal) -> None:
    bank.key_customers.ids.discard("c63")
    assert await reason_of(Asker(bank, Role.BRANCH_HEAD).assign(staff, customer, etag)) == refusal
    assert await count(bank) == 0


async def test_a_customer_without_live_ownership_gets_none(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE ownership SET state = 'FROZEN' WHERE customer_id = 'c0'"))
    refusal = await reason_of(Asker(bank, Role.BRANCH_HEAD).assign())
    assert refusal == (grpc.StatusCode.FAILED_PRECONDITION, "OWNERSHIP_NOT_LIVE")


async def test_nobody_but_the_primary_head_names_one(bank) -> None:
    secondary = Asker(bank, Role.BRANCH_HEAD, branch="south")
    forbidden = (grpc.StatusCode.PERMISSION_DENIED, "NOT_PRIMARY_HEAD")
    assert await reason_of(secondary.assign(etag="0")) == forbidden
    elsewhere = Asker(bank, Role.BRANCH_HEAD, branch="east")
    assert (await reason_of(elsewhere.assign(etag="0")))[1] == "NOT_FOUND"
    manager = Asker(bank, Role.MANAGER)
    assert (await reason_of(manager.assign(etag="0")))[1] == "ROLE_FORBIDDEN"
    assert await reason_of(secondary.remove(etag="0")) == forbidden
    assert (await reason_of(Asker(bank, Role.BRANCH_HEAD).remove()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_service_ends_it_without_an_etag_only_for_the_one_it_means_and_again_without_harm(bank) -> None:
    head, job = Asker(bank, Role.BRANCH_HEAD), Asker(bank, Role.SERVICE)
    await head.assign()
    assert (await job.remove(private_manager="staff/pm2")).private_manager == "staff/pm"
    assert (await job.remove(private_manager="staff/pm")).private_manager == ""
    before = (await head.get()).etag
    assert (await job.remove(private_manager="staff/pm")).etag == before
    assert (await reason_of(job.remove("c99")))[0] is grpc.StatusCode.NOT_FOUND


async def test_the_private_manager_sees_as_the_primary_side_and_others_at_his_branch_do_not(bank) -> None:
    await Asker(bank, Role.BRANCH_HEAD).assign()
    mine = Asker(bank, Role.PRIVATE_MANAGER, branch="office", staff="pm")
    seen = await mine.get()
    assert ([owner.branch for owner in seen.owners], seen.private_manager) == (
        ["branches/north", "branches/south"],
        "staff/pm",
    )
    assert await mine.listed("north") == ["c0"]
    assert await mine.listed("south") == [], "the row of a secondary side is not his"
    assert len((await mine.periods()).private_manager_periods) == 1
    other = Asker(bank, Role.PRIVATE_MANAGER, branch="office", staff="pm2")
    assert (await reason_of(other.get()))[0] is grpc.StatusCode.NOT_FOUND
    assert await other.listed("north") == []
    secondary = Asker(bank, Role.BRANCH_HEAD, branch="south")
    assert (await secondary.get()).private_manager == ""
    assert (await reason_of(secondary.periods()))[0] is grpc.StatusCode.NOT_FOUND


async def test_followers_are_told_him_with_the_whole(bank) -> None:
    head = Asker(bank, Role.BRANCH_HEAD)
    stub: Any = ownership_service_pb2_grpc.OwnershipServiceStub(bank.channel)
    watch = stub.WatchOwnershipChanges(pb.WatchOwnershipChangesRequest(), metadata=bank.signed_in.service())
    await head.assign()
    async with asyncio.timeout(10):
        async for message in watch:
            told = {change.ownership.name: change.ownership for change in message.changes}
            if "customers/c0/ownership" in told and told["customers/c0/ownership"].private_manager:
                assert len(told["customers/c0/ownership"].owners) == 2
                break
    watch.cancel()


async def test_sixty_four_heads_at_once_never_give_one_more_than_he_may_have(bank) -> None:
    async with bank.parts.database.begin() as tx:
        filled = "INSERT INTO private_manager SELECT 'x' || n, 'pm', 'r', 'test' FROM generate_series(1, 100) AS n"
        await tx.execute(text(filled))
    head = Asker(bank, Role.BRANCH_HEAD)
    etags = [(await head.get(f"c{n}")).etag for n in range(64)]
    calls = (head.assign(customer=f"c{n}", etag=etag) for n, etag in enumerate(etags))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert {answer.code() for answer in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert (len(refused), await count(bank)) == (44, 120)


async def test_a_new_version_of_the_limit_counts_at_once(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("INSERT INTO private_manager_policy (version, customers_max, actor) VALUES (2, 1, 't')"))
    head = Asker(bank, Role.BRANCH_HEAD)
    await head.assign()
    assert await reason_of(head.assign(customer="c1")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CAPACITY")
    assert (await head.assign("pm2", "c1")).private_manager == "staff/pm2"
