"""The stages' slow obvious version, and a way to run the stages on rows of Python."""

from datetime import timedelta
from functools import cache

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acrm.derived import DERIVED
from acrm.engines import engine
from acrm.stages.branch_facts import Sources, branch_facts
from acrm.stages.customer_branch_figures import customer_branch_figures
from acrm.tables import FEED

NAMES = ("customers", "accounts", "loans", "cards", "balances")


def schema_of(name):
    return pa.schema([(column.name, column.type) for column in FEED[name].columns])


@pytest.fixture(scope="session")
def local():
    with engine() as opened:
        yield opened


@pytest.fixture(scope="session")
def run_stages(local, tmp_path_factory):
    """Answers (facts, figures) as rows by (customer, branch)."""
    target = tmp_path_factory.mktemp("stages")

    @cache
    def compiled(business_date):
        """The stages as SQL: building it takes longer than running it on a few rows."""
        tables = {name: ibis.table(ibis.schema(schema_of(name)), name=name) for name in NAMES}
        stages = {
            "branch_facts": branch_facts(Sources(**tables), business_date),
            "customer_branch_figures": customer_branch_figures(tables["accounts"], tables["balances"], business_date),
        }
        return {name: str(ibis.to_sql(stage, dialect="duckdb")) for name, stage in stages.items()}

    def run(rows, business_date):
        for name in NAMES:
            local.take(name, pa.Table.from_pylist(rows[name], schema=schema_of(name)))
        answers = []
        for name, sql in compiled(business_date).items():
            path = target / f"{name}.parquet"
            local.write_sql(sql, DERIVED[name].schema, path)
            written = pq.read_table(path)
            assert [(f.name, f.type) for f in written.schema] == [(f.name, f.type) for f in DERIVED[name].schema]
            by_pair = {(row["customer_id"], row["branch_id"]): row for row in written.to_pylist()}
            assert len(by_pair) == written.num_rows
            answers.append(by_pair)
        return answers

    return run


@pytest.fixture(scope="session")
def slow_facts():
    return _slow_facts


@pytest.fixture(scope="session")
def slow_figures():
    return _slow_figures


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


def _slow_facts(rows, today):
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


def _slow_figures(rows, today):
    histories = _histories(rows)
    figures = {}
    for pair, accounts in _by_pair(rows["accounts"]).items():
        balances = [account.get("balance_minor") for account in accounts if _open(account, today)]
        total = _deposit_sum(accounts, histories, today)
        figures[pair] = {
            "customer_id": pair[0],
            "branch_id": pair[1],
            "deposit_balance_minor": None if None in balances else sum(balances),
            "deposit_average_minor": None if total is None else total // 30,
        }
    return figures
