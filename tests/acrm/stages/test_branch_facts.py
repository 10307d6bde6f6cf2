from datetime import date, timedelta
from functools import cache
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acrm.derived import DERIVED
from acrm.stages.branch_facts import Sources, branch_facts
from acrm.tables import FEED
from devstack import berka, demo

TODAY = date(2026, 6, 30)
BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
NAMES = ("customers", "accounts", "loans", "cards", "balances")


@pytest.fixture(scope="session")
def run_stage(local, tmp_path_factory):
    """Answers the facts by customer and branch."""
    path = tmp_path_factory.mktemp("facts") / "branch_facts.parquet"
    schemas = {name: pa.schema([(column.name, column.type) for column in FEED[name].columns]) for name in NAMES}

    @cache
    def compiled(business_date):
        """The stage as SQL: building it takes longer than running it on a few rows."""
        tables = {name: ibis.table(ibis.schema(schemas[name]), name=name) for name in NAMES}
        return str(ibis.to_sql(branch_facts(Sources(**tables), business_date), dialect="duckdb"))

    def run(rows, business_date):
        for name in NAMES:
            local.take(name, pa.Table.from_pylist(rows[name], schema=schemas[name]))
        local.write_sql(compiled(business_date), DERIVED["branch_facts"].schema, path)
        found = pq.read_table(path).to_pylist()
        by_pair = {(row["customer_id"], row["branch_id"]): row for row in found}
        assert len(by_pair) == len(found)
        return by_pair

    return run


def _by_pair(rows):
    found = {}
    for row in rows:
        found.setdefault((row["customer_id"], row["branch_id"]), []).append(row)
    return found


def _histories(rows):
    found = {}
    for row in rows["balances"]:
        found.setdefault(row["account_id"], {})[row["balance_date"]] = row["balance_minor"]
    return found


def _open(row, today):
    return row.get("close_date") is None or row["close_date"] > today


def _sum_of_days(account, history, today):
    total = 0
    for back in range(30):
        day = today - timedelta(days=back)
        told = [at for at in history if at <= day]
        if told and _open(account, day):
            total += max(history[max(told)], 0)
    return total


def _deposit_sum(accounts, histories, today):
    if any(_open(account, today) and account.get("balance_minor") is None for account in accounts):
        return None
    return sum(_sum_of_days(account, histories.get(account["account_id"], {}), today) for account in accounts)


def _largest(rows, amount, since, key):
    def order(row):
        known = row.get(amount) is not None
        return (not known, -row[amount] if known else 0, row[since], row[key])

    return min(rows, key=order, default={})


def slow_facts(rows, today):
    accounts, loans, cards = (_by_pair(rows[name]) for name in ("accounts", "loans", "cards"))
    states = {row["customer_id"]: row["state"] for row in rows["customers"]}
    histories = _histories(rows)
    facts = {}
    for pair in accounts.keys() | loans.keys() | cards.keys():
        here = {"accounts": accounts.get(pair, []), "loans": loans.get(pair, []), "cards": cards.get(pair, [])}
        live_loans = [loan for loan in here["loans"] if loan["state"] == "LIVE"]
        live_cards = [card for card in here["cards"] if _open(card, today)]
        deposit_live = any(_open(account, today) for account in here["accounts"])
        loan = _largest(live_loans, "outstanding_minor", "disburse_date", "loan_id")
        card = _largest(live_cards, "limit_minor", "open_date", "card_id")
        openings = [row["open_date"] for name in ("accounts", "cards") for row in here[name]]
        closed = [row for name in here for row in here[name] if row.get("close_date")]
        ends = [
            max(row["close_date"] - timedelta(days=1), row.get("open_date") or row["disburse_date"]) for row in closed
        ]
        anything = bool(live_loans or live_cards or deposit_live)
        facts[pair] = {
            "customer_id": pair[0],
            "branch_id": pair[1],
            "loan_live": bool(live_loans),
            "loan_id": loan.get("loan_id"),
            "loan_outstanding_minor": loan.get("outstanding_minor"),
            "loan_first_disburse_date": min((one["disburse_date"] for one in live_loans), default=None),
            "loan_officer_id": loan.get("officer_id"),
            "loan_end_date": max((one["close_date"] for one in here["loans"] if one["state"] != "LIVE"), default=None),
            "card_live": bool(live_cards),
            "card_id": card.get("card_id"),
            "card_limit_minor": card.get("limit_minor"),
            "card_first_open_date": min((one["open_date"] for one in live_cards), default=None),
            "card_manager_id": card.get("manager_id"),
            "deposit_live": deposit_live,
            "deposit_sum_minor": _deposit_sum(here["accounts"], histories, today),
            "relation_since_date": min(openings + [one["disburse_date"] for one in here["loans"]]),
            "last_live_date": today if anything else max(ends),
            "customer_state": states[pair[0]],
        }
    return facts


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
def test_facts_agree_with_the_slow_obvious_version(run_stage, rows):
    assert run_stage(rows, TODAY) == slow_facts(rows, TODAY)


@pytest.mark.parametrize("day", [date(1998, 12, 31), date(1994, 3, 30)])
def test_every_berka_customer_has_the_facts_of_the_slow_version(day, run_stage, tmp_path):
    berka.convert(BERKA, tmp_path, business_date=day, password_hash="$argon2id$x")
    rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
    facts = run_stage(rows, day)
    assert facts == slow_facts(rows, day)
    assert len(facts) == len({customer for customer, _ in facts}) == (4_500 if day.year == 1998 else 1_229)


def test_sums_of_berka_are_known_in_1994_and_unknown_in_1998(run_stage, tmp_path):
    known = {}
    for day in (date(1998, 12, 31), date(1994, 3, 30)):
        berka.convert(BERKA, tmp_path, business_date=day, password_hash="$argon2id$x")
        rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
        facts = run_stage(rows, day)
        assert all(row["deposit_live"] for row in facts.values())
        known[day.year] = {row["deposit_sum_minor"] is not None for row in facts.values()}
    assert known == {1998: {False}, 1994: {True}}


def test_the_demo_bank_has_the_facts_of_the_slow_version(run_stage, tmp_path):
    day = demo.generate(tmp_path, customers=1_000, seed=5, password_hash="$argon2id$x")
    rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in NAMES}
    assert run_stage(rows, day) == slow_facts(rows, day)


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
def test_the_sum_of_thirty_end_of_day_balances(accounts, balances, expected, run_stage):
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
    facts = run_stage(rows, TODAY)
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
def test_the_last_live_day_is_the_one_before_the_closing(kind, close_date, live, last_live_date, run_stage):
    rows = {name: [] for name in NAMES} | {
        "customers": [{"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}],
        kind: [account(card_id="k", close_date=close_date)],
    }
    facts = run_stage(rows, TODAY)
    assert (facts["c1", "b1"]["deposit_live"] or facts["c1", "b1"]["card_live"]) is live
    assert facts["c1", "b1"]["last_live_date"] == last_live_date


def test_grace_counts_from_the_first_day_without_the_loan_and_run_off_from_the_last_day_with_it(run_stage):
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
    facts = run_stage(rows, TODAY)
    assert facts["c1", "b1"]["loan_end_date"] == TODAY
    assert facts["c1", "b1"]["last_live_date"] == TODAY - timedelta(days=1)
