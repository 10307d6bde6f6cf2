from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack import berka, demo

TODAY = date(2026, 6, 30)
BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
NAMES = ("customers", "accounts", "loans", "cards", "balances")

days = st.integers(0, 60).map(lambda back: TODAY - timedelta(days=back))
some_branch = st.sampled_from(["b1", "b2"])
some_customer = st.sampled_from(["c1", "c2"])
# Few values, so that ties are common.
an_amount = st.none() | st.sampled_from([0, 100, 2_000, 2_000_000_000_000])


@st.composite
def banks(draw):
    def opened(start):
        one, other = sorted((draw(days), draw(days)))
        return {start: one, "close_date": draw(st.sampled_from([None, other]))}

    accounts = [
        {"account_id": f"a{n}", "customer_id": draw(some_customer), "branch_id": draw(some_branch), "kind": "DEMAND"}
        | opened("open_date")
        | {"balance_minor": draw(st.none() | st.integers(-100, 10**9))}
        for n in range(draw(st.integers(0, 6)))
    ]
    loans = []
    for n in range(draw(st.integers(0, 6))):
        loan = {"loan_id": f"l{n}", "customer_id": draw(some_customer), "branch_id": draw(some_branch)}
        loan |= {"principal_minor": 1, "outstanding_minor": draw(an_amount), "outstanding_estimated": False}
        loan |= {"in_arrears": False, "officer_id": draw(st.sampled_from([None, "s1", "s2"]))} | opened("disburse_date")
        ended = draw(st.sampled_from(["SETTLED", "WRITTEN_OFF"]))
        loans.append(loan | {"state": "LIVE" if loan["close_date"] is None else ended})
    cards = [
        {"card_id": f"k{n}", "customer_id": draw(some_customer), "branch_id": draw(some_branch)}
        | opened("open_date")
        | {"limit_minor": draw(an_amount), "manager_id": draw(st.sampled_from([None, "s1", "s2"]))}
        for n in range(draw(st.integers(0, 6)))
    ]
    keys = (
        st.tuples(st.sampled_from([account["account_id"] for account in accounts]), days) if accounts else st.nothing()
    )
    balances = [
        {"account_id": account, "balance_date": day, "balance_minor": draw(st.integers(-1_000, 10**12))}
        for account, day in (draw(st.sets(keys, max_size=15)) if accounts else ())
    ]
    customers = [
        {"customer_id": one, "customer_type": "INDIVIDUAL", "state": draw(st.sampled_from(["ACTIVE", "FROZEN"]))}
        for one in ("c1", "c2")
    ]
    return {"customers": customers, "accounts": accounts, "loans": loans, "cards": cards, "balances": balances}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(banks())
def test_facts_and_figures_agree_with_the_slow_obvious_version(run_stages, slow_facts, slow_figures, rows):
    facts, figures = run_stages(rows, TODAY)
    assert facts == slow_facts(rows, TODAY)
    assert figures == slow_figures(rows, TODAY)


@pytest.mark.parametrize("day", [date(1998, 12, 31), date(1994, 3, 30)])
def test_every_berka_customer_has_the_facts_of_the_slow_version(day, run_stages, slow_facts, slow_figures, tmp_path):
    berka.convert(BERKA, tmp_path, business_date=day, password_hash="$argon2id$x")
    rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
    facts, figures = run_stages(rows, day)
    assert facts == slow_facts(rows, day)
    assert figures == slow_figures(rows, day)
    assert len(facts) == len({customer for customer, _ in facts}) == (4_500 if day.year == 1998 else 1_229)


def test_averages_of_berka_are_known_in_1994_and_unknown_in_1998(run_stages, tmp_path):
    known = {}
    for day in (date(1998, 12, 31), date(1994, 3, 30)):
        berka.convert(BERKA, tmp_path, business_date=day, password_hash="$argon2id$x")
        rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
        facts, figures = run_stages(rows, day)
        assert all(row["deposit_live"] for row in facts.values())
        known[day.year] = {row["deposit_average_minor"] is not None for row in figures.values()}
    assert known == {1998: {False}, 1994: {True}}


def test_the_demo_bank_has_the_facts_of_the_slow_version(run_stages, slow_facts, slow_figures, tmp_path):
    day = demo.generate(tmp_path, customers=1_000, seed=5, password_hash="$argon2id$x")
    rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
    facts, figures = run_stages(rows, day)
    assert facts == slow_facts(rows, day)
    assert figures == slow_figures(rows, day)


def account(**more):
    own = {"account_id": "a", "customer_id": "c1", "branch_id": "b1", "kind": "DEMAND", "open_date": date(2020, 1, 1)}
    return own | more


@pytest.mark.parametrize(
    ("accounts", "balances", "expected"),
    [
        pytest.param([account(balance_minor=7)], [(60, 7)], 210, id="held all 30 days"),
        pytest.param([account(balance_minor=7)], [(29, 7)], 210, id="since the first day of the window"),
        pytest.param([account(balance_minor=7)], [(30, 1), (0, 7)], 29 + 7, id="changed on the last day"),
        pytest.param([account(balance_minor=-5)], [(40, 3), (9, -5)], 20 * 3, id="below 0 counts as 0"),
        pytest.param([account(balance_minor=0)], [], 0, id="no balance was ever told"),
        pytest.param([account(balance_minor=None)], [(40, 3)], None, id="unknown"),
        pytest.param(
            [account(balance_minor=2), account(account_id="b", balance_minor=None)],
            [(40, 2)],
            None,
            id="one is unknown",
        ),
        pytest.param(
            [account(balance_minor=2), account(account_id="b", close_date=date(2026, 6, 1))],
            [(40, 2)],
            60,
            id="a closed one is not unknown",
        ),
        pytest.param(
            [account(balance_minor=0, close_date=TODAY - timedelta(days=10))],
            [(40, 2)],
            19 * 2,
            id="until it was closed",
        ),
    ],
)  # fmt: skip
def test_the_sum_of_thirty_end_of_day_balances(accounts, balances, expected, run_stages):
    rows = {
        "customers": [{"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}],
        "accounts": accounts,
        "loans": [],
        "cards": [],
        "balances": [
            {"account_id": "a", "balance_date": TODAY - timedelta(days=back), "balance_minor": balance}
            for back, balance in balances
        ],
    }
    facts, _ = run_stages(rows, TODAY)
    assert facts["c1", "b1"]["deposit_sum_minor"] == expected


@pytest.mark.parametrize(
    ("close_date", "live", "last_live_date"),
    [
        pytest.param(TODAY + timedelta(days=1), True, TODAY, id="the day before it is closed"),
        pytest.param(TODAY, False, TODAY - timedelta(days=1), id="the day it is closed"),
        pytest.param(date(2020, 1, 1), False, date(2020, 1, 1), id="closed the day it was opened"),
    ],
)
@pytest.mark.parametrize("kind", ["accounts", "cards"])
def test_the_last_live_day_is_the_one_before_the_closing(kind, close_date, live, last_live_date, run_stages):
    rows = {name: [] for name in NAMES} | {
        "customers": [{"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}],
        kind: [account(card_id="k", close_date=close_date)],
    }
    facts, _ = run_stages(rows, TODAY)
    assert (facts["c1", "b1"]["deposit_live"] or facts["c1", "b1"]["card_live"]) is live
    assert facts["c1", "b1"]["last_live_date"] == last_live_date


def test_grace_counts_from_the_first_day_without_the_loan_and_run_off_from_the_last_day_with_it(run_stages):
    loan = {
        "loan_id": "l",
        "customer_id": "c1",
        "branch_id": "b1",
        "principal_minor": 1,
        "outstanding_estimated": False,
    }
    loan |= {"in_arrears": False, "disburse_date": date(2020, 1, 1), "close_date": TODAY, "state": "SETTLED"}
    rows = {name: [] for name in NAMES} | {
        "customers": [{"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}],
        "loans": [loan],
    }
    facts, _ = run_stages(rows, TODAY)
    assert facts["c1", "b1"]["loan_end_date"] == TODAY
    assert facts["c1", "b1"]["last_live_date"] == TODAY - timedelta(days=1)
