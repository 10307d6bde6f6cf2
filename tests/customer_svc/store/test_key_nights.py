"""The nightly test of all at once: equal to the rule for one, and careful with what did not change."""

from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.customer_svc.domain.key_marks import (
    KeyPolicy,
    KeyTest,
    Routes,
    Standing,
    after_night,
    reason_of,
)
from services.customer_svc.store import key_nights

POLICY = KeyPolicy(1, date(1900, 1, 1), 1000, 2000, 80, 3, 366)
PEOPLE = [f"c{n}" for n in range(6)]
AMOUNTS = st.sampled_from([None, 0, 799, 800, 1000, 1001, 1599, 1600, 2000, 2001])
TESTS = st.builds(KeyTest, AMOUNTS, AMOUNTS, st.sampled_from([False, False, False, True]), st.booleans())
NIGHT = st.dictionaries(st.sampled_from(PEOPLE), TESTS)
# Mostly from month-end to month-end; a step of 0 days tells the night before once more, with other rows.
STEP = st.sampled_from(["end", "end", "end", "again", "day"])


async def stage(tx, told: dict[str, KeyTest]) -> None:
    await tx.execute(
        text(
            "CREATE TEMP TABLE staged (customer_id text, asset_average_minor bigint, loan_outstanding_minor bigint,"
            " loan_overdue boolean, loan_clean boolean) ON COMMIT DROP"
        )
    )
    rows = [{"customer_id": one, **vars(test)} for one, test in told.items()]
    if rows:
        await tx.execute(
            text(
                "INSERT INTO staged VALUES (:customer_id, CAST(:asset_average_minor AS bigint),"
                " CAST(:loan_outstanding_minor AS bigint), :loan_overdue, :loan_clean)"
            ),
            rows,
        )


async def night(database, day: date, told: dict[str, KeyTest]) -> int:
    async with database.begin() as tx:
        await stage(tx, told)
        return await key_nights.apply_tests(tx, "staged", day, POLICY)


async def stored(database) -> dict[str, tuple[Routes, str | None, date | None, str | None]]:
    async with database.read() as conn:
        rows = await conn.execute(
            text("SELECT m.*, c.key_reason FROM key_marks m JOIN customers c USING (customer_id) ORDER BY customer_id")
        )
        return {
            row.customer_id: (
                Routes(row.asset, row.loan, row.asset_below, row.loan_below),
                row.reason,
                row.since_date,
                row.key_reason,
            )
            for row in rows
        }


def month_end_after(day: date) -> date:
    first = (day + timedelta(days=1)).replace(day=1)
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def calendar(steps: Sequence[str]) -> list[date]:
    days, day = [], date(2026, 1, 31)
    for step in steps:
        days.append(day)
        day = {"end": month_end_after(day), "again": day, "day": day + timedelta(days=1)}[step]
    return days


# Without the phase that explains failures, whose tracing costs most of the time here.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(NIGHT, STEP), min_size=1, max_size=8))
async def test_all_at_once_are_decided_as_each_alone(bank, nights) -> None:
    await bank.empty()
    await bank.load("customers", [{"customer_id": one} for one in PEOPLE])
    standings = dict.fromkeys(PEOPLE, Standing())
    for day, (told, _) in zip(calendar([step for _, step in nights]), nights, strict=True):
        before = standings
        standings = {one: after_night(was, told.get(one, KeyTest()), day, POLICY) for one, was in before.items()}
        written = await night(bank.database, day, told)
        assert written == sum(before[one].routes != standings[one].routes for one in PEOPLE)
        assert await night(bank.database, day, told) == 0, "the same night again changes nothing"
        found = await stored(bank.database)
        for one, standing in standings.items():
            routes, reason, since, shown = found.get(one, (Routes(), None, None, None))
            expected = reason_of(standing.routes, manual=False)
            assert (routes, reason, shown) == (standing.routes, expected, expected)
            assert (since is None) == (expected is None)


async def rev_of(database, customer_id: str) -> int:
    async with database.read() as conn:
        row = await conn.execute(text("SELECT rev FROM customers WHERE customer_id = :id"), {"id": customer_id})
        return row.scalar_one()


async def test_a_customer_moves_in_the_feed_only_as_he_becomes_key_or_ceases_to_be(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    begun = await rev_of(bank.database, "c1")
    both = KeyTest(1001, 2001, loan_clean=True)
    await night(bank.database, date(2026, 1, 31), {"c1": both})
    became = await rev_of(bank.database, "c1")
    assert became != begun
    await night(bank.database, date(2026, 2, 10), {"c1": KeyTest(1001, 2001, loan_overdue=True)})
    assert await rev_of(bank.database, "c1") == became, "another reason is nobody else's business"
    async with bank.database.read() as conn:
        rows = await conn.execute(
            text("SELECT kind, old_reason, new_reason, actor FROM key_mark_changes ORDER BY change_id")
        )
        assert [tuple(row) for row in rows] == [("TESTED", None, "BOTH", "batch"), ("TESTED", "BOTH", "ASSET", "batch")]
    assert (await stored(bank.database))["c1"][2] == date(2026, 1, 31), "he is one since the first"


async def test_the_parameters_are_those_of_the_day(bank) -> None:
    async with bank.database.begin() as tx:
        assert (await key_nights.policy_on(tx, date(2026, 1, 1))).asset_minor == 500_000_00
        await tx.execute(
            text(
                "INSERT INTO key_policies (version, start_date, asset_minor, loan_minor, keep_percent, below_count_max,"
                " manual_days_max, actor) VALUES (2, '2026-02-01', 1, 1, 80, 3, 366, 'test')"
            )
        )
        assert (await key_nights.policy_on(tx, date(2026, 1, 31))).version == 1
        assert (await key_nights.policy_on(tx, date(2026, 2, 1))).version == 2
        await tx.execute(text("DELETE FROM key_policies WHERE version = 2"))
