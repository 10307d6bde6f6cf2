"""The demo bank's loans: every column that is about payment fits every other one."""

from datetime import timedelta

from devstack import demo


def test_loans_are_of_every_sort(ask):
    products = {row[0] for row in ask("SELECT product FROM loans WHERE state = 'LIVE'")}
    assert {"mortgage", "revolving_line", "consumer_loan", "business_loan"} == products
    assert {row[0] for row in ask("SELECT state FROM loans")} == {"LIVE", "SETTLED", "WRITTEN_OFF"}
    [(unknown, arrears, matured, recently)] = ask(f"""
        SELECT count(*) FILTER (state = 'LIVE' AND outstanding_minor IS NULL), count(*) FILTER (in_arrears),
            count(*) FILTER (state = 'LIVE' AND due_date < DATE '{demo.BUSINESS_DATE}'),
            count(*) FILTER (close_date > DATE '{demo.BUSINESS_DATE - timedelta(days=90)}')
        FROM loans""")
    assert min(unknown, arrears, matured, recently) > 0


def test_what_is_overdue_is_in_arrears_and_nothing_else_is(ask):
    [(contradicting, untold, interest_only)] = ask("""
        SELECT count(*) FILTER (in_arrears <> (overdue_days > 0)
                OR in_arrears <> (overdue_minor + interest_arrears_minor > 0)
                OR overdue_minor > coalesce(outstanding_minor, overdue_minor)
                OR overdue_days > today() - disburse_date),
            count(*) FILTER (in_arrears AND overdue_days IS NULL),
            count(*) FILTER (interest_arrears_minor > 0 AND overdue_minor = 0)
        FROM loans WHERE state = 'LIVE'""")
    assert contradicting == 0
    assert min(untold, interest_only) > 0
    assert ask("SELECT count(*) FROM loans WHERE state <> 'LIVE' AND (in_arrears OR overdue_days IS NOT NULL)") == [
        (0,)
    ]
    assert ask("SELECT count(*) FROM loans WHERE state = 'LIVE' AND due_date < today() AND NOT in_arrears") == [(0,)]


def test_the_grade_follows_from_the_days_overdue(ask):
    found = ask("""
        SELECT overdue_days, grade, grade_date >= disburse_date, today() - grade_date <= greatest(overdue_days, 400)
        FROM loans WHERE state = 'LIVE' AND overdue_days > 0""")
    grades = {0: "NORMAL", 4: "SPECIAL_MENTION", 91: "SUBSTANDARD", 271: "DOUBTFUL", 361: "LOSS"}
    for days, grade, after_start, recent in found:
        assert grade == grades[max(least for least in grades if least <= days)]
        assert after_start
        assert recent or grade == "NORMAL"
    assert {grade for _, grade, _, _ in found} == set(grades.values())
    assert ask("SELECT DISTINCT grade FROM loans WHERE state = 'WRITTEN_OFF'") == [("LOSS",)]


def test_the_last_overdue_day_tells_who_was_late_once(ask):
    [(now, late_now, within_two_years, earlier, clean)] = ask("""
        SELECT count(*) FILTER (last_overdue_date = today() AND overdue_days > 3), count(*) FILTER (overdue_days > 3),
            count(*) FILTER (NOT in_arrears AND last_overdue_date > today() - 730),
            count(*) FILTER (last_overdue_date <= today() - 730), count(*) FILTER (last_overdue_date IS NULL)
        FROM loans WHERE state = 'LIVE'""")
    assert now == late_now > 0
    assert min(within_two_years, earlier) > 10
    assert clean > 1_000


def test_the_next_payment_is_due_within_a_month_or_a_term(ask):
    [(wrong, without, today)] = ask("""
        SELECT count(*) FILTER (next_due_date NOT BETWEEN today() AND least(today() + 31, due_date)),
            count(*) FILTER (next_due_date IS NULL AND due_date >= today()),
            count(*) FILTER (next_due_date = today())
        FROM loans WHERE state = 'LIVE'""")
    assert (wrong, without) == (0, 0)
    assert today > 10


def test_lines_are_drawn_in_part_and_loans_are_secured(ask):
    [(half_unused, mostly_used, others)] = ask("""
        SELECT count(*) FILTER (revolving AND outstanding_minor * 2 <= principal_minor),
            count(*) FILTER (revolving AND outstanding_minor * 2 > principal_minor),
            count(*) FILTER (revolving <> (product = 'revolving_line'))
        FROM loans WHERE state = 'LIVE'""")
    assert min(half_unused, mostly_used) > 100
    assert others == 0
    assert {row[0] for row in ask("SELECT collateral FROM loans")} == {"NONE", "MORTGAGE", "PLEDGE", "GUARANTEE"}


def test_large_borrowers_are_few_some_overdue_and_some_just_below_the_mark(ask):
    [(large, overdue, below)] = ask("""
        SELECT count(*) FILTER (owed >= 50000000), count(*) FILTER (owed >= 50000000 AND late),
            count(*) FILTER (owed BETWEEN 35000000 AND 39999999)
        FROM (SELECT sum(outstanding_minor) AS owed, bool_or(overdue_days > 3) AS late FROM loans
            WHERE state = 'LIVE' GROUP BY customer_id)""")
    assert 50 < large < 400
    assert overdue > 5
    assert below > 20
