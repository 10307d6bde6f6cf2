"""Score cards over the wire: who sees which, who is behind a figure, and how a month is frozen."""

import base64
from datetime import date

import pytest
from banyan.assignment.v1 import score_card_pb2
from banyan.assignment.v1 import score_card_service_pb2 as pb
from google.protobuf.json_format import MessageToDict
from sqlalchemy import text

DEPOSITS, WEALTH, NEW = (
    score_card_pb2.SCORE_INDICATOR_DEPOSIT_AVERAGE,
    score_card_pb2.SCORE_INDICATOR_WEALTH,
    score_card_pb2.SCORE_INDICATOR_NEW_CUSTOMERS,
)
MANAGER, BRANCH = pb.ListScoreCardsRequest.KIND_MANAGER, pb.ListScoreCardsRequest.KIND_BRANCH


def name(branch, staff="-", month="2026-06"):
    return f"branches/{branch}/staff/{staff}/scoreCards/{month}"


def values(card):
    return {one.indicator: one.value for one in card.figures if one.HasField("value")}


async def test_a_card_tells_its_figures_and_until_when_they_count(bank, day):
    card = await bank.ask("m1", "GetScoreCard", name=name("north", "m1"))
    assert (card.branch, card.manager, card.customer_count) == ("branches/north", "staff/m1", 2)
    assert (card.month_date, card.as_of_date, card.frozen) == (day(2026, 6, 1), day(2026, 6, 30), False)
    assert values(card)[DEPOSITS] == 1_200
    assert values(card)[NEW] == 10_000
    assert not card.HasField("score_basis_points")
    assert values(await bank.ask("hn", "GetScoreCard", name=name("north")))[DEPOSITS] == 1_270


@pytest.mark.parametrize(
    ("staff", "card", "seen"),
    [
        ("m1", name("north", "m1"), True),
        ("m1", name("north", "m1b"), True),  # his branch's ranking
        ("m1", name("north"), True),
        ("m1", name("south", "m2"), False),
        ("m1", name("south"), False),
        ("hn", name("north", "m1"), True),
        ("hn", name("south", "m2"), False),
        ("boss", name("south", "m2"), True),
        ("analyst", name("south"), True),
        ("analyst", name("south", "m2"), False),
        ("boss", name("north", "nobody"), False),
        ("boss", name("north", month="2026-05"), False),
    ],
)
async def test_a_card_is_there_only_for_whom_it_concerns(bank, staff, card, seen):
    if seen:
        assert (await bank.ask(staff, "GetScoreCard", name=card)).name == card
    else:
        assert (await bank.refused(staff, "GetScoreCard", name=card))[0] == "NOT_FOUND"


async def test_an_analyst_is_told_no_figures_of_few_customers_and_rounded_counts_of_more(bank):
    few = await bank.ask("analyst", "GetScoreCard", name=name("south"))
    assert (list(few.figures), few.customer_count) == ([], 0)
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE score_card SET customer_count = 13 WHERE branch_id = 'south'"))
        counted = "UPDATE score_figure SET value = :value WHERE branch_id = 'south' AND indicator = 'NEW_CUSTOMERS'"
        await tx.execute(text(counted), {"value": 90_000})
    more = await bank.ask("analyst", "GetScoreCard", name=name("south"))
    assert (more.customer_count, NEW in values(more), DEPOSITS in values(more)) == (15, False, True)
    async with bank.database.begin() as tx:
        await tx.execute(text(counted), {"value": 125_000})
    assert values(await bank.ask("analyst", "GetScoreCard", name=name("south")))[NEW] == 150_000
    assert values(await bank.ask("hs", "GetScoreCard", name=name("south")))[NEW] == 125_000


async def test_an_analyst_is_not_told_by_places_or_tokens_what_few_customers_have(bank, day):
    asked = {"parent": "branches/top", "kind": BRANCH, "month_date": day(2026, 6, 1), "order_by": DEPOSITS}
    token, found = "", []
    for _ in range(2):
        page = await bank.ask("analyst", "ListScoreCards", page_size=1, page_token=token, **asked)
        token = page.next_page_token
        found += page.score_cards
        assert b"10300" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert [one.score_card.branch for one in found] == ["branches/north", "branches/south"]
    assert not any(one.HasField("place") for one in found)
    theirs = await bank.ask("boss", "ListScoreCards", **asked)
    assert [one.score_card.branch for one in theirs.score_cards] == ["branches/south", "branches/north"]


async def listed(bank, staff, parent, kind, day, **given):
    """The cards of all pages of one, with their places."""
    found, token = [], ""
    while True:
        page = await bank.ask(
            staff, "ListScoreCards", parent=parent, kind=kind, month_date=day(2026, 6, 1), page_size=1,
            page_token=token, **given,
        )  # fmt: skip
        found += [
            (one.score_card.manager or one.score_card.branch, one.place if one.HasField("place") else None)
            for one in page.score_cards
        ]
        token = page.next_page_token
        if not token:
            return found


async def test_cards_are_ranked_by_any_indicator_with_equal_ones_in_one_place(bank, day):
    assert await listed(bank, "m1", "branches/north", MANAGER, day, order_by=DEPOSITS) == [
        ("staff/m1", 1),
        ("staff/m1b", 2),
    ]
    branches = [("branches/south", 1), ("branches/north", 2)]
    assert await listed(bank, "boss", "branches/top", BRANCH, day, order_by=DEPOSITS) == branches
    assert await listed(bank, "m1", "branches/north", BRANCH, day, order_by=DEPOSITS) == [("branches/north", 1)]
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE score_figure SET value = 7 WHERE staff_id <> '' AND indicator = 'WEALTH'"))
    assert await listed(bank, "boss", "branches/north", MANAGER, day, order_by=WEALTH) == [
        ("staff/m1", 1),
        ("staff/m1b", 1),
    ]
    # Without a target nobody has a score.
    assert await listed(bank, "boss", "branches/north", MANAGER, day) == [("staff/m1", None), ("staff/m1b", None)]


@pytest.mark.parametrize(
    ("staff", "parent", "kind"),
    [("m1", "branches/south", MANAGER), ("hn", "branches/top", BRANCH), ("analyst", "branches/north", MANAGER)],
)
async def test_a_ranking_is_there_only_for_whom_it_concerns(bank, day, staff, parent, kind):
    asked = {"parent": parent, "kind": kind, "month_date": day(2026, 6, 1)}
    assert (await bank.refused(staff, "ListScoreCards", **asked))[0] == "NOT_FOUND"


async def behind(bank, staff, card, indicator):
    found, token = {}, ""
    while True:
        page = await bank.ask(
            staff, "ListScoreCardCustomers", parent=card, indicator=indicator, page_size=1, page_token=token
        )
        found |= {one.customer: (one.share_basis_points, one.value) for one in page.customer_credits}
        token = page.next_page_token
        if not token:
            return found, (page.hidden_count, page.hidden_value, page.whole_value)


async def test_the_customers_behind_a_figure_and_the_hidden_rest_are_the_figure(bank):
    assert await behind(bank, "m1", name("north", "m1"), DEPOSITS) == (
        {"customers/c1": (7_000, 700), "customers/c2": (10_000, 500)},
        (0, 0, 1_200),
    )
    # A secondary side is not told the whole bank's money: c1 is in the rest.
    assert await behind(bank, "m2", name("south", "m2"), DEPOSITS) == (
        {"customers/c3": (10_000, 10_000)},
        (1, 300, 10_300),
    )
    assert await behind(bank, "hn", name("north"), DEPOSITS) == (
        {"customers/c1": (7_000, 700), "customers/c2": (10_000, 500), "customers/m1": (10_000, 70)},
        (0, 0, 1_270),
    )
    assert await behind(bank, "boss", name("south"), WEALTH) == (
        {"customers/c1": (3_000, 600), "customers/c3": (10_000, 20_000)},
        (0, 0, 20_600),
    )
    assert await behind(bank, "m1", name("north", "m1"), NEW) == ({"customers/c2": (10_000, 10_000)}, (0, 0, 10_000))


async def test_nobody_sees_himself_behind_a_figure(bank):
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE owner SET manager_id = 'm1' WHERE customer_id = 'm1'"))
        await tx.execute(text("UPDATE credit SET staff_id = 'm1' WHERE customer_id = 'm1'"))
        await tx.execute(text("UPDATE score_figure SET whole = 1270 WHERE staff_id = 'm1' AND value = 1200"))
    found, rest = await behind(bank, "m1", name("north", "m1"), DEPOSITS)
    assert found.keys() == {"customers/c1", "customers/c2"}
    assert rest == (1, 70, 1_270)


@pytest.mark.parametrize(
    ("staff", "card"), [("m1b", name("north", "m1")), ("m1", name("north")), ("hs", name("north"))]
)
async def test_who_is_behind_a_figure_is_told_to_the_manager_and_heads_only(bank, staff, card):
    reason, _ = await bank.refused(staff, "ListScoreCardCustomers", parent=card, indicator=DEPOSITS)
    assert reason == "NOT_FOUND"


async def test_reads_of_who_is_behind_a_figure_are_audited(bank):
    await behind(bank, "m1", name("north", "m1"), WEALTH)
    async with bank.database.read() as conn:
        asked = "SELECT customer_id FROM audit WHERE method = 'ListScoreCardCustomers' ORDER BY rev DESC, audit_id DESC"
        last = (await conn.execute(text(f"{asked} LIMIT 2"))).scalars()
        assert set(last) == {"c1", "c2"}


async def test_bad_requests_are_refused_by_their_fields(bank, day):
    async def fields(rpc, **given):
        reason, found = await bank.refused("boss", rpc, **given)
        assert reason == "FIELD_INVALID"
        return [field for field, _ in found]

    ranking = {"parent": "branches/top", "kind": BRANCH, "month_date": day(2026, 6, 1)}
    for month in ("2026-13", "2026-6", "0000-01", "june"):
        assert await fields("GetScoreCard", name=name("north", month=month)) == ["name"]
    assert await fields("ListScoreCards", **ranking | {"month_date": day(2026, 6, 2)}) == ["month_date"]
    assert await fields("ListScoreCards", **ranking | {"kind": 0}) == ["kind"]
    assert await fields("ListScoreCards", **ranking | {"page_size": -1}) == ["page_size"]
    duty = score_card_pb2.SCORE_INDICATOR_VISIT_DUTY
    assert await fields("ListScoreCardCustomers", parent=name("north"), indicator=duty) == ["indicator"]
    assert (await bank.refused("boss", "ListScoreCards", **ranking | {"page_token": "x"}))[0] == "PAGE_TOKEN_INVALID"


async def test_a_month_is_frozen_by_an_administrator_and_thawed_by_an_approver_with_a_reason(bank):
    june = "scoreMonths/2026-06"
    started = await bank.ask("admin", "FreezeScoreMonth", name=june)
    month = (await bank.wait("admin", started, pb.FreezeScoreMonthResponse())).score_month
    assert (month.name, month.state, month.actor) == (june, score_card_pb2.ScoreMonth.STATE_FROZEN, "staff/admin")
    assert (await bank.ask("m1", "GetScoreCard", name=name("north", "m1"))).frozen
    assert (await bank.refused("admin", "FreezeScoreMonth", name=june))[0] == "MONTH_FROZEN"
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE balance_step SET balance_minor = 9000 WHERE customer_id = 'c2'"))
    await bank.imported(date(2026, 7, 1))
    await bank.build(date(2026, 7, 1))
    assert values(await bank.ask("m1", "GetScoreCard", name=name("north", "m1")))[DEPOSITS] == 1_200
    assert (await bank.refused("admin", "UnfreezeScoreMonth", name=june, reason="why"))[0] == "ROLE_FORBIDDEN"
    assert await bank.refused("approver", "UnfreezeScoreMonth", name=june, reason=" ") == (
        "FIELD_INVALID",
        [("reason", "must have from 1 to 400 characters")],
    )
    thawed = await bank.ask("approver", "UnfreezeScoreMonth", name=june, reason="booked twice")
    assert (thawed.state, thawed.actor, thawed.reason) == (1, "staff/approver", "booked twice")
    reason, _ = await bank.refused("approver", "UnfreezeScoreMonth", name=june, reason="again")
    assert reason == "MONTH_NOT_FROZEN"
    await bank.build(date(2026, 7, 1))
    assert values(await bank.ask("m1", "GetScoreCard", name=name("north", "m1")))[DEPOSITS] == 9_700
    async with bank.database.read() as conn:
        asked = "SELECT detail FROM audit WHERE method = 'UnfreezeScoreMonth' ORDER BY rev DESC LIMIT 1"
        detail = (await conn.execute(text(asked))).scalar_one()
    assert detail == {"month": "2026-06", "reason": "booked twice"}


async def test_a_month_that_is_not_over_is_not_frozen_and_months_are_listed(bank):
    assert (await bank.refused("admin", "FreezeScoreMonth", name="scoreMonths/2026-07"))[0] == "MONTH_NOT_OVER"
    assert (await bank.refused("m1", "FreezeScoreMonth", name="scoreMonths/2026-06"))[0] == "ROLE_FORBIDDEN"
    await bank.imported(date(2026, 7, 5))
    await bank.build(date(2026, 7, 5))
    first = await bank.ask("m1", "ListScoreMonths", page_size=1)
    second = await bank.ask("m1", "ListScoreMonths", page_size=1, page_token=first.next_page_token)
    assert [one.name for page in (first, second) for one in page.score_months] == [
        "scoreMonths/2026-07",
        "scoreMonths/2026-06",
    ]
    assert MessageToDict(first.score_months[0].as_of_date) == {"year": 2026, "month": 7, "day": 5}
    assert (await bank.ask("m1", "GetScoreMonth", name="scoreMonths/2026-06")).policy_version == 1
    assert (await bank.refused("m1", "GetScoreMonth", name="scoreMonths/2025-01"))[0] == "NOT_FOUND"


async def test_cards_are_computed_when_asked_once_for_a_request(bank, day):
    asked = {"business_date": day(2026, 6, 30), "request_id": "6f1b1c4e-6a0e-4a53-9a3e-0a8d1f2f7c11"}
    started = await bank.ask("admin", "BuildScoreCards", **asked)
    assert (await bank.ask("admin", "BuildScoreCards", **asked)).name == started.name
    told = await bank.wait("admin", started, pb.BuildScoreCardsResponse())
    assert (told.customer_count, told.card_count) == (4, 5)
    reason, _ = await bank.refused("admin", "BuildScoreCards", business_date=day(2026, 7, 1))
    assert reason == "SCORE_FIGURES_MISSING"
