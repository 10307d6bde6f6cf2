"""Nights of score cards: which months they compute, and what freezes them."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.feed import Wakeups
from services.assignment_svc.domain.credit import SharePolicy
from services.assignment_svc.domain.score_cards import Figure, Indicator, MonthState, ScorePolicy
from services.assignment_svc.domain.targets import Line, Period
from services.assignment_svc.store import score_cards
from services.assignment_svc.store.score_cards import CardId
from services.assignment_svc.store.score_imports import MONTHS_SCHEMA, STEPS_SCHEMA
from services.assignment_svc.usecases import build_score_cards as module
from services.assignment_svc.usecases.build_score_cards import build_score_cards, check_unfreeze, freeze_month, scored
from services.assignment_svc.usecases.import_rows import FeedImport

TABLES = (
    "branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, ownership_hold, balance_step,"
    " customer_month, interception, credit_custody, credit, score_import, score_month, score_card, score_figure, target"
)
MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
async def bank(database, monkeypatch):
    """Of m1 at north is c1, whose secondary side is m2 at south; c2 is of south's virtual manager."""
    monkeypatch.setattr(module, "BATCH_CUSTOMERS", 1)
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, policy_version = 0, seen_rev = '0'"
            )
        )
        await tx.execute(text("INSERT INTO branch (branch_id, display_name) VALUES ('north', 'N'), ('south', 'S')"))
        for customer, branch, side, manager in (
            ("c1", "north", "PRIMARY", "m1"),
            ("c1", "south", "SECONDARY", "m2"),
            ("c2", "south", "PRIMARY", None),
        ):
            await tx.execute(
                text(
                    "INSERT INTO ownership (customer_id, state, business_date) VALUES (:customer, 'LIVE', '2026-06-01')"
                    " ON CONFLICT DO NOTHING"
                ),
                {"customer": customer},
            )
            await tx.execute(
                text(
                    "INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date,"
                    " from_date, actor) VALUES (:customer, :branch, :side, 'DEPOSIT', :manager, false, '2026-05-11',"
                    " '2026-05-11', 'test')"
                ),
                {"customer": customer, "branch": branch, "side": side, "manager": manager},
            )


async def goes_on(_done, _total):
    return True


async def send(database, name, schema, day, rows):
    async def chunks():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        yield sink.getvalue().to_pybytes()

    await FeedImport(database, Wakeups(None)).run(name, day, chunks())


def step(customer, since, balance):
    return {"customer_id": customer, "branch_id": "south", "from_date": since, "balance_minor": balance}


def month(customer, first, **more):
    told = {"customer_id": customer, "month_date": first, "deposit_average_minor": 1, "deposit_growth_minor": -10}
    told |= {"wealth_minor": 101, "loan_minor": 7, "category_count": 2, "had_business": True, "has_business": True}
    return told | {"new_customer": False, "key_customer": False} | more


async def night(database, day, balance=1_000):
    """Both customers have the balance since the month before; c2's loans are unknown, and c1 is new."""
    first = day.replace(day=1)
    since = (first - DAY).replace(day=1)
    steps = [step(one, since, balance) for one in ("c1", "c2")]
    months = [month("c1", first, new_customer=True, had_business=False), month("c2", first, loan_minor=None)]
    await send(database, "balance_steps", STEPS_SCHEMA, day, steps)
    await send(database, "customer_months", MONTHS_SCHEMA, day, months)
    return await build_score_cards(database, day, goes_on)


async def card(database, first, branch, staff=None):
    async with database.read() as conn:
        found = await score_cards.get_card(conn, CardId(first, branch, staff))
    assert found is not None
    return {one.indicator: (one.value, one.unknown_count) for one in found.figures}


async def state(database, first):
    async with database.read() as conn:
        found = await score_cards.get_month(conn, first)
    return (found.state, found.as_of_date, found.actor) if found else None


async def test_cards_add_up_the_shares_of_customers(database):
    assert await night(database, date(2026, 7, 10)) == module.Report(4, 8)
    north, south = await card(database, JULY, "north"), await card(database, JULY, "south")
    assert await card(database, JULY, "north", "m1") == north
    assert await card(database, JULY, "south", "") == south
    assert north[Indicator.DEPOSIT_AVERAGE] == (700, 0)
    assert south[Indicator.DEPOSIT_AVERAGE] == (1_300, 0)
    assert (await card(database, JULY, "south", "m2"))[Indicator.DEPOSIT_AVERAGE] == (300, 0)
    assert north[Indicator.WEALTH] == (71, 0)
    assert south[Indicator.WEALTH] == (131, 0)
    assert north[Indicator.DEPOSIT_GROWTH] == (-7, 0)
    assert (south[Indicator.LOAN], north[Indicator.LOAN]) == ((2, 1), (5, 0))
    assert (north[Indicator.NEW_CUSTOMERS], south[Indicator.NEW_CUSTOMERS]) == ((7_000, 0), (3_000, 0))
    assert south[Indicator.CROSS_SELL] == (20_000, 0)
    assert south[Indicator.RETENTION] == (10_000, 0)
    assert north[Indicator.RETENTION] == (None, 0)


async def test_a_night_computes_the_month_before_too_until_it_is_frozen(database):
    await night(database, date(2026, 6, 28))
    assert await state(database, MAY) == (MonthState.OPEN, date(2026, 5, 31), None)
    assert await state(database, JUNE) == (MonthState.OPEN, date(2026, 6, 28), None)
    with pytest.raises(Refused) as caught:
        await freeze_month(database, JUNE, "boss", goes_on)
    assert caught.value.reason == "MONTH_NOT_OVER"
    await night(database, date(2026, 7, 2), balance=2_000)
    assert (await card(database, JUNE, "north"))[Indicator.DEPOSIT_AVERAGE] == (1_400, 0)
    assert await state(database, JUNE) == (MonthState.OPEN, date(2026, 6, 30), None)
    frozen = await freeze_month(database, JUNE, "boss", goes_on)
    assert frozen is not None
    assert (frozen.state, frozen.actor) == (MonthState.FROZEN, "boss")
    assert await freeze_month(database, JUNE, "other", goes_on) == frozen
    await night(database, date(2026, 7, 3), balance=9_000)
    assert (await card(database, JUNE, "north"))[Indicator.DEPOSIT_AVERAGE] == (1_400, 0)
    assert (await card(database, JULY, "north"))[Indicator.DEPOSIT_AVERAGE] == (6_300, 0)


async def test_a_month_is_thawed_only_while_its_balances_are_there(database):
    await night(database, date(2026, 6, 30))
    await freeze_month(database, MAY, "boss", goes_on)
    await freeze_month(database, JUNE, "boss", goes_on)
    async with database.begin() as tx:
        await check_unfreeze(tx, MAY)
    await night(database, date(2026, 7, 1))
    async with database.begin() as tx:
        await check_unfreeze(tx, JUNE)
        with pytest.raises(Refused) as caught:
            await check_unfreeze(tx, MAY)
        assert caught.value.reason == "MONTH_TOO_OLD"
        with pytest.raises(Refused) as caught:
            await check_unfreeze(tx, JULY)
        assert caught.value.reason == "MONTH_NOT_FROZEN"
        await score_cards.unfreeze(tx, JUNE, "approver", "a loan was booked twice")
    await night(database, date(2026, 7, 2), balance=5_000)
    assert (await card(database, JUNE, "north"))[Indicator.DEPOSIT_AVERAGE] == (3_500, 0)


async def test_a_month_that_was_never_computed_cannot_be_frozen_later(database):
    await night(database, date(2026, 7, 1))
    with pytest.raises(Refused) as caught:
        await freeze_month(database, date(2026, 3, 1), "boss", goes_on)
    assert caught.value.reason == "MONTH_NOT_OVER"


async def test_a_date_without_figures_is_refused(database):
    await night(database, date(2026, 7, 1))
    await send(database, "balance_steps", STEPS_SCHEMA, date(2026, 7, 2), [])
    for day in (date(2026, 7, 1), date(2026, 7, 2)):
        with pytest.raises(Refused) as caught:
            await build_score_cards(database, day, goes_on)
        assert caught.value.reason == "SCORE_FIGURES_MISSING"


async def test_a_run_that_is_stopped_leaves_the_cards_as_they_were(database):
    async def stops(done, _total):
        return done == 0

    await night(database, date(2026, 7, 1))
    await send(database, "balance_steps", STEPS_SCHEMA, date(2026, 7, 1), [])
    await build_score_cards(database, date(2026, 7, 1), stops)
    assert (await card(database, JULY, "north"))[Indicator.DEPOSIT_AVERAGE] == (700, 0)
    await build_score_cards(database, date(2026, 7, 1), goes_on)
    assert (await card(database, JULY, "north"))[Indicator.DEPOSIT_AVERAGE] == (0, 0)


def test_cards_are_scored_by_their_targets_and_ranked_within_branches_and_among_them():
    policy = ScorePolicy(1, JUNE, SharePolicy(), 150, {Indicator.WEALTH: 60, Indicator.RETENTION: 40})
    cards = {
        (branch, staff): [Figure(Indicator.WEALTH, wealth, None, None), Figure(Indicator.RETENTION, 9, 10, None)]
        for branch, staff, wealth in (
            ("a", "", 300), ("a", "m1", 100), ("a", "m2", 200), ("a", "m3", 200), ("b", "", 90), ("b", "m4", 90),
        )
    }  # fmt: skip

    def target(branch, staff, indicator, value):
        return Line(branch, staff, indicator, Period.MONTH, JUNE, value)

    lines = {
        ("a", "m1"): [target("a", "m1", Indicator.WEALTH, 100)],
        ("a", "m2"): [target("a", "m2", Indicator.WEALTH, 100), target("a", "m2", Indicator.RETENTION, 9_000)],
        ("a", "m3"): [target("a", "m3", Indicator.WEALTH, 200)],
        ("a", ""): [target("a", None, Indicator.WEALTH, 600)],
        ("b", ""): [target("b", None, Indicator.WEALTH, 90)],
    }
    figures, standings = scored(cards, lines, policy, JUNE)
    told = {key: (one.score, one.rank, one.ranked_count) for key, one in standings.items()}
    assert told == {
        ("a", "m1"): (10_000, 2, 3),
        ("a", "m2"): (13_000, 1, 3),  # 200 % counts as 150
        ("a", "m3"): (10_000, 2, 3),
        ("a", ""): (5_000, 2, 2),
        ("b", ""): (10_000, 1, 2),
        ("b", "m4"): (None, None, 0),
    }
    assert [one.value for one in figures["a", "m1"]] == [100, 9_000]
