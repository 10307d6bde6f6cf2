"""Get, search, count and facets agree with each other and with the matrix of domain.md 3, written out slowly."""

from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    ContactCondition,
    ContactCount,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    Not,
    OwnershipCondition,
    Permission,
    ProductSet,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.contact_room import ContactRoom, Instant
from services.customer_svc.domain.counts import exact
from services.customer_svc.domain.customer import Owner, View
from services.customer_svc.domain.query import Facet, Order, OrderField, Query
from services.customer_svc.domain.viewing import Level, Reading, Viewer
from services.customer_svc.store.contact_rooms import put_contact_rooms
from services.customer_svc.usecases.contact_hashes import hashed
from services.customer_svc.usecases.count_customers import count_customers
from services.customer_svc.usecases.facet_customers import facet_customers
from services.customer_svc.usecases.get_customer import get_customer
from services.customer_svc.usecases.search_customers import search_customers

DAY = date(2026, 6, 30)
NOW = datetime.now(UTC)
BRANCHES = ["b0", "b1", "b2", "b3", "b4"]
STAFF = ["s0", "s1"]
BY_NAME = ["BRANCH_HEAD", "MANAGER", "PRIVATE_MANAGER", "LOBBY", "TELLER", "APPROVER", "SERVICE"]
NOBODY = ["MARKETER", "ANALYST", "ADMIN", "AUDITOR"]
DATES = [date(1990, 7, 2), date(1990, 6, 30), date(2008, 2, 29), date(2015, 12, 31)]
AMOUNTS = [0, 5, 7, 100]
TAGS = ["CARD_POTENTIAL", "CHURN_RISK"]
GROUPS = ["g2", "g3"]
CATEGORIES = ["MOBILE", "WEALTH"]
PRODUCTS = ["p1", "p2"]
KEYS = ["SMS/ALL", "ALL/WEALTH", "ALL/ALL"]
ORDERS = [
    *("CUSTOMER", "DISPLAY_NAME", "CUSTOMER_SINCE", "OWN_DEPOSIT_AVERAGE", "TOTAL_DEPOSIT_AVERAGE", "TIER"),
    *("OCCUPATION", "RISK_RATING", "LAST_CONTACT", "OWN_LOAN_OUTSTANDING", "TOTAL_LOAN_OUTSTANDING"),
]


def optional(values):
    return st.none() | st.sampled_from(values)


def some(values):
    return st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple)


FIGURES = st.fixed_dictionaries(
    {
        "deposit_balance_minor": optional(AMOUNTS),
        "deposit_average_minor": optional(AMOUNTS),
        "deposit_month_start_minor": optional(AMOUNTS),
        "demand_balance_minor": optional(AMOUNTS),
        "loan_outstanding_minor": optional(AMOUNTS),
        "account_count": optional([0, 1]),
        "loan_count": optional([0, 1]),
        "counter_90d_count": optional([0, 1]),
        "mobile_90d_count": optional([0, 3]),
        "time_maturity_date": optional([DAY, DAY + timedelta(2), DAY - timedelta(1)]),
        "holding_categories": some(CATEGORIES).map(lambda found: ";".join(sorted(found)) or None),
    }
)
VALUES = st.fixed_dictionaries({"tier": optional([1, 3]), "lifecycle": optional(["ACTIVE", "LOST"])})
ROOMS = st.fixed_dictionaries(
    {
        "last_contact": optional([12, 100]),
        "last_outcome": optional(["REFUSED", "LATER"]),
        "consent_keys": some(KEYS),
        "withdrawn_consent_keys": some(KEYS),
        "opt_out_keys": some(KEYS),
    }
)


@st.composite
def people(draw, person_type, number: int):
    branches = draw(st.lists(st.sampled_from(BRANCHES), unique=True, max_size=3))
    private = draw(optional(STAFF))
    owners = [
        Owner(
            branch,
            "SECONDARY" if place else "PRIMARY",
            draw(optional(STAFF)),
            draw(optional(DATES)),
            None if place else private,
        )
        for place, branch in enumerate(branches)
    ]
    row = {
        "customer_id": f"c{number}",
        "display_name": draw(optional(["王一", "王二", "李%", "a_b"])),
        "sex": draw(optional(["FEMALE", "MALE"])),
        "birth_date": draw(optional(DATES)),
        "mobile": draw(optional(["13800000001", "13800000002"])),
        "occupation": draw(optional(["TEACHER", "COOK"])),
        "customer_since_date": draw(optional(DATES)),
        "state": draw(st.sampled_from(["ACTIVE", "DECEASED", "FROZEN"])),
        "risk_rating": draw(optional([1, 4])),
    }
    places = draw(st.lists(st.sampled_from(BRANCHES), unique=True, max_size=3))
    loans = [
        {
            "branch_id": branch,
            "product": draw(optional(PRODUCTS)),
            "grade": draw(optional(["NORMAL", "LOSS"])),
            "state": draw(st.sampled_from(["LIVE", "SETTLED"])),
            "in_arrears": draw(st.booleans()),
        }
        for branch in places[:2]
    ]
    return person_type(
        row=row,
        owners=owners,
        figures={branch: draw(FIGURES) for branch in [*places, ""]},
        values=draw(VALUES),
        loans=loans,
        holdings=[{"branch_id": branch, "product_code": draw(st.sampled_from(PRODUCTS))} for branch in places],
        tags=sorted(draw(some(TAGS))),
        groups=sorted(draw(some(GROUPS))),
        contacts=draw(st.lists(st.tuples(st.sampled_from(["SMS", "CALL"]), st.sampled_from([-9, 9, 50])), max_size=3)),
        room=draw(st.none() | ROOMS),
    )


@st.composite
def worlds(draw, matrix):
    parents = {
        branch: draw(st.none() | st.sampled_from(BRANCHES[:place])) if place else None
        for place, branch in enumerate(BRANCHES)
    }
    return matrix.world(parents, [draw(people(matrix.person, number)) for number in range(draw(st.integers(1, 7)))])


VIEWERS = st.builds(
    Viewer,
    st.sampled_from(STAFF),
    st.sampled_from(BRANCHES),
    st.frozensets(st.sampled_from(BY_NAME * 3 + NOBODY), min_size=1, max_size=2),
)
IDENTITIES = st.builds(
    IdentityCondition,
    display_name_prefix=optional(["王", "李%", "a_"]),
    mobile=st.sampled_from([None, None, None, "13800000001"]),
    sex=optional(["FEMALE"]),
    occupation=optional(["COOK"]),
    age_min=optional([18, 36]),
    age_max=optional([18, 35]),
    birthday_within_days=optional([0, 2, 300]),
    customer_since_date_min=optional(DATES),
).filter(lambda c: c.age_min is None or c.age_max is None or c.age_min <= c.age_max)
OWNERSHIPS = st.builds(
    OwnershipCondition,
    branch_id=optional(BRANCHES),
    with_subtree=st.booleans(),
    side=optional(["PRIMARY", "SECONDARY"]),
    manager_id=optional(STAFF),
    since_date_max=optional(DATES),
    days_without_contact_min=st.sampled_from([None, None, 1, 30]),
) | st.builds(OwnershipCondition, side=optional(["PRIMARY"]), unassigned=st.sampled_from([True]))
BOUNDS = st.builds(
    Bound, st.sampled_from(["deposit_balance_minor", "deposit_average_minor"]), optional(AMOUNTS)
) | st.sampled_from(
    [Bound("deposit_month_change_minor", 0), Bound("demand_share_percent", 50), Bound("deposit_balance_minor", 0, 5)]
)
DEPOSITS = st.builds(
    FigureCondition,
    st.just("deposit"),
    st.booleans(),
    st.lists(BOUNDS, max_size=1).map(tuple),
    st.sampled_from([(), (), (Span("time_maturity_date", 0, 2, ahead=True),)]),
)
LOANS = st.builds(FigureCondition, st.just("loan"), st.booleans(), holds=st.sampled_from([None, True])) | st.builds(
    FigureCondition,
    st.just("loan"),
    st.booleans(),
    loan=st.builds(LoanMatch, some(PRODUCTS), grades=some(["LOSS"]), in_arrears=optional([True, False])),
)
BEHAVIOURS = st.builds(
    FigureCondition, st.just("behaviour"), st.booleans(), st.just((Bound("mobile_share_percent", 75, 100),))
)
HOLDINGS = st.builds(
    HoldingCondition,
    st.booleans(),
    any_of=st.builds(ProductSet, some(CATEGORIES), some(PRODUCTS)),
    count_max=optional([0, 1]),
) | st.builds(HoldingCondition, st.booleans(), none_of=st.builds(ProductSet, some(CATEGORIES), some(PRODUCTS)))
OF_BANK = (
    st.builds(ValueCondition, st.just((Bound("tier", 2, 6),)), lifecycles=some(["LOST"]))
    | st.just(ValueCondition((Bound("risk_rating", 2, 5),)))
    | st.builds(TagCondition, any_of=some(TAGS))
    | st.builds(TagCondition, none_of=some(TAGS))
    | st.builds(GroupCondition, any_of=some(GROUPS))
    | st.builds(GroupCondition, none_of=some(GROUPS))
)
COUNTS = st.builds(ContactCount, st.sampled_from([1, 30]), some(["SMS"]), optional([1, 2]), optional([2, 3]))
CONTACTS = st.builds(ContactCondition, st.lists(COUNTS, max_size=1).map(tuple)) | st.builds(
    ContactCondition,
    last_outcomes=some(["LATER"]),
    consents=st.sampled_from([(), (Permission("SMS", "WEALTH"),)]),
    opt_outs=st.sampled_from([(), (), (Permission("CALL", "WEALTH"),)]),
)
SINGLES = IDENTITIES | OWNERSHIPS | DEPOSITS | LOANS | BEHAVIOURS | HOLDINGS | OF_BANK | CONTACTS
CONDITIONS = SINGLES | st.recursive(
    SINGLES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(tuple).map(AllOf)
        | st.lists(inner, min_size=1, max_size=2).map(tuple).map(AnyOf)
        | inner.map(Not)
    ),
    max_leaves=3,
)
QUERIES = st.builds(
    Query,
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.builds(Order, st.sampled_from(ORDERS).map(OrderField), st.booleans()),
)
FACETS = st.lists(st.sampled_from(Facet), min_size=1, max_size=2, unique=True)


async def load(bank: Any, world: Any) -> None:
    await bank.empty()
    await bank.load("customers", [person.row for person in world.people])
    whole = [{"customer_id": p.id, **p.figures[""], **p.values} for p in world.people]
    by_branch = [{"customer_id": p.id, "branch_id": b, **f} for p in world.people for b, f in p.figures.items() if b]
    await bank.load("customer_branch_figures", by_branch)
    await bank.load("customer_figures", whole)
    loans = [
        {"loan_id": f"{p.id}-{n}", "customer_id": p.id, **loan} for p in world.people for n, loan in enumerate(p.loans)
    ]
    await bank.load("loans", loans)
    held = [{"customer_id": p.id, "open_date": DAY, **each} for p in world.people for each in p.holdings]
    await bank.load("holdings", held)
    await bank.own({person.id: person.owners for person in world.people})
    await bank.grow(world.parents)
    async with bank.database.begin() as tx:
        await put_contact_rooms(tx, [room_of(p) for p in world.people if p.room or p.contacts], 1)
        for person in world.people:
            await tx.execute(
                text("UPDATE customers SET tag_codes = :tags WHERE customer_id = :id"),
                {"tags": person.tags, "id": person.id},
            )
        for group in GROUPS:
            await tx.execute(GROUP, {"group": group, "least": int(group[1])})
            ids = [person.id for person in world.people if group in person.groups]
            await tx.execute(MEMBERS, {"group": group, "ids": ids})


GROUP = text(
    "INSERT INTO customer_groups (group_id, display_name, description, owner_id, sharing, kind, refresh_nightly,"
    " live_generation, least_level, member_count, last_build_time, last_build_micros, built_date)"
    " VALUES (:group, 'g', '', 's0', 'BANK', 'LIST', false, 1, :least, 0, bank_now(), 1, current_date)"
)
MEMBERS = text(
    "INSERT INTO group_members (customer_id, group_id, generation)"
    " SELECT unnest(CAST(:ids AS text[])), :group, 1 UNION ALL SELECT 'c0', :group, 2"
)


def room_of(person: Any) -> ContactRoom:
    told = dict(person.room or {})
    hours = told.pop("last_contact", None)
    instants = [Instant(channel, NOW - timedelta(hours=each)) for channel, each in person.contacts]
    last = None if hours is None else NOW - timedelta(hours=hours)
    return ContactRoom(person.id, instants=instants, last_contact_time=last, **told)


async def check_get(conn: AsyncConnection, oracle: Any, person: Any, reading: Reading) -> View | None:
    level, mobile = oracle.level(person), person.row["mobile"]
    if level == 0:
        with pytest.raises(Refused) as refused:
            await get_customer(conn, person.id, reading)
        assert refused.value.kind is Kind.NOT_FOUND
        return None
    view = await get_customer(conn, person.id, reading)
    assert view.level == Level(level)
    assert (view.total is not None) == (level >= 3)
    assert (view.own.branch_id if view.own else None) == oracle.own(person)
    assert view.identity.display_name == (person.row["display_name"] if level >= 2 else None)
    assert view.identity.mobile == {4: mobile, 3: mobile, 2: mobile and f"138****{mobile[-4:]}"}.get(level)
    assert view.identity.state == {4: person.row["state"], 3: person.row["state"], 2: "ACTIVE"}.get(level)
    visible = [
        o for o in person.owners if level >= 3 or (level == 2 and (oracle.row_level(o) > 1 or o.side == "PRIMARY"))
    ]
    assert {owner.branch_id for owner in view.owners} == {owner.branch_id for owner in visible}
    return view


async def search_all(conn: AsyncConnection, query: Query, reading: Reading) -> tuple[list[str], int]:
    page = await search_customers(conn, query, reading, None, 2)
    views = [*page.views]
    while page.next_start:
        page = await search_customers(conn, query, reading, page.next_start, 2)
        views += page.views
    return [view.identity.customer_id for view in views], page.left_out


# Without the phases that make failures smaller and explain them: each try takes seconds, and the query is noted.
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(st.data(), st.lists(VIEWERS, min_size=4, max_size=4), st.lists(QUERIES, min_size=6, max_size=6))
async def test_get_search_count_and_facets_agree_with_the_matrix(bank, matrix, data, viewers, queries) -> None:
    world = data.draw(worlds(matrix))
    await load(bank, world)
    async with bank.database.begin() as conn:
        for viewer in viewers:
            oracle = matrix.oracle(world, viewer)
            reading = Reading(viewer, "request-1", "test", bank.keys)
            views = {person.id: await check_get(conn, oracle, person, reading) for person in world.people}
            everybody, _ = await search_all(conn, Query(), reading)
            assert everybody == sorted(customer_id for customer_id, view in views.items() if view)
            for query in queries:
                note(f"{viewer} asks {query}")
                asked = replace(query, conditions=hashed(query.conditions, bank.keys))
                await check_search(conn, oracle, asked, reading)
                counting = matrix.oracle(world, viewer, counting=True)
                await check_count(conn, counting, replace(asked, order=Order()), reading)
                await check_facets(conn, counting, replace(asked, order=Order()), reading, data.draw(FACETS))


async def check_search(conn: AsyncConnection, oracle: Any, query: Query, reading: Reading) -> None:
    if oracle.refuses(query):
        await check_forbidden(search_customers(conn, query, reading, None, 2))
        return
    found, left_out = await search_all(conn, query, reading)
    assert found == oracle.found(query)
    assert left_out == oracle.left_out(query)


async def check_count(conn: AsyncConnection, oracle: Any, query: Query, reading: Reading) -> None:
    if oracle.refuses(query):
        await check_forbidden(count_customers(conn, query, reading))
        return
    counted = await count_customers(conn, query, reading)
    number, left_out = len(oracle.found(query)), oracle.left_out(query)
    assert counted.customers.text == ("< 10" if oracle.analyst else str(number))
    assert counted.left_out.text == ("< 10" if oracle.analyst else str(left_out))


async def check_facets(conn: AsyncConnection, oracle: Any, query: Query, reading: Reading, facets: list[Facet]) -> None:
    if oracle.refuses(query, facets):
        await check_forbidden(facet_customers(conn, query, reading, facets))
        return
    told = await facet_customers(conn, query, reading, facets)
    hits = oracle.hits(query, facets)
    for facet in facets:
        numbers = Counter(value for person in hits for value in oracle.facet(facet, person))
        shown = dict(told.facets[facet].values)
        assert set(shown) == set(numbers)
        assert oracle.analyst or shown == {value: exact(number) for value, number in numbers.items()}
    assert oracle.analyst or told.customers == exact(len(hits))
    assert oracle.analyst or told.left_out == exact(oracle.left_out(query, facets))


async def check_forbidden(call: Awaitable[object]) -> None:
    with pytest.raises(Refused) as refused:
        await call
    assert refused.value.reason == "FIELD_FORBIDDEN"
