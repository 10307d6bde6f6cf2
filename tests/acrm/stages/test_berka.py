"""What the batch makes of a real bank, against figures added up from its raw files."""

import csv
import gzip
import json
from calendar import monthrange
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from devstack import berka

BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
EARLY = date(1994, 3, 30)
LAST = date(1998, 12, 31)
DAY = timedelta(days=1)
OUR_OWN = {"UROK", "SANKC. UROK", "SLUZBY", "UVER"}


def raw(name):
    path = BERKA / name
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(content.decode().splitlines(), delimiter=";")


def day_of(text):
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


@pytest.fixture(scope="module")
def clients():
    """The client of each account, and the day it was opened."""
    owners = {row["account_id"]: row["client_id"] for row in raw("disp.asc") if row["type"] == "OWNER"}
    return {row["account_id"]: (owners[row["account_id"]], day_of(row["date"])) for row in raw("account.asc")}


@pytest.fixture(scope="module")
def bookings():
    """(day, amount with its sign, purpose, is a transfer out) of each account."""
    found = {}
    for row in raw("trans_subset_merged.asc.gz"):
        amount = int(Decimal(row["amount"]) * 100)
        incoming = row["type"] == "PRIJEM"
        told = (day_of(row["date"]), amount if incoming else -amount, row["k_symbol"].strip())
        found.setdefault(row["account_id"], []).append((*told, row["operation"] == "PREVOD NA UCET"))
    return {account: sorted(booked, key=lambda one: one[0]) for account, booked in found.items()}


@pytest.fixture(scope="module")
def derive_berka(derive_rows, tmp_path_factory):
    made = {}

    def derive(day):
        if day not in made:
            folder = tmp_path_factory.mktemp("berka")
            berka.convert(BERKA, folder, business_date=day, password_hash="$argon2id$x")
            made[day] = derive_rows(folder, day)
        return made[day]

    return derive


def flows(booked, today, days):
    outside = [one for one in booked if today - days * DAY < one[0] <= today and one[2] not in OUR_OWN and not one[3]]
    ins = [amount for _, amount, _, _ in outside if amount > 0]
    outs = [-amount for _, amount, _, _ in outside if amount < 0]
    return sum(ins), sum(outs), max(ins, default=None), max(outs, default=None)


@pytest.mark.parametrize("today", [EARLY, LAST])
def test_flows_are_those_of_the_raw_bookings(today, derive_berka, clients, bookings):
    figures = derive_berka(today)["customer_figures"]
    for account, (client, opened) in clients.items():
        if opened > today:
            continue
        row = figures[client,]
        of_90 = flows(bookings.get(account, []), today, 90)
        of_30 = flows(bookings.get(account, []), today, 30)
        told = [row[f"{name}_90d_minor"] for name in ("inflow", "outflow", "largest_in", "largest_out")]
        assert (*told, row["inflow_30d_minor"], row["outflow_30d_minor"]) == (*of_90, *of_30[:2]), client
        assert row["other_bank_90d_count"] == 0  # all are standing orders


@pytest.fixture(scope="module")
def early_ends(clients, bookings):
    """By client the balance at the end of each day from the opening of his account to the day in 1994."""
    found = {}
    for account, (client, opened) in clients.items():
        day, balance = opened, 0
        coming = iter([*bookings.get(account, []), (date.max, 0, "", False)])
        one = next(coming)
        while day <= EARLY:
            while one[0] <= day:
                balance += one[1]
                one = next(coming)
            found.setdefault(client, {})[day] = balance
            day += DAY
    return found


def sum_of_days(ends, first, last):
    return sum(max(balance, 0) for day, balance in ends.items() if first <= day <= last)


def test_balances_and_their_averages_are_those_of_the_raw_bookings_in_1994(derive_berka, early_ends):
    derived = derive_berka(EARLY)
    figures, series = derived["customer_figures"], derived["monthly_balances"]
    branches = dict(iter(derived["customer_branch_figures"]))
    for client, ends in early_ends.items():
        row = figures[client,]
        assert row["deposit_balance_minor"] == ends[EARLY]
        assert row["deposit_average_minor"] == sum_of_days(ends, EARLY - 29 * DAY, EARLY) // 30
        assert row["deposit_year_average_minor"] == sum_of_days(ends, date(1994, 1, 1), EARLY) // 89
        assert row["deposit_month_start_minor"] == ends.get(date(1994, 2, 28), 0)
        assert row["deposit_year_start_minor"] == ends.get(date(1993, 12, 31), 0)
        for month in range(3, 13):
            first, last = date(1993, month, 1), date(1993, month, monthrange(1993, month)[1])
            kept = series.get((client, branches[client], first))
            assert (kept is not None) == (last in ends)
            if kept:
                assert kept["end_minor"] == ends[last]
                assert kept["average_minor"] == sum_of_days(ends, first, last) // last.day


def test_balances_of_1998_stay_unknown(derive_berka):
    derived = derive_berka(LAST)
    assert not derived["monthly_balances"]
    for row in derived["customer_figures"].values():
        assert {row[name] for name in row if name.startswith(("deposit_", "aum", "tier"))} == {None}
    # Unknown is not little; disponents have nothing of their own.
    assert len(derived["key_tests"]) == 4_500


def test_loans_of_berka_are_live_late_or_settled_as_its_files_say(derive_berka, clients):
    figures, tests = derive_berka(LAST)["customer_figures"], derive_berka(LAST)["key_tests"]
    for row in raw("loan.asc"):
        client = clients[row["account_id"]][0]
        late = row["status"] in {"B", "D"}
        assert figures[client,]["loan_count"] == (row["status"] != "A")
        assert (figures[client,]["loan_settled_date"] is not None) == (row["status"] == "A")
        assert tests[client,]["loan_overdue"] == late
        assert tests[client,]["loan_clean"] == (not late)
        assert tests[client,]["month_end"]


def reasons_of(derived, code):
    """Of each client with the tag why he has it."""
    found = {
        client: json.loads(row["evidence"])["because"]
        for (client, tag), row in derived["customer_tags"].items()
        if tag == code
    }
    return {
        reason: {client for client, why in found.items() if reason in why} for why in found.values() for reason in why
    }


def test_clients_of_1994_whose_average_fell_are_at_risk(derive_berka, early_ends):
    fallen = set()
    for client, ends in early_ends.items():
        mean = sum_of_days(ends, date(1993, 12, 1), date(1994, 2, 28)) // 90
        if mean > 0 and sum_of_days(ends, EARLY - 29 * DAY, EARLY) // 30 * 100 <= mean * 60:
            fallen.add(client)
    assert reasons_of(derive_berka(EARLY), "CHURN_RISK") == {"average_down": fallen}
    assert len(fallen) == 31


def test_clients_of_1994_with_a_steady_income_could_have_a_loan(derive_berka, early_ends, clients, bookings):
    borrowers = {clients[row["account_id"]][0] for row in raw("loan.asc") if day_of(row["date"]) <= EARLY}
    born = {row["client_id"]: row["birth_number"] for row in raw("client.asc")}
    months = [(date(1993, month, 1), date(1993, month, monthrange(1993, month)[1])) for month in range(9, 13)]
    months += [(date(1994, 1, 1), date(1994, 1, 31)), (date(1994, 2, 1), date(1994, 2, 28))]
    steady = set()
    for account, (client, _) in clients.items():
        year, month, day = (int(born[client][at : at + 2]) for at in (0, 2, 4))
        adult = date(1900 + year, month % 50, day) <= date(1976, 3, 30)
        if client in borrowers or client not in early_ends or not adult:
            continue
        booked = bookings.get(account, [])
        if all(
            sum(amount for day, amount, why, _ in booked if amount > 0 and first <= day <= last and why not in OUR_OWN)
            >= 3_000_00
            and sum_of_days(early_ends[client], first, last) >= 10_000_00 * last.day
            for first, last in months
        ):
            steady.add(client)
    assert reasons_of(derive_berka(EARLY), "LOAN_POTENTIAL")["steady_income"] == steady
    assert len(steady) > 100


def test_tags_that_need_what_berka_does_not_tell_are_never_set(derive_berka):
    counts = Counter(code for _, code in derive_berka(EARLY)["customer_tags"])
    assert counts.keys() == {"CHURN_RISK", "DEPOSIT_POTENTIAL", "LOAN_POTENTIAL"}
    # Balances and arrears are unknown in the end, so what is left are loans that were paid back in the year before.
    late = derive_berka(LAST)
    assert {code for _, code in late["customer_tags"]} == {"LOAN_POTENTIAL"}
    year = date(1997, 12, 31)
    settled = {
        client for (client,), row in late["customer_figures"].items() if (row["loan_settled_date"] or year) > year
    }
    assert reasons_of(late, "LOAN_POTENTIAL") == {"loan_settled_cleanly": settled}
