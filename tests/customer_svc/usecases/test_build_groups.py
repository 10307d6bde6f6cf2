import asyncio
from datetime import date
from typing import Any

import pytest
from banyan.customer.v1 import customer_condition_pb2, customer_group_pb2
from banyan.customer.v1 import customer_group_service_pb2 as pb
from sqlalchemy import text

from chassis.errors import Refused
from chassis.operations import Operations
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.groups import Draft, Group, Sharing
from services.customer_svc.domain.org import Staff
from services.customer_svc.domain.viewing import Level, Viewer
from services.customer_svc.jobs.group_upkeep import build_nightly, clear_once
from services.customer_svc.rpc.convert_groups import reader_of
from services.customer_svc.rpc.customer_group_service import BUILD, Building
from services.customer_svc.store import group_builds, group_members, groups, org
from services.customer_svc.store.group_members import Place
from services.customer_svc.usecases import keep_groups
from services.customer_svc.usecases.build_groups import Work, build_group
from services.customer_svc.usecases.keep_groups import Change
from services.customer_svc.usecases.refer_to_groups import least_of_groups

READ = reader_of("CNY")
HEAD = Viewer("h1", "b1", frozenset({"BRANCH_HEAD"}))
CUSTOMERS = [f"c{number:02}" for number in range(25)]
DAY = date(2026, 6, 30)
Condition: Any = customer_condition_pb2.CustomerCondition


def raw_of(*conditions: Any) -> bytes:
    return customer_group_pb2.SavedQuery(conditions=conditions).SerializeToString()


@pytest.fixture(autouse=True)
async def _branch(bank, monkeypatch):
    """25 customers of b1, of whom a build takes 10 at a time."""
    monkeypatch.setattr(group_builds, "BATCH_CUSTOMERS", 10)
    await bank.load("customers", [{"customer_id": customer_id} for customer_id in CUSTOMERS])
    await bank.own({customer_id: [Owner("b1", "PRIMARY", None, None)] for customer_id in CUSTOMERS})
    await bank.grow({"b1": None})


@pytest.fixture
def staffed(bank):
    async def put(*roles: str, until: date | None = None, gone: bool = False) -> None:
        async with bank.database.begin() as tx:
            await org.put_org(tx, [Staff("h1", "b1", "h1", frozenset(roles), None, until)], 1)
            if gone:
                await tx.execute(text("DELETE FROM staff"))

    return put


@pytest.fixture
def make(bank, staffed):
    """`await make(conditions)` stores a query group of the head of b1."""

    async def create(*conditions: Any, **fields: Any) -> Group:
        await staffed("BRANCH_HEAD")
        raw = raw_of(*conditions)
        async with bank.database.begin() as tx:
            return await keep_groups.create_group(tx, Draft("g", query=raw, **fields), READ(raw), HEAD)

    return create


@pytest.fixture
def work(bank):
    """`work("id", stop_after=…)` is an attempt to build; it stops, or breaks off, when so many were looked at."""

    def attempt(build_id: str, stop_after: int | None = None, break_after: int | None = None) -> Work:
        async def tell(done: int, _total: int) -> bool:
            if break_after is not None and done >= break_after:
                raise ConnectionError
            return stop_after is None or done < stop_after

        return Work(bank.database, build_id, READ, tell)

    return attempt


async def members(bank, group_id: str) -> list[str]:
    async with bank.database.read() as conn:
        group = await groups.find(conn, group_id)
        assert group is not None
        assert group.built is not None
        found = list(await group_members.page(conn, group_id, Place(group.built.generation), 100) or ())
    assert group.built.member_count == len(found)
    return found


async def rows(bank) -> int:
    async with bank.database.read() as conn:
        return (await conn.execute(text("SELECT count(*) FROM group_members"))).scalar_one()


async def reason_of(call) -> str:
    with pytest.raises(Refused) as raised:
        await call
    return raised.value.reason


async def test_another_attempt_goes_on_where_one_broke_off(make, work, bank) -> None:
    group = await make()
    with pytest.raises(ConnectionError):
        await build_group(work("op", break_after=10), group.group_id)
    assert await rows(bank) == 10
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE group_members SET customer_id = 'c99' WHERE customer_id = 'c00'"))
    built = await build_group(work("op"), group.group_id)
    assert built is not None
    assert built.built is not None
    assert built.built.least == Level.SECONDARY
    assert await members(bank, group.group_id) == [*CUSTOMERS[1:], "c99"], "the first ten were not looked at again"


async def least_for(bank, group_id: str, viewer: Viewer) -> Level:
    async with bank.database.read() as conn:
        return await least_of_groups(conn, viewer, [group_id])


async def test_what_the_owner_sees_at_one_branch_is_not_told_to_another(make, work, bank) -> None:
    """The head above sees who manages the customer at the primary branch; a secondary branch below does not."""
    await bank.grow({"b1": None, "b2": "b1"})
    managed = Condition(ownership=customer_condition_pb2.OwnershipCondition(manager="staff/m1"))
    named = Condition(identity=customer_condition_pb2.IdentityCondition(display_name_prefix="王"))
    of_group: Any = customer_condition_pb2.GroupCondition
    for condition, least in ((managed, Level.PRIMARY), (named, Level.SECONDARY)):
        group = await make(condition, sharing=Sharing.BRANCH, shared_branch_id="b1")
        await build_group(work("op"), group.group_id)
        referring = await make(
            Condition(group=of_group(any_of=[f"customerGroups/{group.group_id}"])),
            sharing=Sharing.BRANCH,
            shared_branch_id="b1",
        )
        await build_group(work("op2"), referring.group_id)
        for one in (group, referring):
            assert await least_for(bank, one.group_id, HEAD) == Level.SECONDARY
            assert await least_for(bank, one.group_id, Viewer("h2", "b2", HEAD.roles)) == least


async def test_a_killed_worker_is_followed_by_another(make, bank, monkeypatch) -> None:
    group = await make()
    hanging, taken = asyncio.Event(), group_builds.take_batch

    async def take(tx, build, after, asked):
        if after >= CUSTOMERS[9]:
            hanging.set()
            await asyncio.sleep(60)
        return await taken(tx, build, after, asked)

    operations = Operations(bank.database, "customer", {BUILD: Building(bank.database, bank.keys, "CNY")})
    request = pb.BuildCustomerGroupRequest(name=f"customerGroups/{group.group_id}", request_id="r")
    async with bank.database.begin() as tx:
        await operations.start(tx, BUILD, request, "h1", "r")
    monkeypatch.setattr(group_builds, "take_batch", take)
    first = asyncio.create_task(operations.work())
    await hanging.wait()
    first.cancel()
    await asyncio.wait([first])
    assert await rows(bank) == 10
    monkeypatch.setattr(group_builds, "take_batch", taken)
    second = asyncio.create_task(operations.work())
    while not (await _ended(bank)):  # noqa: ASYNC110 -- the database has no event
        await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.wait([second])
    assert await members(bank, group.group_id) == CUSTOMERS
    assert await rows(bank) == 25, "one generation: the second worker went on"


async def _ended(bank) -> bool:
    async with bank.database.read() as conn:
        return (await conn.execute(text("SELECT state = 'DONE' FROM operation"))).scalar_one()


async def test_old_members_stay_until_the_new_ones_are_there_and_an_hour_longer(make, work, bank) -> None:
    group = await make()
    await build_group(work("one"), group.group_id)
    await bank.own({CUSTOMERS[0]: []})
    with pytest.raises(ConnectionError):
        await build_group(work("two", break_after=20), group.group_id)
    assert await members(bank, group.group_id) == CUSTOMERS
    await build_group(work("two"), group.group_id)
    assert await members(bank, group.group_id) == CUSTOMERS[1:]
    async with bank.database.read() as conn:
        assert len(await group_members.page(conn, group.group_id, Place(1), 100) or ()) == 25
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE group_generations_ended SET end_time = bank_now() - interval '61 minutes'"))
    async with bank.database.read() as conn:
        assert await group_members.page(conn, group.group_id, Place(1), 100) is None
    await clear_once(bank.database)
    assert await rows(bank) == 24


async def test_a_build_that_is_told_to_stop_leaves_nothing_for_long(make, work, bank) -> None:
    group = await make()
    assert await build_group(work("op", stop_after=10), group.group_id) is None
    assert await rows(bank) == 10
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE group_generations_ended SET end_time = bank_now() - interval '2 hours'"))
    await clear_once(bank.database)
    assert await rows(bank) == 0


async def test_a_build_gives_up_when_something_overtakes_it(make, work, bank) -> None:
    group = await make()
    changed = raw_of(Condition(identity=customer_condition_pb2.IdentityCondition(age_min=1)))

    async def change(_done: int, _total: int) -> bool:
        async with bank.database.begin() as tx:
            await keep_groups.update_group(tx, group.group_id, Change({"query": changed}, READ(changed)), HEAD)
        return True

    assert await reason_of(build_group(Work(bank.database, "op", READ, change), group.group_id)) == "GROUP_CHANGED"

    async def overtake(done: int, _total: int) -> bool:
        if done == 10:
            await build_group(work("younger"), group.group_id)
        return True

    assert await reason_of(build_group(Work(bank.database, "op", READ, overtake), group.group_id)) == "GROUP_CHANGED"
    assert await members(bank, group.group_id) == []


async def test_a_build_gives_up_when_a_group_that_it_names_is_built_meanwhile(make, work, bank) -> None:
    inner = await make()
    await build_group(work("inner"), inner.group_id)
    name = f"customerGroups/{inner.group_id}"
    outer = await make(Condition(group=customer_condition_pb2.GroupCondition(any_of=[name])))

    async def rebuild(done: int, _total: int) -> bool:
        if done == 10:
            await build_group(work("again"), inner.group_id)
        return True

    assert await reason_of(build_group(Work(bank.database, "op", READ, rebuild), outer.group_id)) == "GROUP_CHANGED"
    await build_group(work("op"), outer.group_id)
    assert await members(bank, outer.group_id) == CUSTOMERS


async def test_nothing_is_built_in_the_name_of_who_left_or_lost_his_rights(make, work, staffed) -> None:
    by_total = customer_condition_pb2.DepositCondition(
        scope=customer_condition_pb2.DepositCondition.SCOPE_TOTAL, holds=True
    )
    plain, rich = await make(), await make(Condition(deposit=by_total))
    for group, roles, fields in (
        (plain, ("BRANCH_HEAD",), {"gone": True}),
        (plain, ("BRANCH_HEAD",), {"until": date(2026, 6, 29)}),
        (plain, ("ADMIN", "TELLER"), {}),
        (rich, ("TELLER",), {}),
    ):
        await staffed(*roles, **fields)
        assert await reason_of(build_group(work("op"), group.group_id)) == "OWNER_UNFIT"
    await staffed("BRANCH_HEAD", until=DAY)
    assert await build_group(work("op"), rich.group_id) is not None, "his last day counts"


async def test_groups_are_built_once_a_night(make, bank, work) -> None:
    nightly, other = await make(refresh_nightly=True), await make()
    await build_group(work("op"), other.group_id)
    job = asyncio.create_task(build_nightly(bank.database, READ, settle_seconds=0, look_seconds=0.02))
    for day in (DAY, date(2026, 7, 1)):
        await bank.load("customers", [{"customer_id": "c00", "display_name": day.isoformat()}], day)
        async with asyncio.timeout(10):
            while await _built_date(bank, nightly.group_id) != day:  # noqa: ASYNC110 -- the database has no event
                await asyncio.sleep(0.02)
    assert not job.done()
    job.cancel()
    await asyncio.wait([job])
    assert await members(bank, nightly.group_id) == CUSTOMERS
    assert await _built_date(bank, other.group_id) == DAY, "is not marked"


async def _built_date(bank, group_id: str) -> date | None:
    async with bank.database.read() as conn:
        statement = text("SELECT built_date FROM customer_groups WHERE group_id = :group_id")
        return (await conn.execute(statement, {"group_id": group_id})).scalar_one()
