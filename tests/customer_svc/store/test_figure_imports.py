from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.sql import bulk
from services.customer_svc.store.figure_columns import FIGURES

NEXT_DAY = date(2026, 7, 1)
DAY_VALUE = date(2026, 6, 1)


async def rows(bank, query: str) -> list[Any]:
    async with bank.database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def moved(bank) -> list[Any]:
    return await rows(bank, "SELECT customer_id, rev, update_time FROM customers ORDER BY customer_id")


@pytest.fixture
async def filled(bank):
    await bank.load("customers", [{"customer_id": customer_id} for customer_id in ("c1", "c2", "c9")])
    return bank


def every_figure() -> dict[str, object]:
    """A different value for each."""
    values: dict[str, object] = {}
    for place, name in enumerate(FIGURES):
        values[name] = place if name.endswith(("_minor", "_count", "_days")) else DAY_VALUE
    return values | {"loan_grade": 2, "holding_categories": "insurance;wealth"}


async def test_figures_arrive_each_in_its_column(filled):
    given = every_figure()
    stored = given | {"holding_categories": ["insurance", "wealth"]}
    counts = await filled.load("customer_branch_figures", [{"customer_id": "c1", "branch_id": "b1"} | given])
    assert counts.inserted == 1
    names = ", ".join(FIGURES)
    assert await rows(filled, f"SELECT {names} FROM customer_branch_figures") == [tuple(stored.values())]
    value = {"tier": 3, "tier_gap_minor": 7, "contribution_minor": -8, "lifecycle": "ACTIVE"}
    counts = await filled.load("customer_figures", [{"customer_id": "c1"} | given | value])
    assert (counts.inserted, counts.updated) == (0, 1)
    names = ", ".join([*(f"total_{name}" for name in FIGURES), *value])
    [found] = await rows(filled, f"SELECT {names} FROM customers WHERE customer_id = 'c1'")
    assert found == (*stored.values(), *value.values())


@pytest.mark.parametrize("table", ["customer_branch_figures", "customer_figures", "monthly_balances"])
async def test_the_same_rows_again_write_nothing_and_nobody_moves_in_the_feed(filled, table):
    keys = {"branch_id": "b1"} if table != "customer_figures" else {}
    keys |= {"month_date": DAY_VALUE} if table == "monthly_balances" else {}
    given = [{"customer_id": customer_id} | keys | every_figure() for customer_id in ("c1", "c9")]
    given = given if table != "monthly_balances" else [row | {"end_minor": 5} for row in given]
    before = await moved(filled)
    await filled.load(table, given)
    stored = f"SELECT ctid, * FROM {'customers' if table == 'customer_figures' else table} ORDER BY 1"
    first = await rows(filled, stored)
    counts = await filled.load(table, given, NEXT_DAY)
    assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, 2)
    assert await rows(filled, stored) == first
    assert await moved(filled) == before


@pytest.mark.parametrize("last", ["c2", "c9"], ids=["within the ids that are told", "behind them"])
@pytest.mark.parametrize("keys_per_commit", [1, 20_000])
async def test_what_is_told_no_more_is_there_no_more(filled, monkeypatch, last, keys_per_commit):
    monkeypatch.setattr(bulk, "KEYS_PER_COMMIT", keys_per_commit)
    one = {"customer_id": "c1", "branch_id": "b1", "deposit_balance_minor": 10, "deposit_average_minor": 3}
    others = [one | {"customer_id": other} for other in ("c2", "c9")]
    await filled.load_figures([one, *others])
    stays = [other for other in others if other["customer_id"] != last]
    await filled.load_figures([one | {"branch_id": "b2"}, *stays], NEXT_DAY)
    assert await rows(filled, "SELECT customer_id, branch_id FROM customer_branch_figures ORDER BY 1, 2") == [
        ("c1", "b2"),
        (stays[0]["customer_id"], "b1"),
    ]
    query = "SELECT total_deposit_balance_minor, total_deposit_average_minor FROM customers WHERE customer_id = "
    assert await rows(filled, f"{query} 'c1'") == [(10, 3)]
    assert await rows(filled, f"{query} '{last}'") == [(None, None)]


async def test_months_that_are_told_no_more_go(filled):
    one = {"customer_id": "c1", "branch_id": "b1", "end_minor": 1, "average_minor": 2}
    months = [one | {"month_date": date(2026, month, 1)} for month in (4, 5, 6)]
    await filled.load("monthly_balances", months)
    await filled.load("monthly_balances", months[1:], NEXT_DAY)
    assert await rows(filled, "SELECT month_date FROM monthly_balances ORDER BY 1") == [
        (date(2026, 5, 1),),
        (date(2026, 6, 1),),
    ]


async def test_an_empty_import_empties_everything(filled):
    await filled.load_figures([{"customer_id": "c1", "branch_id": "b1", "deposit_balance_minor": 1}])
    await filled.load_figures([], NEXT_DAY)
    assert await rows(filled, "SELECT count(*) FROM customer_branch_figures") == [(0,)]
    assert await rows(filled, "SELECT count(total_deposit_balance_minor) FROM customers") == [(0,)]


@pytest.mark.parametrize("table", ["customer_branch_figures", "customer_figures"])
async def test_figures_that_would_empty_more_than_half_are_refused_unless_that_is_meant(bank, table):
    ids = [f"c{number}" for number in range(1_001)]
    await bank.load("customers", [{"customer_id": customer_id} for customer_id in ids])
    keys = {"branch_id": "b1"} if table == "customer_branch_figures" else {}
    given = [{"customer_id": customer_id, "account_count": 1} | keys for customer_id in ids]
    await bank.load(table, given)
    for left in ([], given[:500]):
        with pytest.raises(Refused) as refused:
            await bank.load(table, left)
        told = {"table": table, "stored": "1001", "remaining": str(len(left))}
        assert (refused.value.reason, refused.value.metadata) == ("MASS_REMOVAL", told)
    counted = "total_account_count" if table == "customer_figures" else "account_count"
    known = f"SELECT count(*) FROM {'customers' if table == 'customer_figures' else table} WHERE {counted} = 1"
    assert await rows(bank, known) == [(1_001,)]
    await bank.load(table, given[:501])
    await bank.load(table, given)
    await bank.load(table, [], allow_removals=True)
    assert await rows(bank, known) == [(0,)]
