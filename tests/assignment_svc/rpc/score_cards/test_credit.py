"""Interceptions, custodies and policies over the wire: recorded, taken back, and refused."""

import asyncio
from datetime import date
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import credit_pb2, score_card_pb2
from sqlalchemy import text

from chassis import wire

DEPOSITS = score_card_pb2.SCORE_INDICATOR_DEPOSIT_AVERAGE
WEALTH = score_card_pb2.SCORE_INDICATOR_WEALTH


def day(month, number):
    return wire.date_to_wire(date(2026, month, number))


def interception(**given):
    asked: dict[str, Any] = {
        "interceptor": "staff/lobby",
        "from_date": day(6, 1),
        "until_date": day(6, 16),
        "reason": "sold a fund",
    }
    return credit_pb2.Interception(**asked | given)


def custody(**given):
    asked: dict[str, Any] = {"from_manager": "staff/m1", "to_manager": "staff/m1b", "reason": "leave"}
    asked |= {"from_date": day(6, 11), "until_date": day(7, 11)}
    return credit_pb2.CreditCustody(**asked | given)


async def average(bank, branch, staff):
    async with bank.database.read() as conn:
        asked = "SELECT value FROM score_figure WHERE (branch_id, staff_id, indicator) = (:branch, :staff, :indicator)"
        given = {"branch": branch, "staff": staff, "indicator": "DEPOSIT_AVERAGE"}
        return (await conn.execute(text(asked), given)).scalar_one_or_none()


async def test_an_interceptor_gets_his_part_for_his_days_until_it_is_taken_back(bank):
    made = await bank.ask("hn", "RecordInterception", parent="customers/c2", interception=interception())
    assert (made.interceptor, made.branch, made.actor) == ("staff/lobby", "branches/south", "staff/hn")
    await bank.build()
    # 20 % of 500 on 15 of 30 days.
    assert await average(bank, "south", "lobby") == 50
    assert await average(bank, "north", "m1") == 700 + 450
    assert (await bank.ask("m1", "GetInterception", name=made.name)) == made
    later = interception(from_date=day(6, 16), until_date=day(6, 17))
    later = await bank.ask("hn", "RecordInterception", parent="customers/c2", interception=later)
    first = await bank.ask("hn", "ListInterceptions", parent="customers/c2", page_size=1)
    second = await bank.ask("hn", "ListInterceptions", parent="customers/c2", page_token=first.next_page_token)
    assert [*first.interceptions, *second.interceptions] == [later, made]
    assert await bank.ask("hn", "WithdrawInterception", name=made.name, reason="not his") == made
    await bank.ask("hn", "WithdrawInterception", name=later.name, reason="not his")
    await bank.build()
    assert await average(bank, "south", "lobby") is None
    assert await average(bank, "north", "m1") == 1_200
    assert (await bank.refused("hn", "GetInterception", name=made.name))[0] == "NOT_FOUND"
    async with bank.database.read() as conn:
        asked = "SELECT detail ->> 'reason' FROM audit WHERE method = 'WithdrawInterception' ORDER BY rev DESC LIMIT 1"
        told = (await conn.execute(text(asked))).scalar_one()
    assert told == "not his"


async def test_interceptions_of_a_customer_do_not_overlap(bank):
    async def again(first, until, customer="c2"):
        wanted = interception(from_date=first, until_date=until)
        return await bank.refused("hn", "RecordInterception", parent=f"customers/{customer}", interception=wanted)

    await bank.ask("hn", "RecordInterception", parent="customers/c2", interception=interception())
    for span in ((day(5, 31), day(6, 2)), (day(6, 15), day(6, 16)), (day(6, 3), day(6, 4))):
        assert (await again(*span))[0] == "INTERCEPTION_OVERLAPS"
    assert await again(day(6, 20), day(6, 20)) == (
        "FIELD_INVALID",
        [("interception.until_date", "must be after from_date")],
    )
    assert (await again(day(6, 20), wire.date_to_wire(date(2028, 1, 1))))[0] == "FIELD_INVALID"
    assert (await again(day(6, 20), day(6, 21), "nobody"))[0] == "NOT_FOUND"
    await bank.ask("hn", "RecordInterception", parent="customers/c1", interception=interception())


@pytest.mark.parametrize(
    ("staff", "customer", "given", "reason"),
    [
        ("hs", "c1", {}, "NOT_FOUND"),  # the secondary side's head
        ("m1", "c2", {}, "ROLE_FORBIDDEN"),
        ("hn", "c2", {"interceptor": "staff/nobody"}, "CREDIT_UNFIT"),
        ("hn", "m1", {"interceptor": "staff/m1"}, "CREDIT_UNFIT"),  # the customer himself
        ("hn", "c2", {"reason": ""}, "FIELD_INVALID"),
        ("hn", "c2", {"interceptor": "lobby"}, "FIELD_INVALID"),
    ],
)
async def test_an_interception_that_may_not_be_is_refused(bank, staff, customer, given, reason):
    asked = {"parent": f"customers/{customer}", "interception": interception(**given)}
    assert (await bank.refused(staff, "RecordInterception", **asked))[0] == reason


async def test_a_custodian_gets_the_credit_of_the_days_on_which_the_manager_is_away(bank):
    made = await bank.ask("hn", "RecordCreditCustody", parent="branches/north", credit_custody=custody())
    await bank.build()
    assert await average(bank, "north", "m1") == 233 + 166  # a third of 700 and of 500
    assert await average(bank, "north", "m1b") == 1_200 - 399 + 70
    assert await bank.ask("boss", "GetCreditCustody", name=made.name) == made
    listed = await bank.ask("hn", "ListCreditCustodies", parent="branches/north")
    assert list(listed.credit_custodies) == [made]
    await bank.ask("hn", "WithdrawCreditCustody", name=made.name, reason="came back")
    await bank.build()
    assert await average(bank, "north", "m1") == 1_200
    assert (await bank.refused("hn", "WithdrawCreditCustody", name=made.name, reason="x"))[0] == "NOT_FOUND"


async def test_no_relative_of_a_customer_gets_credit_of_him(bank):
    async with bank.database.begin() as tx:
        await tx.execute(text("DELETE FROM staff_relation"))
        await tx.execute(
            text("INSERT INTO staff_relation (customer_id, staff_id, kind, actor) VALUES ('c2', 'm2', 'CHILD', 'm2')")
        )
    given = {"parent": "customers/c2", "interception": interception(interceptor="staff/m2")}
    refused = await bank.refused("hn", "RecordInterception", **given)
    async with bank.database.begin() as tx:
        await tx.execute(text("DELETE FROM staff_relation"))
    assert refused[0] == "CREDIT_UNFIT"
    await bank.ask("hn", "RecordInterception", **given)


async def test_custodies_do_not_overlap_and_credit_is_not_handed_on_twice(bank):
    async def again(**given):
        asked = {"parent": "branches/north", "credit_custody": custody(**given)}
        return (await bank.refused("hn", "RecordCreditCustody", **asked))[0]

    await bank.ask("hn", "RecordCreditCustody", parent="branches/north", credit_custody=custody())
    assert await again() == "CUSTODY_OVERLAPS"
    assert await again(from_date=day(7, 10), until_date=day(8, 1)) == "CUSTODY_OVERLAPS"
    assert await again(from_manager="staff/m1b", to_manager="staff/hn") == "CUSTODY_OVERLAPS"
    assert await again(from_manager="staff/hn", to_manager="staff/m1") == "CUSTODY_OVERLAPS"
    assert await again(to_manager="staff/m1") == "FIELD_INVALID"
    assert await again(to_manager="staff/m2") == "CREDIT_UNFIT"  # of another branch
    assert await again(until_date=day(6, 11)) == "FIELD_INVALID"
    next_one = custody(from_date=day(7, 11), until_date=day(7, 12))
    await bank.ask("hn", "RecordCreditCustody", parent="branches/north", credit_custody=next_one)
    for rpc, asked in (
        ("RecordCreditCustody", {"parent": "branches/north", "credit_custody": custody()}),
        ("ListCreditCustodies", {"parent": "branches/north"}),
    ):
        assert (await bank.refused("hs", rpc, **asked))[0] == "NOT_FOUND"


async def test_nothing_is_recorded_into_a_frozen_month(bank):
    made = await bank.ask("hn", "RecordInterception", parent="customers/c2", interception=interception())
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE score_month SET state = 'FROZEN' WHERE month_date = '2026-06-01'"))
    asked = {"parent": "customers/c1", "interception": interception()}
    assert (await bank.refused("hn", "RecordInterception", **asked))[0] == "MONTH_FROZEN"
    asked = {"parent": "branches/north", "credit_custody": custody()}
    assert (await bank.refused("hn", "RecordCreditCustody", **asked))[0] == "MONTH_FROZEN"
    assert (await bank.refused("hn", "WithdrawInterception", name=made.name, reason="x"))[0] == "MONTH_FROZEN"
    wanted = policy(from_date=day(6, 1))
    assert (await bank.refused("admin", "CreateScorePolicy", score_policy=wanted))[0] == "MONTH_FROZEN"


def policy(**given):
    weights = [credit_pb2.IndicatorWeight(indicator=DEPOSITS, weight=60)]
    weights += [credit_pb2.IndicatorWeight(indicator=WEALTH, weight=40)]
    asked: dict[str, Any] = {
        "from_date": day(7, 1),
        "primary_percent": 60,
        "secondary_percent": 40,
        "interceptor_percent": 10,
    }
    asked |= {"achieved_percent_max": 120, "weights": weights}
    return credit_pb2.ScorePolicy(**asked | given)


async def test_a_policy_is_for_months_from_its_start_on(bank):
    made = await bank.ask("admin", "CreateScorePolicy", score_policy=policy())
    assert (made.name, made.actor) == ("scorePolicies/2", "staff/admin")
    assert await bank.ask("m1", "GetScorePolicy", name=made.name) == made
    listed = await bank.ask("m1", "ListScorePolicies", page_size=1)
    assert list(listed.score_policies) == [made]
    listed = await bank.ask("m1", "ListScorePolicies", page_token=listed.next_page_token)
    assert [one.name for one in listed.score_policies] == ["scorePolicies/1"]
    assert [one.primary_percent for one in listed.score_policies] == [70]
    await bank.imported(date(2026, 7, 1))
    await bank.build(date(2026, 7, 1))
    async with bank.database.read() as conn:
        shares = "SELECT month_date, share FROM credit WHERE customer_id = 'c1' AND branch_id = 'north' ORDER BY 1"
        found = [tuple(row) for row in await conn.execute(text(shares))]
    assert found == [(date(2026, 6, 1), 7_000), (date(2026, 7, 1), 6_000)]


@pytest.mark.parametrize(
    ("given", "reason", "fields"),
    [
        ({"primary_percent": 59}, "SHARES_NOT_100", ["score_policy.secondary_percent"]),
        ({"primary_percent": 61}, "SHARES_NOT_100", ["score_policy.secondary_percent"]),
        ({"interceptor_percent": 61}, "SHARES_NOT_100", ["score_policy.interceptor_percent"]),
        (
            {"weights": [credit_pb2.IndicatorWeight(indicator=WEALTH, weight=99)]},
            "SHARES_NOT_100",
            ["score_policy.weights"],
        ),
        (
            {"weights": [credit_pb2.IndicatorWeight(indicator=WEALTH, weight=50)] * 2},
            "FIELD_INVALID",
            ["score_policy.weights[1].indicator"],
        ),
        ({"weights": [credit_pb2.IndicatorWeight(weight=100)]}, "FIELD_INVALID", ["score_policy.weights[0].indicator"]),
        ({"from_date": day(7, 2)}, "FIELD_INVALID", ["score_policy.from_date"]),
        ({"achieved_percent_max": 99}, "FIELD_INVALID", ["score_policy.achieved_percent_max"]),
    ],
)
async def test_a_policy_that_does_not_add_up_is_refused(bank, given, reason, fields):
    found = await bank.refused("admin", "CreateScorePolicy", score_policy=policy(**given))
    assert (found[0], [field for field, _ in found[1]]) == (reason, fields)


async def test_versions_of_the_policy_start_one_after_the_other(bank):
    await bank.ask("admin", "CreateScorePolicy", score_policy=policy(from_date=day(8, 1)))
    reason, fields = await bank.refused("admin", "CreateScorePolicy", score_policy=policy())
    assert (reason, fields[0][0]) == ("FIELD_INVALID", "score_policy.from_date")
    assert (await bank.refused("hn", "CreateScorePolicy", score_policy=policy()))[0] == "ROLE_FORBIDDEN"
    for name in ("scorePolicies/x", "scorePolicies/0", "scorePolicies/99999999999"):
        assert (await bank.refused("m1", "GetScorePolicy", name=name))[0] == "FIELD_INVALID"
    assert (await bank.refused("m1", "GetScorePolicy", name="scorePolicies/99"))[0] == "NOT_FOUND"


@pytest.mark.parametrize("record", ["RecordInterception", "RecordCreditCustody"])
async def test_of_sixteen_at_once_exactly_one_is_recorded(bank, record):
    if record == "RecordInterception":
        asked = {"parent": "customers/c2", "interception": interception()}
    else:
        asked = {"parent": "branches/north", "credit_custody": custody()}
    answers = await asyncio.gather(*(bank.ask("hn", record, **asked) for _ in range(16)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert len(refused) == 15
    assert {one.code() for one in refused} == {grpc.StatusCode.ALREADY_EXISTS}
