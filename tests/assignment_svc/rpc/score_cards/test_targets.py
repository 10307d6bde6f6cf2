"""Targets over the wire: all lines or none, by whom, and what they make of scores."""

from datetime import date
from typing import Any

import pytest
from banyan.assignment.v1 import score_card_pb2, target_pb2
from google.type import date_pb2
from sqlalchemy import text

from chassis import wire

DEPOSITS = score_card_pb2.SCORE_INDICATOR_DEPOSIT_AVERAGE
NEW = score_card_pb2.SCORE_INDICATOR_NEW_CUSTOMERS
RETENTION = score_card_pb2.SCORE_INDICATOR_RETENTION
REQUIRED = ["targets[1].indicator", "targets[1].period"]
MONTH, QUARTER, YEAR = target_pb2.TARGET_PERIOD_MONTH, target_pb2.TARGET_PERIOD_QUARTER, target_pb2.TARGET_PERIOD_YEAR


def day(month, number, year=2026):
    return wire.date_to_wire(date(year, month, number))


def target(manager="staff/m1", branch="branches/north", **given):
    asked: dict[str, Any] = {"indicator": DEPOSITS, "period": MONTH, "period_date": day(6, 1), "value": 1_000}
    return target_pb2.Target(branch=branch, manager=manager, **asked | given)


async def count(bank):
    async with bank.database.read() as conn:
        return (await conn.execute(text("SELECT count(*) FROM target"))).scalar_one()


async def test_targets_are_set_in_versions_and_the_youngest_counts(bank):
    first = (await bank.ask("hn", "SetTargets", targets=[target(), target("staff/m1b", value=70)])).targets
    assert [(one.manager, one.version, one.value, one.actor) for one in first] == [
        ("staff/m1", 1, 1_000, "staff/hn"),
        ("staff/m1b", 1, 70, "staff/hn"),
    ]
    (second,) = (await bank.ask("boss", "SetTargets", targets=[target(value=2_400)])).targets
    assert (second.version, second.value) == (2, 2_400)
    await bank.build()
    card = await bank.ask("m1", "GetScoreCard", name="branches/north/staff/m1/scoreCards/2026-06")
    (figure,) = [one for one in card.figures if one.indicator == DEPOSITS]
    assert (figure.value, figure.target, figure.achieved_basis_points, figure.weight) == (1_200, 2_400, 5_000, 30)
    assert (card.score_basis_points, card.rank, card.ranked_count) == (5_000, 2, 2)
    taken_back = target()
    taken_back.ClearField("value")
    await bank.ask("hn", "SetTargets", targets=[taken_back])
    await bank.build()
    card = await bank.ask("m1", "GetScoreCard", name="branches/north/staff/m1/scoreCards/2026-06")
    assert not card.HasField("score_basis_points")
    assert not card.HasField("rank")


async def test_a_month_takes_its_part_of_a_longer_target(bank):
    lines = [
        target(period=QUARTER, period_date=day(4, 1), value=2_000),
        target(period=YEAR, period_date=day(1, 1), value=9_000),
        target(indicator=NEW, period=YEAR, period_date=day(1, 1), value=120_000),
    ]
    await bank.ask("hn", "SetTargets", targets=lines)
    await bank.build()
    card = await bank.ask("m1", "GetScoreCard", name="branches/north/staff/m1/scoreCards/2026-06")
    told = {one.indicator: one.target for one in card.figures if one.HasField("target")}
    assert told == {DEPOSITS: 2_000, NEW: 10_000}


async def test_every_bad_line_is_told_and_nothing_is_stored(bank):
    async with bank.database.begin() as tx:
        await tx.execute(
            text("INSERT INTO score_month (month_date, state, as_of_date, policy_version)"
                 " VALUES ('2026-05-01', 'FROZEN', '2026-05-31', 1)")
        )  # fmt: skip
    lines = [
        target(),
        target(branch="branches/south"),
        target("staff/m2"),
        target(period_date=day(6, 2)),
        target(period=QUARTER, period_date=day(6, 1)),
        target(value=0),
        target(indicator=RETENTION, value=10_001),
        target(),
        target(period_date=day(5, 1)),
        target(""),
        target("staff/hn", value=5),
    ]
    reason, fields = await bank.refused("hn", "SetTargets", targets=lines)
    assert reason == "TARGETS_INVALID"
    assert fields == [
        ("targets[1].branch", "names no branch of which you set this target"),
        ("targets[2].manager", "names nobody who works at the branch"),
        ("targets[3].period_date", "is not the first day of a month"),
        ("targets[4].period_date", "is not the first day of a quarter"),
        ("targets[5].value", "must be from 1 to 100000000000000000"),
        ("targets[5]", "has the branch, manager, indicator and period of [0]"),
        ("targets[6].value", "is more than 100 percent"),
        ("targets[7]", "has the branch, manager, indicator and period of [0]"),
        ("targets[8].period_date", "is a month that is frozen"),
        ("targets[9].branch", "names no branch of which you set this target"),
        ("targets[10].manager", "names yourself"),
    ]
    assert await count(bank) == 0


async def test_every_malformed_line_is_told_too(bank):
    lines = [
        target(),
        target(branch="north"),
        target("m1", branch="south"),
        target(period_date=date_pb2.Date(year=2026, month=13, day=1)),
    ]
    reason, fields = await bank.refused("hn", "SetTargets", targets=lines)
    assert reason == "TARGETS_INVALID"
    assert [field for field, _ in fields] == [
        "targets[1].branch",
        "targets[2].branch",
        "targets[2].manager",
        "targets[3].period_date",
    ]
    reason, fields = await bank.refused("hn", "SetTargets", targets=[target(), target(indicator=0, period=0)])
    assert (reason, [field for field, _ in fields]) == ("FIELD_INVALID", REQUIRED)
    reason, fields = await bank.refused("hn", "SetTargets", targets=[target()] * 1_001)
    assert (reason, fields) == ("FIELD_INVALID", [("targets", "must have from 1 to 1000 lines")])


@pytest.mark.parametrize(
    ("staff", "line", "may"),
    [
        ("boss", target(""), True),  # the branch's own, by the head above
        ("hn", target(""), False),
        ("boss", target("", branch="branches/top"), False),
        ("admin", target("", branch="branches/top"), True),
        ("admin", target(), True),
        ("boss", target(), True),
        ("hs", target(), False),
        ("admin", target(branch="branches/nowhere"), False),
    ],
)
async def test_targets_are_set_from_above(bank, staff, line, may):
    if may:
        assert (await bank.ask(staff, "SetTargets", targets=[line])).targets[0].version == 1
    else:
        assert (await bank.refused(staff, "SetTargets", targets=[line]))[0] == "TARGETS_INVALID"


async def test_a_repeated_request_sets_them_once(bank):
    asked = {"targets": [target()], "request_id": "6f1b1c4e-6a0e-4a53-9a3e-0a8d1f2f7c12"}
    first = await bank.ask("hn", "SetTargets", **asked)
    assert await bank.ask("hn", "SetTargets", **asked) == first
    assert await count(bank) == 1


async def test_targets_are_told_to_whom_they_concern(bank):
    lines = [target(), target("staff/m1b"), target("")]
    own, other, whole = (one.name for one in (await bank.ask("boss", "SetTargets", targets=lines)).targets)

    async def seen(staff, **given):
        found, token = set(), ""
        while True:
            page = await bank.ask(staff, "ListTargets", parent="branches/north", page_size=1, page_token=token, **given)
            found |= {one.name for one in page.targets}
            token = page.next_page_token
            if not token:
                return found

    assert await seen("m1") == {own, whole}
    assert await seen("hn") == await seen("boss") == await seen("admin") == {own, other, whole}
    assert await seen("hn", manager="staff/m1b") == {other}
    assert await seen("hn", on_date=day(6, 30)) == {own, other, whole}
    assert await seen("hn", on_date=day(7, 1)) == set()
    assert (await bank.refused("m2", "ListTargets", parent="branches/north"))[0] == "NOT_FOUND"
    assert (await bank.ask("m1", "GetTarget", name=own)).manager == "staff/m1"
    assert (await bank.ask("m1", "GetTarget", name=whole)).manager == ""
    for staff, name in (("m1", other), ("m2", own), ("hs", whole), ("hn", "targets/x")):
        assert (await bank.refused(staff, "GetTarget", name=name))[0] == "NOT_FOUND"
