"""Groups, streams and exports agree with what a search shows, whoever owns whom and whoever asks."""

import csv
import io
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from uuid import uuid4

from banyan.customer.v1 import customer_condition_pb2, customer_group_pb2
from google.type.money_pb2 import Money
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chassis.errors import Refused
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.exports import COLUMNS, Format, Order
from services.customer_svc.domain.groups import Draft, Group, Sharing
from services.customer_svc.domain.org import Staff
from services.customer_svc.domain.query import Query
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.rpc.convert_groups import members_of, reader_of
from services.customer_svc.store import org
from services.customer_svc.usecases import export_customers, keep_groups, list_members
from services.customer_svc.usecases.build_groups import Work, build_group
from services.customer_svc.usecases.export_customers import Writing
from services.customer_svc.usecases.search_customers import search_customers

T = TypeVar("T")

READ = reader_of("CNY")
BRANCHES = ["b0", "b1", "b2"]
PARENTS = {"b0": None, "b1": "b0", "b2": "b0"}
STAFF = ["s0", "s1"]
EXPORTED = ("customer", "display_name", "mobile", "own.deposit_balance", "total.deposit_balance", "primary_manager")
Condition: Any = customer_condition_pb2.CustomerCondition
Deposit: Any = customer_condition_pb2.DepositCondition

QUERIES = st.sampled_from(
    [
        [],
        [Condition(identity=customer_condition_pb2.IdentityCondition(display_name_prefix="王"))],
        [Condition(deposit=Deposit(scope=Deposit.SCOPE_TOTAL, balance_min=Money(units=1)))],
        [Condition(deposit=Deposit(scope=Deposit.SCOPE_OWN, balance_min=Money(units=1)))],
    ]
)
VIEWERS = st.builds(
    Viewer,
    st.sampled_from(STAFF),
    st.sampled_from(BRANCHES),
    st.frozensets(st.sampled_from(["BRANCH_HEAD", "MANAGER", "TELLER"]), min_size=1, max_size=2),
)
# Of each customer: his name, and his branches with their managers, the primary one first.
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["王一", "李二", None]),
        st.lists(
            st.tuples(st.sampled_from(BRANCHES), st.none() | st.sampled_from(STAFF)), unique_by=lambda row: row[0]
        ),
        st.integers(0, 300),
    ),
    max_size=6,
)


@dataclass(frozen=True)
class World:
    people: list[tuple[str | None, list[tuple[str, str | None]], int]]
    owner: Viewer
    viewer: Viewer
    conditions: list[Any]


async def go_on(_done: int, _total: int) -> bool:
    return True


async def fill(bank, world: World) -> None:
    await bank.empty()
    await bank.grow(PARENTS)
    rows = [
        {"customer_id": f"c{number}", "display_name": name, "mobile": f"1380000000{number}"}
        for number, (name, _, _) in enumerate(world.people)
    ]
    await bank.load("customers", rows)
    figures = [
        {"customer_id": f"c{number}", "branch_id": branch, "deposit_balance_minor": amount}
        for number, (_, owners, amount) in enumerate(world.people)
        for branch, _ in owners
    ]
    await bank.load_figures(figures)
    await bank.own(
        {
            f"c{number}": [
                Owner(branch, "SECONDARY" if place else "PRIMARY", manager, date(2026, 1, 1))
                for place, (branch, manager) in enumerate(owners)
            ]
            for number, (_, owners, _) in enumerate(world.people)
        }
    )
    async with bank.database.begin() as tx:
        await org.put_org(tx, [Staff("owner", world.owner.branch_id, "o", world.owner.roles, None, None)], 1)


async def found(bank, query: Query, viewer: Viewer) -> list[Any] | str:
    """What a search shows, or why it does not."""
    reading = Reading(viewer, "r", "SearchCustomers", bank.keys)

    async def search() -> list[Any]:
        async with bank.database.begin() as tx:
            return list((await search_customers(tx, query, reading, None, 100)).views)

    return await outcome(search())


async def outcome(work: Awaitable[T]) -> T | str:
    """What the work gives, or the reason why it is refused."""
    try:
        return await work
    except Refused as refused:
        return refused.reason


async def check(bank, world: World) -> None:
    await fill(bank, world)
    owner = Viewer("owner", world.owner.branch_id, world.owner.roles)
    raw = customer_group_pb2.SavedQuery(conditions=world.conditions).SerializeToString()
    direct = await found(bank, READ(raw), owner)
    draft = Draft("g", sharing=Sharing.BRANCH, shared_branch_id=owner.branch_id, query=raw)

    async def make() -> Group | None:
        async with bank.database.begin() as tx:
            group = await keep_groups.create_group(tx, draft, READ(raw), owner)
        return await build_group(Work(bank.database, "op", READ, go_on), group.group_id)

    built = await outcome(make())
    if isinstance(built, str):
        assert built in (direct, "OWNER_UNFIT"), "refused as the search is, or since a teller owns no group"
        return
    assert built is not None
    assert built.built is not None
    assert isinstance(direct, list)
    members = [view.identity.customer_id for view in direct if view.level.name != "EXISTENCE"]
    reading = Reading(owner, "r", "StreamGroup")
    chunks = [chunk async for chunk in list_members.stream_members(bank.database, built.group_id, reading, None)]
    assert [customer_id for chunk in chunks for customer_id in chunk.customer_ids] == members
    assert built.built.member_count == len(members)

    in_group = READ(members_of(f"customerGroups/{built.group_id}").SerializeToString())
    seen = await found(bank, in_group, world.viewer)
    alone = await found(bank, READ(raw), world.viewer)
    if isinstance(seen, str):
        assert seen in {"NOT_FOUND", "FIELD_FORBIDDEN"}
        return
    shown = {view.identity.customer_id: view for view in seen}
    everybody = await found(bank, Query(), world.viewer)
    assert isinstance(everybody, list)
    visible = {
        view.identity.customer_id: view
        for view in everybody
        if view.level >= built.least_for(world.viewer) and view.identity.customer_id in members
    }
    assert shown == visible, "of the members those whom he sees, at the level that the query looks at"
    assert isinstance(alone, list), "who may refer to the group may ask its query"
    await check_export(bank, world.viewer, in_group, seen)


async def check_export(bank, viewer: Viewer, query: Query, views: list[Any]) -> None:
    """A file has the rows that a search shows, cell by cell, and every one of them is audited."""
    export_id = str(uuid4())
    order, reading = Order("p", Format.CSV, EXPORTED), Reading(viewer, "r", "ExportCustomers", bank.keys)
    async with bank.database.begin() as tx:
        await org.put_org(tx, [Staff(viewer.staff_id, viewer.branch_id, "v", viewer.roles, None, None)], 1)

    async def order_it() -> None:
        async with bank.database.begin() as tx:
            await export_customers.order_export(tx, order, query, reading, export_id)

    if await outcome(order_it()) is not None:
        assert not viewer.roles & {"BRANCH_HEAD", "MANAGER"}
        return
    export = await export_customers.write_export(Writing(bank.database, bank.keys, export_id, query, go_on))
    assert export is not None
    pieces = [piece async for piece in export_customers.read_file(bank.database, export, reading)]
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"), newline="")))
    assert [row["customer"] for row in rows] == [view.identity.customer_id for view in views]
    for row, view in zip(rows, views, strict=True):
        for name in ("display_name", "mobile", "primary_manager"):
            assert row[name] == (COLUMNS[name].value(view) or "")
        assert bool(row["total.deposit_balance"]) == (view.total is not None)
    async with bank.database.read() as conn:
        noted = await conn.execute(
            text("SELECT customer_id FROM audit WHERE request_id = :id ORDER BY customer_id"), {"id": export_id}
        )
        assert list(noted.scalars()) == sorted(row["customer"] for row in rows)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(world=st.builds(World, PEOPLE, VIEWERS, VIEWERS, QUERIES))
async def test_groups_streams_and_exports_agree_with_searches(bank, world) -> None:
    await check(bank, world)
