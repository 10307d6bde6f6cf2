"""What the demo bank's customers said."""


def test_complaints_are_open_and_settled(ask):
    [(still_open, settled)] = ask("""
        SELECT count(*) FILTER (close_time IS NULL), count(*) FILTER (close_time > open_time) FROM complaints""")
    assert min(still_open, settled) > 30


def test_consents_are_given_and_taken_back(ask):
    [(given, taken_back, messages_only, without_proof)] = ask("""
        SELECT count(*) FILTER (state = 'GRANTED' AND channel = 'ALL'), count(*) FILTER (state = 'WITHDRAWN'),
            count(*) FILTER (channel = 'SMS'), count(*) FILTER (proof IS NULL OR version IS NULL)
        FROM consents""")
    assert given > 8_000
    assert min(taken_back, messages_only) > 300
    assert without_proof == 0


def test_opt_outs_are_of_every_channel_and_of_all_or_one_category_of_products(ask):
    assert {row[0] for row in ask("SELECT channel FROM opt_outs")} == {"ALL", "SMS", "CALL", "PUSH", "MAIL", "WECHAT"}
    [(everything, one, unknown)] = ask("""
        SELECT count(*) FILTER (category = 'ALL'), count(*) FILTER (category <> 'ALL'),
            count(*) FILTER (category NOT IN (SELECT category FROM products UNION SELECT 'ALL'))
        FROM opt_outs""")
    assert min(everything, one) > 100
    assert unknown == 0
