import asyncio
from datetime import date
from typing import Any

import pytest
from banyan.customer.v1 import customer_condition_pb2, customer_group_pb2

from chassis.errors import Refused
from services.customer_svc.domain.groups import Draft, Group, GroupOrder, Kind, Sharing, Whose
from services.customer_svc.domain.viewing import Viewer
from services.customer_svc.rpc.convert_groups import reader_of
from services.customer_svc.store import group_members, groups
from services.customer_svc.store.groups import Listed
from services.customer_svc.usecases import keep_groups
from services.customer_svc.usecases.keep_groups import Change

READ = reader_of("CNY")
HEAD = Viewer("h1", "b1", frozenset({"BRANCH_HEAD"}))
In: Any = customer_condition_pb2.GroupCondition
Condition: Any = customer_condition_pb2.CustomerCondition
Query: Any = customer_group_pb2.SavedQuery


def members_of(*group_ids: str) -> bytes:
    names = [f"customerGroups/{group_id}" for group_id in group_ids]
    return Query(conditions=[Condition(group=In(any_of=names))] if names else []).SerializeToString()


@pytest.fixture
async def keep(bank):
    """`await keep(*group_ids)` stores a group that refers to these, as if it had been built."""
    await bank.grow({"b1": None, "b2": "b1"})

    async def make(*group_ids: str, **fields: Any) -> Group:
        raw = members_of(*group_ids)
        async with bank.database.begin() as tx:
            group = await keep_groups.create_group(tx, Draft("g", query=raw, **fields), READ(raw), HEAD)
            await group_members.open_list(tx, group.group_id)
        return group

    return make


@pytest.fixture
def refer(bank):
    """`await refer(a, b)` makes a group refer to another one."""

    async def change(group: Group, *others: Group) -> Group:
        raw = members_of(*(other.group_id for other in others))

        async def work(tx):
            return await keep_groups.update_group(tx, group.group_id, Change({"query": raw}, READ(raw)), HEAD)

        return await bank.database.repeat(work)

    return change


async def test_a_group_never_refers_to_itself(keep, refer) -> None:
    first = await keep()
    second = await keep(first.group_id)
    third = await keep(second.group_id)
    for group, other in ((first, first), (first, second), (first, third), (second, third)):
        with pytest.raises(Refused) as raised:
            await refer(group, other)
        assert raised.value.reason == "GROUP_CYCLE"
    assert (await refer(third, first)).query_version == third.query_version + 1


async def test_two_changes_that_race_make_no_cycle(keep, refer, bank) -> None:
    for _ in range(10):
        one, other = await keep(), await keep()
        ends = await asyncio.gather(refer(one, other), refer(other, one), return_exceptions=True)
        assert {type(end) for end in ends} == {Group, Refused}
        async with bank.database.read() as conn:
            after_one = await groups.reached(conn, [one.group_id])
            after_other = await groups.reached(conn, [other.group_id])
        assert not (other.group_id in after_one and one.group_id in after_other)


async def test_a_deletion_that_races_a_reference_leaves_none_to_a_deleted_group(keep, refer, bank) -> None:
    async def delete(group: Group) -> None:
        async with bank.database.begin() as tx:
            await keep_groups.delete_group(tx, group.group_id, HEAD, "")

    for _ in range(10):
        inner, outer = await keep(), await keep()
        await asyncio.gather(delete(inner), refer(outer, inner), return_exceptions=True)
        async with bank.database.read() as conn:
            found = await groups.find(conn, inner.group_id)
            referring = await groups.referring(conn, inner.group_id)
        assert found is not None
        assert (found.delete_time is None) or not referring


async def test_nobody_has_groups_without_end(keep, monkeypatch) -> None:
    monkeypatch.setattr(keep_groups, "GROUPS_OF_ONE_MAX", 1)
    await keep()
    with pytest.raises(Refused) as raised:
        await keep()
    assert (raised.value.reason, raised.value.metadata) == ("GROUPS_TOO_MANY", {"limit": "1"})


async def test_who_refers_in_secret_is_only_counted(keep, bank) -> None:
    shared = await keep(sharing=Sharing.BRANCH, shared_branch_id="b1")
    other = Viewer("h2", "b1", frozenset({"BRANCH_HEAD"}))
    raw = members_of(shared.group_id)
    async with bank.database.begin() as tx:
        await keep_groups.create_group(tx, Draft("secret", query=raw), READ(raw), other)
    with pytest.raises(Refused) as raised:
        async with bank.database.begin() as tx:
            await keep_groups.delete_group(tx, shared.group_id, HEAD, "")
    assert raised.value.metadata == {"customer_groups": "", "hidden_count": "1"}


async def test_a_query_that_names_somebody_is_shown_to_its_owner_only(bank) -> None:
    await bank.grow({"b1": None})
    named = Query(
        conditions=[Condition(identity=customer_condition_pb2.IdentityCondition(display_name_prefix="王"))]
    ).SerializeToString()
    shown: dict[str, list[bool]] = {}
    for label, raw in (("names", named), ("plain", members_of())):
        draft = Draft(label, query=raw, sharing=Sharing.BRANCH, shared_branch_id="b1")
        async with bank.database.begin() as tx:
            group = await keep_groups.create_group(tx, draft, READ(raw), HEAD)
        async with bank.database.read() as conn:
            seen = [
                await keep_groups.get_group(conn, group.group_id, viewer, READ)
                for viewer in (HEAD, Viewer("m1", "b1", frozenset({"MANAGER"})))
            ]
        shown[label] = [one.query is not None for one in seen]
    assert shown == {"names": [True, False], "plain": [True, True]}


async def test_groups_to_be_built_each_night_come_after_those_they_refer_to(keep, refer, bank) -> None:
    one = await keep(refresh_nightly=True)
    other = await keep(refresh_nightly=True)
    await keep()
    await refer(one, other)
    async with bank.database.read() as conn:
        due = await groups.due_tonight(conn, date(2026, 6, 30))
    assert due == [other.group_id, one.group_id]


async def test_a_service_is_listed_everybodys_groups(keep, bank) -> None:
    await keep()
    service = Viewer("campaign_svc", "", frozenset({"SERVICE"}))
    async with bank.database.read() as conn:
        found = await keep_groups.list_groups(conn, Listed(service, (), Whose.SHARED, GroupOrder.UPDATE_TIME), 10, READ)
    assert [one.group.draft.kind for one in found] == [Kind.QUERY]
