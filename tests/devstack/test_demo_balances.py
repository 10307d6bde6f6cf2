"""The demo bank's balances."""

from datetime import date


def test_balances_reach_back_before_thirteen_whole_months_of_every_account_that_is_so_old(ask):
    [(first,)] = ask("SELECT min(balance_date) FROM balances")
    assert date(2025, 4, 1) < first < date(2025, 6, 1)
    assert ask("""
        SELECT count(*) FROM accounts ANTI JOIN balances b
            ON b.account_id = accounts.account_id AND b.balance_date <= greatest(open_date, DATE '2025-05-31')
        WHERE close_date IS NULL""") == [(0,)]


def test_balances_change_in_every_month(ask):
    found = ask("SELECT date_trunc('month', balance_date), count(*) FROM balances GROUP BY 1 ORDER BY 1")
    assert len(found) == 14
    assert min(count for _, count in found) > 1_000


def test_from_one_balance_to_the_next_lies_what_was_booked_in_the_last_ninety_days(ask):
    [(wrong, steps)] = ask("""
        SELECT count(*) FILTER (balance_minor - before <> booked), count(*)
        FROM (
            SELECT *, lag(balance_minor) OVER (PARTITION BY account_id ORDER BY balance_date) AS before FROM balances)
        JOIN (
            SELECT account_id, timezone('Asia/Shanghai', event_time)::DATE AS balance_date,
                sum(CASE direction WHEN 'IN' THEN amount_minor ELSE -amount_minor END) AS booked
            FROM transactions GROUP BY ALL) USING (account_id, balance_date)
        WHERE balance_date > today() - 90""")
    assert wrong == 0
    assert steps > 100_000


def test_a_few_accounts_are_overdrawn_and_of_a_few_the_balance_is_unknown(ask):
    [(overdrawn, unknown)] = ask("""
        SELECT count(*) FILTER (balance_minor < 0), count(*) FILTER (balance_minor IS NULL) FROM accounts""")
    assert 5 < overdrawn < 400
    assert 5 < unknown < 200


def test_rich_customers_are_few_and_some_are_just_below_the_mark(ask):
    [(rich, near, below)] = ask("""
        SELECT count(*) FILTER (of_30 >= 50000000), count(*) FILTER (of_30 >= 40000000 AND of_30 < 50000000),
            count(*) FILTER (of_30 >= 35000000 AND of_30 < 40000000)
        FROM averages""")
    assert 200 < rich < 1_000
    assert min(near, below) > 40
