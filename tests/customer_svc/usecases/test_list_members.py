import asyncio

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.groups import Draft, Group, Kind
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store.group_members import Place
from services.customer_svc.usecases import keep_groups, list_members
from services.customer_svc.usecases.list_members import Chunk

HEAD = Reading(Viewer("h1", "b1", frozenset({"BRANCH_HEAD"})), "r1", "StreamGroup")
ADDING = Reading(HEAD.viewer, "r0", "AddMembers")
SERVICE = Reading(Viewer("campaign_svc", "", frozenset({"SERVICE"})), "r2", "StreamGroup")
CUSTOMERS = [f"c{number:02}" for number in range(25)]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(list_members, "CHUNK_MEMBERS", 10)


@pytest.fixture
async def listed(bank) -> Group:
    """A list of the head of b1, of 25 customers; the last five are not his any more."""
    await bank.load("customers", [{"customer_id": customer_id} for customer_id in CUSTOMERS])
    await bank.own({customer_id: [Owner("b1", "PRIMARY", None, None)] for customer_id in CUSTOMERS})
    await bank.grow({"b1": None})
    async with bank.database.begin() as tx:
        group = await keep_groups.create_group(tx, Draft("g", kind=Kind.LIST), None, HEAD.viewer)
        await list_members.add_members(tx, group.group_id, CUSTOMERS, ADDING)
    await bank.own({customer_id: [Owner("b2", "PRIMARY", None, None)] for customer_id in CUSTOMERS[20:]})
    return group


async def streamed(bank, group: Group, reading: Reading, after: Place | None = None) -> list[Chunk]:
    return [chunk async for chunk in list_members.stream_members(bank.database, group.group_id, reading, after)]


async def audited(bank, request_id: str) -> list[tuple[str, dict[str, str]]]:
    statement = text(
        "SELECT customer_id, detail FROM audit WHERE request_id = :id AND method = 'StreamGroup' ORDER BY audit_id"
    )
    async with bank.database.read() as conn:
        return [tuple(row) for row in await conn.execute(statement, {"id": request_id})]


async def test_a_service_gets_all_members_and_is_noted_once(bank, listed) -> None:
    chunks = await streamed(bank, listed, SERVICE)
    assert [len(chunk.customer_ids) for chunk in chunks] == [10, 10, 5]
    assert [chunk.complete for chunk in chunks] == [False, False, True]
    assert [customer_id for chunk in chunks for customer_id in chunk.customer_ids] == CUSTOMERS
    assert await audited(bank, "r2") == [("", {"group": listed.group_id, "generation": "1"})]
    rest = await streamed(bank, listed, SERVICE, chunks[0].place)
    assert [customer_id for chunk in rest for customer_id in chunk.customer_ids] == CUSTOMERS[10:]


async def test_the_owner_gets_those_whom_he_sees_now_and_each_is_noted(bank, listed) -> None:
    chunks = await streamed(bank, listed, HEAD)
    assert [customer_id for chunk in chunks for customer_id in chunk.customer_ids] == CUSTOMERS[:20]
    assert chunks[-1].complete
    assert sorted(customer_id for customer_id, _ in await audited(bank, "r1")) == CUSTOMERS[:20]


async def test_a_stream_whose_members_are_gone_says_so(bank, listed) -> None:
    stream = list_members.stream_members(bank.database, listed.group_id, SERVICE, None)
    first = await anext(stream)
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE customer_groups SET live_generation = 2"))
    assert [chunk.rebuilt async for chunk in stream] == [True]
    with pytest.raises(Refused) as raised:
        await streamed(bank, listed, SERVICE, first.place)
    assert raised.value.reason == "GROUP_REBUILT"


async def test_a_reader_who_is_slow_holds_no_connection(bank, listed) -> None:
    streams = [list_members.stream_members(bank.database, listed.group_id, SERVICE, None) for _ in range(20)]
    assert {len((await anext(stream)).customer_ids) for stream in streams} == {10}
    async with asyncio.timeout(5), bank.database.read() as conn:
        backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        assert (await conn.execute(text(backends))).scalar_one() == 1
    for stream in streams:
        await stream.aclose()


async def test_a_list_has_its_limit(bank, listed, monkeypatch) -> None:
    monkeypatch.setattr(list_members, "LIST_MEMBERS_MAX", 25)
    await bank.load("customers", [{"customer_id": "one-more"}])
    await bank.own({"one-more": [Owner("b1", "PRIMARY", None, None)]})
    with pytest.raises(Refused) as raised:
        async with bank.database.begin() as tx:
            await list_members.add_members(tx, listed.group_id, ["one-more"], HEAD)
    assert (raised.value.reason, raised.value.metadata) == ("MEMBERS_TOO_MANY", {"limit": "25"})
    async with bank.database.begin() as tx:
        assert (await list_members.add_members(tx, listed.group_id, CUSTOMERS[:3], HEAD)).count == 0


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("role", ["ANALYST", "MARKETER"])
async def test_who_sees_counts_only_is_not_told_who_was_on_his_list(bank, role: str) -> None:
    counting = Reading(Viewer("a1", "b1", frozenset({role})), "r3", "RemoveMembers")
    async with bank.database.begin() as tx:
        frozen = await keep_groups.create_group(tx, Draft("f", kind=Kind.LIST), None, counting.viewer)
        await tx.execute(text("INSERT INTO group_members VALUES ('c00', :id, 1)"), {"id": frozen.group_id})
    with pytest.raises(Refused) as raised:
        async with bank.database.begin() as tx:
            await list_members.remove_members(tx, frozen.group_id, ["c00", "c01"], counting)
    assert raised.value.reason == "FIELD_FORBIDDEN"
