"""A rich customer's page: who sees which of its fields, and what stands in them."""

from datetime import UTC, date, datetime
from types import MappingProxyType

import grpc
import pytest
from banyan.customer.v1 import (
    customer_codes_pb2,
    customer_pb2,
    customer_service_pb2,
    customer_service_pb2_grpc,
)
from google.type.money_pb2 import Money
from sqlalchemy import text

from chassis.caller import Role
from policy.contact_room import default_caps
from services.customer_svc.domain.contact_room import ContactPolicy, ContactRoom, Instant
from services.customer_svc.domain.parts import Alert, Contact, Missing, OwnershipPeriod, Parts, Task
from services.customer_svc.store import contact_rooms
from services.customer_svc.store.figure_columns import FIGURES

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)
# A value of each kind of column, so that every figure is known.
VALUES = MappingProxyType({"_date": date(2026, 5, 1), "categories": "PAYROLL;WEALTH"})
PRIMARY_ONLY = {"value", "tags", "key_mark", "total", "other_branches"}
ALWAYS = {"name", "view_level", "masked_fields"}
SHOWN_TO_ALL_SIDES = {
    *("customer_type", "display_name", "birth_date", "id_number", "mobile", "state", "owners", "own", "industry"),
    *("related_people", "business_date", "risk_rating", "risk_rating_expiry_date", "contact_room"),
    *("ownership_periods", "contacts", "alerts", "tasks", "missing_parts"),
}


def figure(name: str) -> object:
    return next(
        (value for ending, value in VALUES.items() if name.endswith(ending)), 3 if name == "loan_grade" else 1_000
    )


async def _mark(bank) -> None:
    """A tag and a key mark by hand, and what is known of contacts."""
    statements = """
INSERT INTO manual_tags (customer_id, tag_code, reason, actor) VALUES ('wang', 'BLACKLIST', 'a fraud', 'h1');
INSERT INTO key_marks (customer_id, manual_until_date, since_date) VALUES ('wang', '2026-12-31', '2026-06-01')"""
    async with bank.database.begin() as tx:
        for statement in statements.split(";\n"):
            await tx.execute(text(statement))
        policy = ContactPolicy(1, datetime(2020, 1, 1, tzinfo=UTC), caps=default_caps())
        room = ContactRoom(
            "wang",
            instants=[Instant("CALL", AT)],
            opt_out_keys=["SMS/ALL", "ALL/WEALTH"],
            consent_keys=["CALL/ALL"],
            withdrawn_consent_keys=["PUSH/ALL"],
        )
        await contact_rooms.put_contact_rooms(tx, [policy, room], 1)


@pytest.fixture
async def rich(filled, peers):
    """Wang with everything that a page may show."""
    wang = {"customer_id": "wang", "display_name": "王小明", "mobile": "13812345678", "state": "FROZEN"}
    wang |= {"id_number": "110101199001011234", "birth_date": date(1990, 1, 1), "industry": "C13"}
    await filled.load("customers", [wang | {"risk_rating": 3, "risk_rating_expiry_date": date(2027, 1, 1)}])
    figures = {name: figure(name) for name in FIGURES}
    await filled.load("customer_branch_figures", [{"customer_id": "wang", "branch_id": "b1", **figures}])
    value = {"tier": 4, "tier_gap_minor": 500, "contribution_minor": 900, "lifecycle": "ACTIVE"}
    await filled.load("customer_figures", [{"customer_id": "wang", **figures, **value}])
    await filled.load("products", [{"product_id": "W1", "display_name": "稳健理财", "category": "WEALTH"}])
    await filled.load(
        "holdings",
        [
            {
                "customer_id": "wang",
                "branch_id": branch,
                "product_code": "W1",
                "open_date": AT.date(),
                "amount_minor": 50,
            }
            for branch in ("b1", "b2")
        ],
    )
    line = {
        "loan_id": "l1",
        "customer_id": "wang",
        "branch_id": "b2",
        "outstanding_minor": 700,
        "principal_minor": 1000,
    }
    graded = {"revolving": True, "collateral": "MORTGAGE", "grade": "SPECIAL_MENTION", "grade_date": date(2026, 5, 2)}
    due = {"next_due_date": date(2026, 7, 1), "next_due_minor": 30, "overdue_days": 4, "overdue_minor": 20}
    await filled.load("loans", [line | graded | due | {"interest_arrears_minor": 5}])
    card = {"card_id": "k1", "customer_id": "wang", "branch_id": "b1", "limit_minor": 500, "used_minor": 100}
    await filled.load("cards", [card | {"due_date": date(2026, 7, 5), "due_minor": 40, "overdue_days": 0}])
    await _mark(filled)
    owner = OwnershipPeriod("b1", "PRIMARY", "m1", "LOAN", AT.date(), AT.date(), None, "allocation")
    peers.parts = Parts(
        [owner],
        [Contact("customers/wang/contacts/c1", "CALL", AT, "ACCEPTED")],
        [Alert("alerts/a1", "LARGE_INFLOW", "UNREAD", "b1", AT.date(), AT, 700)],
        [Task("tasks/t1", "call him", "staff/m1", None, AT)],
        [Missing("tasks", "TIMEOUT")],
    )
    return filled


@pytest.fixture
def page(rich, channel, signed_in):
    del rich
    stub = customer_service_pb2_grpc.CustomerServiceStub(channel)

    async def get(role: Role = Role.BRANCH_HEAD, branch: str = "b1", staff: str = "h1"):
        who = signed_in.service() if role is Role.SERVICE else signed_in.staff(role, staff_id=staff, branch_id=branch)
        request = customer_service_pb2.GetCustomerRequest(name="customers/wang")
        return await stub.GetCustomer(request, metadata=who)

    return get


def fields(customer) -> set[str]:
    return {field.name for field, _ in customer.ListFields()}


@pytest.mark.parametrize(
    ("role", "branch", "staff", "shown"),
    [
        (Role.BRANCH_HEAD, "b1", "h1", SHOWN_TO_ALL_SIDES | PRIMARY_ONLY | {"update_time"}),
        (Role.MANAGER, "b1", "m1", SHOWN_TO_ALL_SIDES | PRIMARY_ONLY | {"update_time"}),
        (Role.BRANCH_HEAD, "north", "h0", SHOWN_TO_ALL_SIDES | PRIMARY_ONLY | {"update_time"}),
        (Role.SERVICE, "", "", (SHOWN_TO_ALL_SIDES | PRIMARY_ONLY | {"update_time"}) - {"own"}),
        (Role.BRANCH_HEAD, "b2", "h2", SHOWN_TO_ALL_SIDES),
        (Role.MANAGER, "b1", "m2", set()),
        (Role.TELLER, "b2", "t1", set()),
        (Role.LOBBY, "b1", "l1", set()),
    ],
)
async def test_each_viewer_sees_his_fields_and_is_told_which_he_does_not(page, role, branch, staff, shown) -> None:
    customer = await page(role, branch, staff)
    told = fields(customer) - ALWAYS
    assert told == shown
    # What is hidden is named; what is masked is named and shown; who sees all is told of nothing.
    whole = SHOWN_TO_ALL_SIDES | PRIMARY_ONLY | {"update_time"}
    hidden = whole - shown - {"missing_parts"} - ({"own"} if role is Role.SERVICE else set())
    assert hidden <= set(customer.masked_fields)
    masked = {"id_number", "mobile", "state", "owners", "ownership_periods"} if shown == SHOWN_TO_ALL_SIDES else set()
    assert masked == set(customer.masked_fields) & told


async def test_nobody_is_asked_about_one_whose_existence_alone_is_seen(page, peers) -> None:
    await page(Role.TELLER)
    with pytest.raises(grpc.aio.AioRpcError):
        await page(Role.BRANCH_HEAD, "b9")
    assert peers.asked == []
    await page()
    assert peers.asked == ["wang"]


async def test_business_is_told_in_full_at_ones_own_branch_and_by_product_at_the_others(page) -> None:
    primary, secondary = await page(), await page(branch="b2")
    [loan] = secondary.own.loans
    assert (loan.revolving, loan.unused, loan.overdue_days) == (True, Money(currency_code="CNY", units=3), 4)
    assert (loan.collateral, loan.grade) == (
        customer_codes_pb2.COLLATERAL_MORTGAGE,
        customer_codes_pb2.LOAN_GRADE_SPECIAL_MENTION,
    )
    assert (loan.next_due.nanos, loan.overdue.nanos, loan.interest_arrears.nanos) == (
        300_000_000,
        200_000_000,
        50_000_000,
    )
    [card] = primary.own.cards
    assert (card.used.units, card.due.nanos, card.overdue_days, card.HasField("overdue_days")) == (
        1,
        400_000_000,
        0,
        True,
    )
    [holding] = primary.own.holdings
    assert (holding.product, holding.display_name, holding.category) == ("W1", "稳健理财", "WEALTH")
    [other] = primary.other_branches
    assert [(one.product_class, one.product, one.open_count) for one in other.product_totals] == [
        ("account", "DEMAND", 1),
        ("holding", "稳健理财", 1),
        ("loan", "", 1),
    ]
    assert not {"a2", "l1"} & set(str(other).split('"')), "no number of another branch's account or loan"


async def test_every_figure_is_told_with_its_period(page) -> None:
    primary, secondary = await page(), await page(branch="b2")
    told = {one.indicator: one for one in primary.total.indicators}
    assert set(told) >= {name.removesuffix("_minor") for name in FIGURES}
    assert {one.indicator for one in primary.own.totals.indicators} == set(told)
    average = told["deposit_month_average"]
    assert (average.amount.units, average.days, average.from_date.day) == (10, 30, 1)
    assert (told["mobile_90d_count"].number, told["mobile_90d_count"].days) == (1_000, 90)
    assert (told["last_active_date"].day_date.month, told["holding_categories"].codes) == (5, "PAYROLL;WEALTH")
    assert told["deposit_month_change"].amount == Money(currency_code="CNY")
    assert told["mobile_share_percent"].number == 20
    assert not secondary.own.totals.indicators, "b2 has no figures, and b1's are not its own"


async def test_value_tags_and_key_mark_are_told_with_their_reasons(page) -> None:
    customer = await page()
    assert (customer.value.tier, customer.value.tier_gap.units, customer.value.contribution.units) == (4, 5, 9)
    assert customer.value.lifecycle == customer_codes_pb2.LIFECYCLE_ACTIVE
    [tag] = customer.tags
    assert (tag.tag.display_name, tag.live, tag.setting.reason) == ("黑名单", True, "a fraud")
    mark = customer.key_mark
    assert (mark.key_customer, mark.reason) == (True, customer_codes_pb2.KEY_REASON_MANUAL)
    assert [(owner.branch, owner.rule) for owner in customer.owners] == [("branches/b1", "LOAN"), ("branches/b2", "")]


async def test_the_room_for_contacts_is_told_for_each_channel(page) -> None:
    standing = (await page(branch="b2")).contact_room
    rooms = {customer_codes_pb2.ContactChannel.Name(room.channel)[16:]: room for room in standing.channel_rooms}
    assert list(rooms) == ["SMS", "CALL", "PUSH", "MAIL", "WECHAT"]
    assert (rooms["SMS"].left, rooms["SMS"].rule, rooms["SMS"].HasField("limit")) == (0, "OPT_OUT", False)
    assert (rooms["PUSH"].left, rooms["PUSH"].rule) == (0, "CONSENT_WITHDRAWN")
    assert (rooms["CALL"].left, rooms["CALL"].rule, rooms["CALL"].limit) == (1, "PERSON_CALL_7D", 1)
    assert rooms["MAIL"].left == 3
    said = {(consent.channel, consent.category, consent.granted) for consent in standing.consents}
    assert said == {
        (customer_codes_pb2.CONTACT_CHANNEL_CALL, "ALL", True),
        (customer_codes_pb2.CONTACT_CHANNEL_PUSH, "ALL", False),
    }
    assert {(one.channel, one.category) for one in standing.opt_outs} == {
        (customer_codes_pb2.CONTACT_CHANNEL_SMS, "ALL"),
        (customer_codes_pb2.CONTACT_CHANNEL_UNSPECIFIED, "WEALTH"),
    }


async def test_what_others_tell_is_shown_and_what_they_do_not_is_named(page) -> None:
    customer = await page()
    assert customer.contacts[0].contact == "customers/wang/contacts/c1"
    assert (customer.alerts[0].kind, customer.alerts[0].sum.units) == ("LARGE_INFLOW", 7)
    assert customer.tasks[0].title == "call him"
    [missing] = customer.missing_parts
    assert (missing.part, missing.reason) == ("tasks", customer_pb2.MissingPart.REASON_TIMEOUT)


async def test_a_page_stays_small_whatever_a_customer_has(page, rich) -> None:
    many = range(150)
    accounts = [{"account_id": f"m{n}", "customer_id": "wang", "branch_id": "b1"} for n in many]
    await rich.load(
        "accounts", [*accounts, *({"account_id": f"o{n}", "customer_id": "wang", "branch_id": "b2"} for n in many)]
    )
    customer = await page()
    assert len(customer.own.accounts) == 100
    assert customer.total.account_count == 302
    assert customer.ByteSize() < 64 * 1024
