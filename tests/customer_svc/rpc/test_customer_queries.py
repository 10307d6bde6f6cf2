"""Queries of all classes over the wire: what they confine, what they refuse, how they are counted and said."""

import itertools
from datetime import date
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import customer_condition_pb2 as pb
from banyan.customer.v1 import customer_pb2, customer_service_pb2_grpc
from banyan.customer.v1 import customer_service_pb2 as sp
from google.rpc import error_details_pb2
from google.type.money_pb2 import Money
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.query import OrderField, Query
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import search
from services.customer_svc.usecases.count_customers import count_customers

Condition = pb.CustomerCondition
TOTAL = pb.DepositCondition.SCOPE_TOTAL
MALE = Condition(identity=pb.IdentityCondition(sex=customer_pb2.SEX_MALE))
RICH = Condition(deposit=pb.DepositCondition(scope=TOTAL, balance_min=Money(units=10)))
ORDERS = [sp.CustomerOrder.Field.Value(f"FIELD_{field}") for field in OrderField]


def no(condition: Condition) -> Condition:
    return Condition(not_of=condition)


def either(*conditions: Condition) -> Condition:
    return Condition(any_of=pb.ConditionGroup(conditions=conditions))


def nested(depth: int) -> Condition:
    return MALE if depth == 1 else no(nested(depth - 1))


@pytest.fixture
def stub_of(filled, channel, signed_in):
    """Calls as somebody: `stub_of(role, branch)` takes a method's name and a request."""
    del filled

    def make(role: Role, branch: str = "b1"):
        stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
        service = role is Role.SERVICE
        who = signed_in.service() if service else signed_in.staff(role, staff_id="s1", branch_id=branch)

        async def call(method: str, **fields: Any) -> Any:
            request = getattr(sp, f"{method}Request")(**fields)
            return await getattr(stub, method)(request, metadata=who)

        return call

    return make


async def refusal(call) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason, dict(info.metadata)


def names(response) -> set[str]:
    return {customer.name.removeprefix("customers/") for customer in response.customers}


@pytest.mark.parametrize(
    "condition",
    [
        no(RICH),
        either(MALE, no(RICH)),
        Condition(tag=pb.TagCondition(none_of=["CHURN_RISK"])),
        no(Condition(value=pb.ValueCondition(key=True))),
        Condition(contact=pb.ContactCondition(refused_within_days=3)),
    ],
)
async def test_what_only_the_primary_side_sees_confines_wherever_it_stands(stub_of, condition) -> None:
    secondary = await stub_of(Role.BRANCH_HEAD, "b2")("SearchCustomers", conditions=[condition])
    assert names(secondary) == set()
    assert (secondary.confined_to, secondary.left_out_count) == (sp.CONFINEMENT_PRIMARY, 1)
    counted = await stub_of(Role.BRANCH_HEAD, "b2")("CountCustomers", conditions=[condition])
    assert (counted.customer_count, counted.left_out_count, counted.exact) == (0, 1, True)


async def test_the_number_left_out_fulfils_what_does_not_confine(stub_of) -> None:
    head = stub_of(Role.BRANCH_HEAD, "b2")
    old = Condition(identity=pb.IdentityCondition(age_min=18))
    young = Condition(identity=pb.IdentityCondition(age_max=17))
    assert (await head("SearchCustomers", conditions=[old, either(MALE, RICH)])).left_out_count == 1
    assert (await head("SearchCustomers", conditions=[young, either(MALE, RICH)])).left_out_count == 0


async def test_every_order_leads_from_page_to_page_over_all(stub_of, bank) -> None:
    await bank.load("customers", [{"customer_id": f"n{n}", "birth_date": date(1990, 1, 1 + n // 2)} for n in range(4)])
    await bank.own({f"n{n}": [Owner("b1", "PRIMARY", None, None)] for n in range(4)})
    head = stub_of(Role.BRANCH_HEAD)
    for field, descending in itertools.product(ORDERS, (False, True)):
        order = sp.CustomerOrder(field=cast("Any", field), descending=descending)
        met, token = [], ""
        while page := await head("SearchCustomers", order=order, page_size=2, page_token=token):
            met += [customer.name for customer in page.customers]
            if not (token := page.next_page_token):
                break
        assert len(met) == len(set(met)) == 6, order


async def test_a_name_is_looked_for_as_it_stands(stub_of) -> None:
    async def found(prefix: str) -> set[str]:
        named = Condition(identity=pb.IdentityCondition(display_name_prefix=prefix))
        return names(await stub_of(Role.BRANCH_HEAD)("SearchCustomers", conditions=[named]))

    for prefix in ("%", "_", "王_明", "王%", "(王+)+$", "王\\", "[", "' OR 1=1 --", "王小明" * 33):
        assert await found(prefix) == set()
    assert await found("王小") == {"wang"}


@pytest.mark.parametrize(
    ("conditions", "reason", "metadata"),
    [
        ([nested(11)], "NESTING_TOO_DEEP", {"field": "conditions[0]" + ".not_of" * 10, "limit": "10"}),
        ([nested(90)], "NESTING_TOO_DEEP", {"limit": "10"}),
        ([either(*[MALE] * 200)], "CONDITIONS_TOO_MANY", {"field": "conditions[0].any_of.conditions[199]"}),
        ([either()], "FIELD_INVALID", {}),
        (
            [MALE, either(MALE, Condition(loan=pb.LoanCondition(overdue_days_min=2, overdue_days_max=1)))],
            "RANGE_EMPTY",
            {"field": "conditions[1].any_of.conditions[1].loan.overdue_days_min"},
        ),
        (
            [Condition(tag=pb.TagCondition(any_of=["CHURN_RISK", "NONSENSE"]))],
            "TAG_UNKNOWN",
            {"field": "conditions[0].tag", "tag": "NONSENSE"},
        ),
        (
            [Condition(identity=pb.IdentityCondition(residence_districts=["x"] * 1001))],
            "LIST_TOO_LONG",
            {"field": "conditions[0].identity.residence_districts", "limit": "1000"},
        ),
        (
            [Condition(tag=pb.TagCondition(all_of=["CHURN_RISK"], none_of=["CHURN_RISK"]))],
            "CONDITION_CONTRADICTORY",
            {"field": "conditions[0].tag.none_of"},
        ),
        ([Condition(loan=pb.LoanCondition(grades=[cast("Any", 9)]))], "FIELD_INVALID", {}),
        ([Condition(contact=pb.ContactCondition(rooms=[pb.ContactRoom()]))], "FIELD_INVALID", {}),
    ],
)
async def test_a_bad_query_is_refused_by_reason_path_and_limit(stub_of, conditions, reason: str, metadata) -> None:
    for method in ("SearchCustomers", "CountCustomers", "ExplainQuery"):
        code, told, dynamic = await refusal(stub_of(Role.BRANCH_HEAD)(method, conditions=conditions))
        assert (code, told) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
        assert dynamic.items() >= metadata.items()


async def test_a_thousand_nested_conditions_are_refused_before_anybody_reads_them(stub_of, channel, signed_in) -> None:
    del stub_of
    raw = b""
    for _ in range(1000):
        raw = Condition(not_of=Condition()).SerializeToString()[:1] + _length(len(raw)) + raw
    request = b"\x0a" + _length(len(raw)) + raw
    who = signed_in.staff(Role.BRANCH_HEAD, staff_id="s1", branch_id="b1")
    call = channel.unary_unary("/banyan.customer.v1.CustomerService/SearchCustomers")(request, metadata=who)
    code, reason, metadata = await refusal(call)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED")
    assert metadata == {"limit": "100"}


def _length(number: int) -> bytes:
    """A length as protobuf writes it."""
    low = [(number >> shift) & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([byte | 0x80 for byte in low[:-1]] + low[-1:])


async def test_an_absent_group_is_as_hidden_as_one_that_is_not_shared(stub_of) -> None:
    group = Condition(group=pb.GroupCondition(none_of=["customerGroups/g1"]))
    code, _, _ = await refusal(stub_of(Role.BRANCH_HEAD)("SearchCustomers", conditions=[group]))
    assert code is grpc.StatusCode.NOT_FOUND


async def test_a_count_may_be_estimated_and_says_so(stub_of) -> None:
    found = await stub_of(Role.BRANCH_HEAD)("CountCustomers", mode=sp.CountCustomersRequest.MODE_ESTIMATED)
    assert not found.exact
    assert found.customer_count_text == str(found.customer_count)
    hidden = await stub_of(Role.ANALYST)("CountCustomers", mode=sp.CountCustomersRequest.MODE_ESTIMATED)
    assert hidden.customer_count % 5 == 0


async def test_a_count_that_takes_too_long_becomes_an_estimate(filled, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(conn, asked) -> int:
        del asked
        async with search.limited():
            return (await conn.execute(text("SELECT 1 FROM pg_sleep(5)"))).scalar_one()

    monkeypatch.setattr(search, "count", slow)
    head = Viewer("h1", "b1", frozenset({"BRANCH_HEAD"}))
    async with filled.database.begin() as tx:
        counted = await count_customers(tx, Query(), Reading(head, "r1", "CountCustomers"), seconds_max=0.05)
    assert not counted.exact


@pytest.fixture
async def crowd(filled):
    """Sixty customers of b9 and four of b8: all have a tier and a card, three a tag."""
    people = [f"n{n:02}" for n in range(64)]
    await filled.load("customers", [{"customer_id": one} for one in people])
    await filled.own({one: [Owner("b8" if n < 4 else "b9", "PRIMARY", None, None)] for n, one in enumerate(people)})
    async with filled.database.begin() as tx:
        await tx.execute(
            text(
                "UPDATE customers SET tier = 1 + substr(customer_id, 2)::int % 3, total_card_count = 1,"
                " tag_codes = CASE WHEN customer_id < 'n03' THEN '{CHURN_RISK}' ELSE '{}' END::text[]"
                " WHERE customer_id ~ '^n'"
            )
        )
    return filled


FACETS = [sp.CUSTOMER_FACET_BRANCH, sp.CUSTOMER_FACET_CLASS, sp.CUSTOMER_FACET_TAG, sp.CUSTOMER_FACET_TIER]


def told(response) -> list[dict[str, str]]:
    return [{value.value: value.customer_count_text for value in facet.values} for facet in response.facets]


async def test_facets_count_the_same_customers_as_the_query(stub_of, crowd) -> None:
    del crowd
    found = await stub_of(Role.BRANCH_HEAD, "b9")("FacetCustomers", facets=FACETS)
    assert found.confined_to == sp.CONFINEMENT_PRIMARY
    assert (found.customer_count, [facet.facet for facet in found.facets]) == (60, FACETS)
    assert told(found) == [{"b9": "60"}, {"CARD": "60"}, {}, {"1": "20", "2": "20", "3": "20"}]


async def test_an_analyst_is_told_no_small_facet_nor_what_would_give_it_away(stub_of, crowd) -> None:
    del crowd
    found = await stub_of(Role.ANALYST, "b1")("FacetCustomers", facets=FACETS)
    branches, classes, tags, tiers = told(found)
    assert found.customer_count_text == "65"
    assert branches == {"b9": "*", "b8": "< 10", "b1": "< 10"}, "four and two are few together"
    assert classes["CARD"] == "*", "all but one have a card"
    assert tags == {"CHURN_RISK": "< 10"}
    assert set(tiers) == {"1", "2", "3"}


async def test_a_facet_is_refused_to_who_never_sees_it_and_twice(stub_of) -> None:
    code, reason, metadata = await refusal(stub_of(Role.SERVICE)("FacetCustomers", facets=FACETS[:1]))
    assert (code, reason, metadata["field"]) == (grpc.StatusCode.PERMISSION_DENIED, "FIELD_FORBIDDEN", "facets[0]")
    code, reason, _ = await refusal(stub_of(Role.TELLER)("FacetCustomers", facets=FACETS[2:3]))
    assert reason == "FIELD_FORBIDDEN"
    _, reason, _ = await refusal(stub_of(Role.BRANCH_HEAD)("FacetCustomers", facets=FACETS[:1] * 2))
    assert reason == "FIELD_INVALID"
    _, reason, _ = await refusal(stub_of(Role.BRANCH_HEAD)("FacetCustomers"))
    assert reason == "FIELD_INVALID"


async def test_a_query_is_explained_as_it_reaches_the_caller(stub_of) -> None:
    order = sp.CustomerOrder(field=sp.CustomerOrder.FIELD_BIRTH_DATE)
    head = await stub_of(Role.BRANCH_HEAD)("ExplainQuery", conditions=[MALE, no(RICH)], order=order)
    assert head.chinese == (
        "性别为男，且不满足（全行存款余额不低于10元）的客户，按出生日期升序排列。"
        "仅限由您一方主办的客户，因为查询涉及全行数据。"
    )
    assert head.english.startswith("Customers with sex male and not (a deposit balance over the whole bank of at least")
    assert (head.confined_to, list(head.confining_fields)) == (
        sp.CONFINEMENT_PRIMARY,
        ["conditions[1].not_of.deposit"],
    )
    service = await stub_of(Role.SERVICE)("ExplainQuery", conditions=[no(RICH)])
    assert (service.confined_to, list(service.confining_fields)) == (sp.CONFINEMENT_UNSPECIFIED, [])
    _, reason, _ = await refusal(stub_of(Role.TELLER)("ExplainQuery", conditions=[RICH]))
    assert reason == "FIELD_FORBIDDEN"
