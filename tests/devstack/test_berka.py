"""The feed of the Berka data against a slow reading of the raw files, in plain Python."""

import csv
import gzip
from calendar import monthrange
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from acrm.sources import check_feed
from chassis.clock import bank_date, bank_noon
from devstack import berka

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "berka"
LAST = date(1998, 12, 31)
EARLY = date(1994, 3, 30)


def raw(name):
    path = SOURCE / name
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(content.decode().splitlines(), delimiter=";"))


def day_of(text):
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def months_later(day, months):
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def minor(text):
    return int(Decimal(text) * 100)


@pytest.fixture(scope="session")
def feeds(tmp_path_factory):
    """The two feeds, checked and read back: rows of each table by date."""
    read = {}
    for day, asked in ((LAST, None), (EARLY, EARLY)):
        folder = tmp_path_factory.mktemp(f"berka-{day}")
        assert berka.convert(SOURCE, folder / "feed", business_date=asked, password_hash="$argon2id$x") == day
        report = check_feed(folder / "feed", folder / "clean", day, rejects=folder / "rejects")
        assert report.faults == []
        read[day] = {
            name: pq.read_table(folder / "clean" / f"{name}.parquet").to_pylist() for name in report.row_counts
        }
    return read


@pytest.fixture(scope="session")
def owners():
    """(customer, branch, opening) of each account."""
    clients = {d["account_id"]: d["client_id"] for d in raw("disp.asc") if d["type"] == "OWNER"}
    return {
        a["account_id"]: (clients[a["account_id"]], a["district_id"], day_of(a["date"])) for a in raw("account.asc")
    }


def test_the_last_feed_holds_the_whole_bank(feeds):
    counts = {name: len(rows) for name, rows in feeds[LAST].items() if rows}
    assert counts == {
        "branches": 77,
        "staff": 80,
        "customers": 5369,
        "relations": 869,
        "accounts": 4500,
        "loans": 682,
        "cards": 892,
        "transactions": 97_005,
    }


@pytest.mark.parametrize("day", [LAST, EARLY])
def test_accounts_belong_to_their_owners_at_their_branches(day, feeds, owners):
    told = {a["account_id"]: (a["customer_id"], a["branch_id"], a["open_date"]) for a in feeds[day]["accounts"]}
    assert told == {account: own for account, own in owners.items() if own[2] <= day}
    assert all(a["kind"] == "DEMAND" and a["close_date"] is None for a in feeds[day]["accounts"])


@pytest.mark.parametrize("day", [LAST, EARLY])
def test_customers_are_the_clients_of_the_accounts_opened_so_far(day, feeds, owners):
    clients = {c["client_id"]: c for c in raw("client.asc")}
    names = {d["A1"]: d["A2"] for d in raw("district.asc")}
    expected = {}
    for disp in raw("disp.asc"):
        opened = owners[disp["account_id"]][2]
        if opened <= day:
            number = clients[disp["client_id"]]["birth_number"]
            month = int(number[2:4])
            birth = date(1900 + int(number[:2]), month % 50, int(number[4:]))
            residence = names[clients[disp["client_id"]]["district_id"]]
            expected[disp["client_id"]] = ("FEMALE" if month > 50 else "MALE", birth, residence, opened, None, "ACTIVE")
    told = {
        c["customer_id"]: tuple(
            c[name]
            for name in ("sex", "birth_date", "residence_district", "customer_since_date", "display_name", "state")
        )
        for c in feeds[day]["customers"]
    }
    assert told == expected


@pytest.mark.parametrize("day", [LAST, EARLY])
def test_disponents_are_related_to_the_owner(day, feeds, owners):
    expected = {
        (owners[d["account_id"]][0], d["client_id"], "disponent")
        for d in raw("disp.asc")
        if d["type"] == "DISPONENT" and owners[d["account_id"]][2] <= day
    }
    told = [(r["customer_id"], r["related_customer_id"], r["kind"]) for r in feeds[day]["relations"]]
    assert (set(told), len(told)) == (expected, len(expected))


def expected_loan(loan, day):
    start, months, status = day_of(loan["date"]), int(loan["duration"]), loan["status"]
    end = months_later(start, months)
    live = status != "A" if day == LAST else day < end
    paid = sum(months_later(start, n) <= day for n in range(1, months + 1))
    owed = minor(loan["amount"]) - minor(loan["payments"]) * paid
    unknown = day == LAST and status == "B"
    payments = [months_later(start, n) for n in range(1, months + 1)]
    next_due = next((at for at in payments if at > day), None) if live else None
    none_late = 0 if day == LAST and status == "C" else None
    late = day == LAST and status in "BD"
    return {
        "principal_minor": minor(loan["amount"]),
        "outstanding_minor": None if unknown else owed if live else 0,
        "outstanding_estimated": live and not unknown,
        "disburse_date": start,
        "due_date": end,
        "close_date": None if live else end,
        "state": "LIVE" if live else "SETTLED",
        "in_arrears": late,
        "officer_id": None,
        "revolving": False,
        "collateral": None,
        "next_due_date": next_due,
        "next_due_minor": minor(loan["payments"]) if next_due else None,
        "overdue_days": none_late,
        "overdue_minor": none_late,
        "interest_arrears_minor": none_late,
        "grade": None,
        "grade_date": None,
        "last_overdue_date": day if late else None,
    }


@pytest.mark.parametrize("day", [LAST, EARLY, date(1996, 7, 31)])
def test_loans_are_told_as_of_the_date(day, feeds, owners, tmp_path):
    if day in feeds:
        loans = feeds[day]["loans"]
    else:
        berka.convert(SOURCE, tmp_path, business_date=day, password_hash="$argon2id$x")
        loans = pq.read_table(tmp_path / "loans.parquet").to_pylist()
    told = {loan.pop("loan_id"): loan for loan in loans}
    expected = {}
    for loan in raw("loan.asc"):
        if day_of(loan["date"]) <= day:
            customer, branch, _ = owners[loan["account_id"]]
            own = {"customer_id": customer, "branch_id": branch, "product": None}
            expected[loan["loan_id"]] = own | expected_loan(loan, day)
    assert told == expected


def test_on_the_last_day_479_loans_are_live_and_76_in_arrears(feeds):
    loans = feeds[LAST]["loans"]
    assert Counter(loan["state"] for loan in loans) == {"LIVE": 31 + 403 + 45, "SETTLED": 203}
    assert sum(loan["in_arrears"] for loan in loans) == 31 + 45
    assert sum(loan["outstanding_minor"] is None for loan in loans) == 31
    assert sum(loan["next_due_date"] is not None for loan in loans) == 403 + 45
    assert sum(loan["overdue_days"] == 0 for loan in loans) == 403


@pytest.mark.parametrize("day", [LAST, EARLY])
def test_cards_belong_to_the_owner_and_have_no_limit(day, feeds, owners):
    disps = {d["disp_id"]: d["account_id"] for d in raw("disp.asc")}
    expected = {
        c["card_id"]: (*owners[disps[c["disp_id"]]][:2], c["type"], day_of(c["issued"]), None)
        for c in raw("card.asc")
        if day_of(c["issued"]) <= day
    }
    names = ("customer_id", "branch_id", "product", "open_date", "limit_minor")
    assert {c["card_id"]: tuple(c[name] for name in names) for c in feeds[day]["cards"]} == expected


@pytest.fixture(scope="session")
def raw_transactions():
    return raw("trans_subset_merged.asc.gz")


@pytest.mark.parametrize("day", [LAST, EARLY])
def test_transactions_keep_amount_side_and_day(day, feeds, raw_transactions):
    expected = {
        t["trans_id"]: (
            t["account_id"],
            day_of(t["date"]),
            "IN" if t["type"] == "PRIJEM" else "OUT",
            minor(t["amount"]),
            t["operation"] == "PREVOD NA UCET",
            t["bank"] or None,
        )
        for t in raw_transactions
        if day_of(t["date"]) <= day
    }
    told = {}
    for t in feeds[day]["transactions"]:
        at = bank_date(t["event_time"])
        assert t["event_time"] == bank_noon(at)
        told[t["transaction_id"]] = (
            *(t["account_id"], at, t["direction"], t["amount_minor"], t["standing_order"]),
            t["counterparty_bank"],
        )
    assert told == expected


def test_operations_are_told_by_purpose_first(feeds):
    assert Counter(t["operation"] for t in feeds[LAST]["transactions"]) == {
        "cash_out": 29_019 + 2_085 + 41,
        "cash_in": 18_116,
        "interest_credit": 17_594,
        "fee": 10_544,
        "household": 7_026 + 244,
        "transfer_in": 4_255,
        "transfer_out": 3_968 + 337,
        "pension": 1_770,
        "insurance": 1_669,
        "interest_penalty": 131,
        "loan_instalment": 123,
        "card_cash_out": 83,
    }


def test_the_channel_is_told_of_what_the_customer_did_not_do_himself(feeds):
    by_bank = {"interest_credit", "interest_penalty", "fee"}
    by_order = {"household", "insurance", "loan_instalment", "transfer_out"}
    from_others = {"pension", "transfer_in"}
    for t in feeds[LAST]["transactions"]:
        itself = t["operation"] in by_bank | from_others or (t["standing_order"] and t["operation"] in by_order)
        assert t["channel"] == ("SYSTEM" if itself else None), t


def test_what_berka_does_not_tell_stays_empty(feeds):
    silent = {
        "customers": ("industry", "risk_rating", "risk_rating_expiry_date"),
        "cards": ("used_minor", "due_date", "due_minor", "overdue_days", "instalment_minor", "last_use_date"),
    }
    for table, columns in silent.items():
        assert {row[column] for row in feeds[LAST][table] for column in columns} == {None}
    assert not any(feeds[LAST][table] for table in ("complaints", "consents", "opt_outs"))


def test_balances_are_the_running_sums_and_agree_with_the_stated_ones(feeds, raw_transactions, owners):
    by_day = {}
    stated = {}
    for t in raw_transactions:
        if day_of(t["date"]) <= EARLY:
            amount = minor(t["amount"]) if t["type"] == "PRIJEM" else -minor(t["amount"])
            days = by_day.setdefault(t["account_id"], Counter())
            days[day_of(t["date"])] += amount
            stated.setdefault((t["account_id"], day_of(t["date"])), set()).add(minor(t["balance"]))
    expected = {}
    for account, days in by_day.items():
        balance = 0
        for day in sorted(days):
            balance += days[day]
            expected[account, day] = balance
    told = {(b["account_id"], b["balance_date"]): b["balance_minor"] for b in feeds[EARLY]["balances"]}
    assert told == expected
    # Rows of one day are in no order, so the day's end is one of the stated balances, up to the source's own rounding.
    assert all(min(abs(balance - one) for one in stated[key]) <= 70 for key, balance in told.items())
    assert {a["account_id"] for a in feeds[EARLY]["accounts"] if a["balance_minor"] is not None} == {
        account for account, own in owners.items() if own[2] <= EARLY
    }


def test_balances_of_the_last_day_are_unknown(feeds):
    assert feeds[LAST]["balances"] == []
    assert {account["balance_minor"] for account in feeds[LAST]["accounts"]} == {None}


def test_every_branch_has_one_head_and_head_office_roles_sit_at_the_first(feeds):
    staff = feeds[LAST]["staff"]
    heads = [member["branch_id"] for member in staff if member["roles"] == "BRANCH_HEAD"]
    assert sorted(heads) == sorted(branch["branch_id"] for branch in feeds[LAST]["branches"])
    others = {(member["roles"], member["branch_id"]) for member in staff if member["roles"] != "BRANCH_HEAD"}
    assert others == {("ADMIN", "1"), ("ANALYST", "1"), ("AUDITOR", "1")}


@pytest.mark.parametrize("day", [LAST + timedelta(days=1), date(1992, 12, 31)])
def test_a_date_that_the_data_does_not_tell_of_is_refused(day, tmp_path):
    with pytest.raises(berka.NoBerka, match="1993-01-01 to 1998-12-31"):
        berka.convert(SOURCE, tmp_path, business_date=day, password_hash="$argon2id$x")


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(berka.NoBerka):
        berka.convert(tmp_path, tmp_path / "feed", business_date=None, password_hash="$argon2id$x")


def test_the_whole_table_of_transactions_is_used_if_it_is_there(tmp_path, raw_transactions):
    for path in SOURCE.glob("*.asc"):
        (tmp_path / path.name).symlink_to(path)
    ending = [t for t in raw_transactions if t["account_id"] == "1"]
    with (tmp_path / "trans.asc").open("w") as file:
        writer = csv.DictWriter(file, list(raw_transactions[0]), delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(ending)
    berka.convert(tmp_path, tmp_path / "feed", business_date=None, password_hash="$argon2id$x")
    balances = pq.read_table(tmp_path / "feed" / "balances.parquet").to_pylist()
    assert {row["account_id"] for row in balances} <= {"1"}
    assert all(one["balance_date"] < two["balance_date"] for one, two in pairwise(balances))
    accounts = pq.read_table(tmp_path / "feed" / "accounts.parquet").column("balance_minor").to_pylist()
    assert None not in accounts
