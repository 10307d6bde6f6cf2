"""What score cards are made from, against a slow obvious version in plain Python, and against a real bank's files."""

import csv
import gzip
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from acrm.parameters import DEFAULTS
from devstack import berka

BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
DAY = timedelta(days=1)
DATES = [date(2026, 7, 15), date(2026, 3, 1)]
STEPS = ("figures", "series", "scores")


@pytest.fixture(scope="module")
def night(random_bank, derive_rows):
    """The rows of a random bank, and what is derived from them; each only once."""
    made = {}

    def of(seed, today):
        if (seed, today) not in made:
            rows = random_bank(seed, today, 60)
            made[seed, today] = rows, derive_rows(rows, today, STEPS)
        return made[seed, today]

    return of


def window_of(today):
    first = (today.replace(day=1) - DAY).replace(day=1)
    return [first + n * DAY for n in range((today - first).days + 1)]


def steps_of(ends):
    """The days of a pair on which the sum differs from that of the day before, 0 before the first."""
    before, found = 0, {}
    for day, balance in ends.items():
        if balance != before:
            found[day] = balance
        before = balance
    return found


def stepped(table):
    found = defaultdict(dict)
    for (customer, branch, day), row in table.items():
        found[customer, branch][day] = row["balance_minor"]
    return found


@pytest.mark.parametrize("today", DATES)
def test_steps_are_the_days_on_which_deposits_changed(today, seed, night, balances_of):
    rows, derived = night(seed, today)
    balances = balances_of(rows, today)
    ends = defaultdict(lambda: dict.fromkeys(window_of(today), 0))
    for account in rows["accounts"]:
        if not balances.unknown(account):
            for day in window_of(today):
                ends[account["customer_id"], account["branch_id"]][day] += max(balances.at(account, day), 0)
    found = stepped(derived["balance_steps"])
    assert found == {pair: steps for pair, days in ends.items() if (steps := steps_of(days))}


@pytest.mark.parametrize("today", DATES)
def test_months_tell_of_everybody_with_business_now_or_when_the_month_began(today, seed, night):
    rows, derived = night(seed, today)
    first = today.replace(day=1)
    business = defaultdict(list)
    for table, since in (("accounts", "open_date"), ("loans", "disburse_date"), ("cards", "open_date")):
        for row in rows[table]:
            business[row["customer_id"]].append((row[since], row["close_date"] or date.max))
    months, figures = derived["customer_months"], derived["customer_figures"]
    for (customer,), figure in figures.items():
        had = any(since < first <= until for since, until in business[customer])
        has = any(until > today for _, until in business[customer])
        row = months.get((customer, first))
        assert (row is not None) == (had or has or bool(figure["wealth_minor"]))
        if row is None:
            continue
        assert (row["had_business"], row["has_business"]) == (had, has)
        assert row["new_customer"] == (bool(business[customer]) and min(business[customer])[0] >= first)
        accounts = any(account["customer_id"] == customer for account in rows["accounts"])
        assert row["deposit_average_minor"] == (figure["deposit_month_average_minor"] if accounts else 0)
        assert row["wealth_minor"] == (figure["wealth_minor"] or 0)
        unknown = figure["loan_count"] and figure["loan_outstanding_minor"] is None
        assert row["loan_minor"] == (None if unknown else figure["loan_outstanding_minor"] or 0)
        assert row["category_count"] == len((figure["holding_categories"] or ";").split(";")) - (
            2 if figure["holding_categories"] is None else 0
        )


def test_growth_is_the_average_less_that_of_the_month_before(seed, night, balances_of):
    today = date(2026, 7, 15)
    rows, derived = night(seed, today)
    balances, months = balances_of(rows, today), derived["customer_months"]
    known = 0
    for (customer, _), row in months.items():
        accounts = [account for account in rows["accounts"] if account["customer_id"] == customer]
        if row["deposit_growth_minor"] is None:
            continue
        known += bool(accounts)
        own = sum(balances.days(account, date(2026, 7, 1), today) for account in accounts) // 15
        before = sum(balances.days(account, date(2026, 6, 1), date(2026, 6, 30)) for account in accounts) // 30
        assert row["deposit_growth_minor"] == own - before
    assert known


def test_a_key_customer_is_above_the_threshold_by_known_deposits_or_clean_loans(derive_rows):
    today = date(2026, 6, 30)
    much = DEFAULTS.key_asset_minor + 1
    account = {"branch_id": "b1", "kind": "DEMAND", "open_date": date(2020, 1, 1), "balance_minor": much}
    loan = {"loan_id": "l1", "branch_id": "b1", "principal_minor": much, "outstanding_minor": much,
            "outstanding_estimated": False, "disburse_date": date(2020, 1, 1), "state": "LIVE", "in_arrears": False,
            "revolving": False}  # fmt: skip
    rows = {
        "customers": [{"customer_id": f"c{n}", "customer_type": "INDIVIDUAL", "state": "ACTIVE"} for n in range(1, 4)],
        "accounts": [
            {"account_id": "a1", "customer_id": "c1", **account},
            {"account_id": "a3", "customer_id": "c3", **account, "balance_minor": much - 1},
        ],
        "balances": [
            {"account_id": "a1", "balance_date": date(2026, 1, 1), "balance_minor": much},
            {"account_id": "a3", "balance_date": date(2026, 1, 1), "balance_minor": much - 1},
        ],
        "loans": [{"customer_id": "c2", **loan}],
    }
    months = derive_rows(rows, today, STEPS)["customer_months"]
    assert {customer: row["key_customer"] for (customer, _), row in months.items()} == {
        "c1": True,
        "c2": True,
        "c3": False,
    }


def raw(name):
    path = BERKA / name
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(content.decode().splitlines(), delimiter=";")


def day_of(text):
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def test_steps_of_berka_are_those_of_its_raw_bookings(derive_rows, tmp_path):
    today = date(1994, 3, 30)
    berka.convert(BERKA, tmp_path, business_date=today, password_hash="$argon2id$x")
    found = stepped(derive_rows(tmp_path, today, STEPS)["balance_steps"])
    owners = {row["account_id"]: row["client_id"] for row in raw("disp.asc") if row["type"] == "OWNER"}
    booked = defaultdict(lambda: defaultdict(int))
    for row in raw("trans_subset_merged.asc.gz"):
        if day_of(row["date"]) <= today:
            amount = int(Decimal(row["amount"]) * 100)
            booked[owners[row["account_id"]]][day_of(row["date"])] += amount if row["type"] == "PRIJEM" else -amount
    expected = {}
    for client, days in booked.items():
        ends = {day: max(sum(amount for at, amount in days.items() if at <= day), 0) for day in window_of(today)}
        if steps := steps_of(ends):
            expected[client] = steps
    assert {client: steps for (client, _), steps in found.items()} == expected
    assert len(expected) > 1_000
