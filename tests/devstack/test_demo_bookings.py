"""The demo bank's transactions."""

from devstack import demo


def test_transactions_fill_ninety_days_and_never_come_before_the_account(ask):
    [(first, last)] = ask("""
        SELECT min(day), max(day) FROM flows
        WHERE operation NOT IN ('salary', 'pension', 'cash_out')""")
    assert last == demo.BUSINESS_DATE
    assert (last - first).days == 89
    [(early,)] = ask("""
        SELECT count(*) FROM transactions JOIN accounts USING (account_id)
        WHERE timezone('Asia/Shanghai', event_time)::DATE <= open_date OR close_date IS NOT NULL""")
    assert early == 0
    [(mean,)] = ask("SELECT count(*) / (SELECT count(*) FROM accounts WHERE kind = 'DEMAND') FROM flows")
    assert 7 < mean < 12


def test_reversals_undo_an_earlier_booking_of_the_same_account(ask):
    [(count, right)] = ask("""
        SELECT count(*), count(*) FILTER (
            r.account_id = t.account_id AND r.amount_minor = t.amount_minor AND r.direction <> t.direction
            AND r.event_time > t.event_time)
        FROM transactions r JOIN transactions t ON r.reversed_transaction_id = t.transaction_id""")
    assert count == right > 100


def test_own_transfers_leave_one_account_and_reach_another_of_the_same_customer(ask):
    [(out, arrived)] = ask("""
        WITH own AS (SELECT * FROM transactions JOIN accounts USING (account_id) WHERE own_transfer)
        SELECT count(*), count(DISTINCT o.transaction_id) FILTER (i.transaction_id IS NOT NULL)
        FROM own o LEFT JOIN own i ON i.customer_id = o.customer_id AND i.account_id <> o.account_id
            AND i.amount_minor = o.amount_minor AND i.direction = 'IN'
        WHERE o.direction = 'OUT'""")
    assert out == arrived > 50


def test_a_large_movement_and_a_standing_order_can_be_found(ask):
    [(large_in, large_out, standing)] = ask("""
        SELECT count(*) FILTER (direction = 'IN' AND amount_minor >= 5000000),
            count(*) FILTER (direction = 'OUT' AND amount_minor >= 5000000), count(*) FILTER (standing_order)
        FROM transactions""")
    assert min(large_in, large_out) > 50
    assert standing > 10_000


def test_every_booking_has_a_channel_that_fits_it(ask):
    found = dict(ask("SELECT channel, count(*) FROM transactions GROUP BY 1"))
    assert set(found) == {"COUNTER", "ATM", "POS", "MOBILE", "ONLINE", "SYSTEM"}
    assert min(found.values()) > 1_000
    [(by_hand, without_bank, cash)] = ask("""
        SELECT count(*) FILTER (channel <> 'SYSTEM' AND (standing_order OR operation IN ('salary', 'pension', 'fee'))),
            count(*) FILTER (channel = 'MOBILE' AND customer_id NOT IN (
                SELECT customer_id FROM holdings WHERE product_code = 'mobile_bank' AND close_date IS NULL)),
            count(*) FILTER (operation IN ('cash_in', 'cash_out') AND channel NOT IN ('COUNTER', 'ATM'))
        FROM transactions JOIN accounts USING (account_id)""")
    assert (by_hand, without_bank, cash) == (0, 0, 0)
