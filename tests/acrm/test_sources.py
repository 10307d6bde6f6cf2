from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from acrm.sources import check_feed
from acrm.tables import FEED

BUSINESS_DATE = date(2026, 6, 30)
TOMORROW = date(2026, 7, 1)


@pytest.fixture
def check(tmp_path):
    def run(folder, **options):
        return check_feed(folder, tmp_path / "clean", BUSINESS_DATE, rejects=tmp_path / "rejects", **options)

    return run


def broken_values(column):
    """Every way in which one column of a row can be wrong, with the reason that must be given."""
    if column.required:
        yield None, "is required"
    if column.past:
        yield datetime(2026, 6, 30, 16, tzinfo=UTC) if column.kind == "instant" else TOMORROW, "is after the business"
    if column.minimum is not None:
        yield column.minimum - 1, f"is below {column.minimum}"
    if column.maximum is not None:
        yield column.maximum + 1, f"is above {column.maximum}"
    if column.kind == "id":
        yield "no spaces", "is no id"
        yield "x" * 65, "is no id"
    if column.kind == "text":
        yield "x" * 201, "is longer"
    if column.kind == "code":
        yield "NEW", "is none of"
    if column.kind == "codes":
        yield "MANAGER;KING", "joined by ;"
    if column.reference:
        yield "nobody", "names no row"


def unreadable_values(column):
    """What only a CSV can get wrong."""
    if column.kind == "date":
        yield "2026-02-30", "is no date"
        yield "30.06.2026", "is no date"
    if column.kind in {"amount", "number"}:
        yield "12.5", "is no whole number"
        yield "1e3", "is no whole number"
        yield "9223372036854775808", "is no whole number"
    if column.kind == "degrees":
        yield "nan", "are no decimal degrees"
        yield "1e1", "are no decimal degrees"
        yield "26,5", "are no decimal degrees"
    if column.kind == "flag":
        yield "1", "is neither true nor false"
    if column.kind == "instant":
        yield "2026-06-30 12:00:00", "is no time with its offset"


def with_broken_rows(rows, *kinds):
    """Adds a row for each broken value of each column, and says which (table, row, column, reason) must be found."""
    expected = []
    for table in FEED.values():
        good = rows[table.name][0]
        [first, *more] = table.key
        for column in table.columns:
            for value, reason in (broken for kind in kinds for broken in kind(column)):
                fresh = {} if more else {first: f"new{len(rows[table.name])}"}
                if "login" in good:
                    fresh |= {"login": f"login{len(rows[table.name])}"}
                rows[table.name].append(good | fresh | {column.name: value})
                expected.append((table.name, len(rows[table.name]), column.name, reason))
    return expected


def missed(report, expected, first_line, rejects):
    found = {
        (name, int(row["line"]) - first_line + 1, row["column"], row["reason"])
        for name in FEED
        if (rejects / f"{name}.csv").exists()
        for row in pcsv.read_csv(rejects / f"{name}.csv").to_pylist()
    }
    assert len(found) <= report.fault_count
    return [want for want in expected if not any(want[:3] == have[:3] and want[3] in have[3] for have in found)]


def test_a_valid_feed_is_the_same_from_csv_and_parquet(rows, write_csv, write_parquet, check, tmp_path):
    clean = []
    for folder in (write_csv(rows, tmp_path / "csv"), write_parquet(rows, tmp_path / "parquet")):
        report = check(folder)
        assert report.faults == []
        assert report.row_counts == {name: len(given) for name, given in rows.items()}
        clean.append({name: pq.read_table(tmp_path / "clean" / f"{name}.parquet") for name in FEED})
    assert all(clean[0][name].to_pylist() == clean[1][name].to_pylist() for name in FEED)
    for name, table in clean[0].items():
        assert [(field.name, field.type) for field in table.schema] == [(c.name, c.type) for c in FEED[name].columns]
        assert table.to_pylist() == [{c.name: row.get(c.name) for c in FEED[name].columns} for row in rows[name]]


def test_a_feed_may_have_the_required_columns_alone(rows, write_parquet, check, tmp_path):
    folder = write_parquet(rows, tmp_path / "feed")
    for name, table in FEED.items():
        path = folder / f"{name}.parquet"
        # A loan that ended has to say when, and one in arrears may say no more.
        kept = [c.name for c in table.columns if c.required or (name, c.name) == ("loans", "close_date")]
        pq.write_table(pq.read_table(path, columns=kept), path)
    report = check(folder)
    assert report.faults == []
    loan = pq.read_table(tmp_path / "clean" / "loans.parquet").to_pylist()[0]
    assert {loan[name] for name in ("collateral", "next_due_date", "overdue_days", "grade", "last_overdue_date")} == {
        None
    }


def test_a_broken_value_in_each_column_of_a_csv_is_found_by_line(rows, write_csv, check, tmp_path):
    expected = with_broken_rows(rows, broken_values, unreadable_values)
    report = check(write_csv(rows, tmp_path / "feed"))
    assert missed(report, expected, 2, tmp_path / "rejects") == []
    assert not report.accepted
    assert not (tmp_path / "clean").exists()


def test_a_broken_value_in_each_column_of_a_parquet_file_is_found_by_row(rows, write_parquet, check, tmp_path):
    expected = with_broken_rows(rows, broken_values)
    report = check(write_parquet(rows, tmp_path / "feed"))
    assert missed(report, expected, 1, tmp_path / "rejects") == []


def test_csv_and_parquet_have_the_same_faults(rows, write_csv, write_parquet, check, tmp_path):
    with_broken_rows(rows, broken_values)
    rejects = []
    for folder in (write_csv(rows, tmp_path / "csv"), write_parquet(rows, tmp_path / "parquet")):
        check(folder)
        found = {name: pcsv.read_csv(tmp_path / "rejects" / f"{name}.csv").to_pylist() for name in FEED}
        first = 1 if folder.name == "csv" else 0
        rejects.append(
            {name: sorted((r["line"] - first, r["column"], r["reason"]) for r in found[name]) for name in FEED}
        )
    assert rejects[0] == rejects[1]


@pytest.mark.parametrize(
    "case",
    [
        ("branches", 1, {"close_date": date(2019, 1, 1), "open_date": date(2020, 1, 1)}, "close_date", "is before"),
        ("branches", 1, {"parent_id": "b2"}, "parent_id", "form a circle"),
        ("branches", 1, {"parent_id": "b1"}, "parent_id", "form a circle"),
        ("staff", 0, {"successor_id": "s1"}, "successor_id", "is the staff member"),
        ("staff", 0, {"password_hash": None}, "password_hash", "must be given exactly if login is"),
        ("staff", 0, {"password_hash": "secret"}, "password_hash", "is not an argon2 hash"),
        ("staff", 1, {"login": "a", "password_hash": "$argon2id$x"}, "login", "stands in 2 rows"),
        ("staff", 1, {"active_until_date": date(2019, 1, 1)}, "active_until_date", "is before active_from_date"),
        ("customers", 0, {"id_type": None}, "id_type", "must be given exactly if id_number is"),
        ("customers", 0, {"birth_date": date(2026, 1, 1)}, "customer_since_date", "is before birth_date"),
        ("customers", 1, {"customer_id": "c1"}, "customer_id", "stands in 2 rows"),
        ("relations", 0, {"related_customer_id": "c2"}, "related_customer_id", "is the customer"),
        ("accounts", 1, {"close_date": date(2019, 1, 1)}, "close_date", "is before open_date"),
        ("accounts", 1, {"maturity_date": date(2019, 1, 1)}, "maturity_date", "is before open_date"),
        ("accounts", 0, {"balance_minor": 7}, "balance_minor", "the balances end with -500"),
        ("accounts", 1, {"balance_minor": 7}, "balance_minor", "the balances end with 0"),
        ("loans", 0, {"state": "SETTLED"}, "close_date", "must be given exactly if state is not LIVE"),
        ("loans", 1, {"state": "LIVE"}, "close_date", "must be given exactly if state is not LIVE"),
        ("loans", 0, {"due_date": date(2019, 1, 1)}, "due_date", "is before disburse_date"),
        ("loans", 1, {"close_date": date(2019, 1, 1)}, "close_date", "is before disburse_date"),
        ("loans", 1, {"next_due_date": date(2026, 7, 1)}, "next_due_date", "is given though state is not LIVE"),
        ("loans", 0, {"next_due_date": None}, "next_due_minor", "has no next_due_date"),
        ("loans", 1, {"overdue_days": 0}, "overdue_days", "is given though state is not LIVE"),
        ("loans", 0, {"in_arrears": False}, "overdue_days", "is above 0 though in_arrears is false"),
        ("loans", 0, {"in_arrears": False}, "overdue_minor", "is above 0 though in_arrears is false"),
        ("loans", 0, {"in_arrears": False}, "interest_arrears_minor", "is above 0 though in_arrears is false"),
        ("loans", 0, {"grade": None}, "grade_date", "has no grade"),
        ("loans", 0, {"grade_date": date(2019, 1, 1)}, "grade_date", "is before disburse_date"),
        ("loans", 0, {"last_overdue_date": date(2019, 1, 1)}, "last_overdue_date", "is before disburse_date"),
        ("customers", 0, {"risk_rating": None}, "risk_rating_expiry_date", "has no risk_rating"),
        ("cards", 0, {"due_date": None}, "due_minor", "has no due_date"),
        ("cards", 0, {"last_use_date": date(2019, 1, 1)}, "last_use_date", "is before open_date"),
        ("holdings", 0, {"maturity_date": date(2019, 1, 1)}, "maturity_date", "is before open_date"),
        ("complaints", 0, {"close_time": datetime(2026, 5, 1, tzinfo=UTC)}, "close_time", "is before open_time"),
        ("cards", 0, {"close_date": date(2019, 1, 1)}, "close_date", "is before open_date"),
        ("holdings", 0, {"close_date": date(2019, 1, 1)}, "close_date", "is before open_date"),
        ("transactions", 0, {"reversed_transaction_id": "x1"}, "reversed_transaction_id", "is the booking"),
    ],
)  # fmt: skip
def test_columns_that_contradict_each_other(case, rows, write_parquet, check, tmp_path):
    table, row, change, column, reason = case
    rows[table][row] |= change
    report = check(write_parquet(rows, tmp_path / "feed"))
    assert any(f.table == table and f.column == column and reason in f.reason for f in report.faults)
    assert not report.accepted


def test_the_good_rows_are_taken_if_bad_ones_are_to_be_skipped(rows, write_csv, check, tmp_path):
    rows["customers"][0]["state"] = "GONE"
    report = check(write_csv(rows, tmp_path / "feed"), skip_bad_rows=True)
    assert report.accepted
    left = {name: pq.read_table(tmp_path / "clean" / f"{name}.parquet").num_rows for name in FEED}
    assert left == report.row_counts
    gone = {"customers": 1, "relations": 0, "accounts": 0, "cards": 0, "holdings": 0, "balances": 0, "contacts": 0}
    gone |= {"complaints": 0, "consents": 0, "opt_outs": 0, "customer_locations": 0}
    assert left == {name: len(given) for name, given in rows.items()} | gone | {"transactions": 0}


def test_a_row_below_a_rejected_row_of_its_own_table_is_rejected(rows, write_csv, check, tmp_path):
    rows["branches"] = [{"branch_id": "HQ", "display_name": None}]
    rows["branches"] += [
        {"branch_id": f"b{i}", "display_name": "x", "parent_id": "HQ" if i == 1 else f"b{i - 1}"} for i in range(1, 6)
    ]
    rows["branches"].append({"branch_id": "other", "display_name": "y"})
    check(write_csv(rows, tmp_path / "feed"), skip_bad_rows=True)
    assert pq.read_table(tmp_path / "clean" / "branches.parquet").column("branch_id").to_pylist() == ["other"]


def test_a_second_check_leaves_no_old_rejects(rows, write_csv, check, tmp_path):
    good = [dict(row) for row in rows["customers"]]
    rows["customers"][0]["state"] = "GONE"
    check(write_csv(rows, tmp_path / "feed"))
    assert (tmp_path / "rejects" / "customers.csv").exists()
    check(write_csv(rows | {"customers": good}, tmp_path / "feed"))
    assert list((tmp_path / "rejects").iterdir()) == []


def test_a_report_names_the_first_hundred_faults_and_counts_all(rows, write_csv, check, tmp_path):
    rows["products"] += [{"product_id": f"p{i}", "display_name": "x"} for i in range(250)]
    report = check(write_csv(rows, tmp_path / "feed"))
    assert (len(report.faults), report.fault_count) == (100, 250)
    assert report.faults[0] == replace(report.faults[0], line=3, column="category", reason="is required")


def test_an_empty_text_in_parquet_is_a_missing_value_as_in_a_csv(rows, write_parquet, check, tmp_path):
    rows["customers"][0] |= {"occupation": "", "mobile": ""}
    rows["branches"][0]["parent_id"] = ""
    rows["products"].append({"product_id": "p2", "display_name": "", "category": "x"})
    report = check(write_parquet(rows, tmp_path / "feed"))
    assert [(f.table, f.line, f.column, f.reason) for f in report.faults] == [
        ("products", 2, "display_name", "is required")
    ]
    check(write_parquet(rows, tmp_path / "feed"), skip_bad_rows=True)
    customer = pq.read_table(tmp_path / "clean" / "customers.parquet").to_pylist()[0]
    assert (customer["occupation"], customer["mobile"], customer["display_name"]) == (None, None, '王, "芳"')


def test_a_zero_byte_that_no_database_takes_is_found(rows, write_parquet, check, tmp_path):
    rows["customers"][0]["occupation"] = "a\0b"
    report = check(write_parquet(rows, tmp_path / "feed"))
    assert ("occupation", "holds a zero byte") in [(f.column, f.reason) for f in report.faults]


def test_a_password_hash_is_not_copied_to_the_rejects(rows, write_csv, check, tmp_path):
    rows["staff"][0]["password_hash"] = "a clear password"
    check(write_csv(rows, tmp_path / "feed"))
    assert "a clear password" not in (tmp_path / "rejects" / "staff.csv").read_text()
