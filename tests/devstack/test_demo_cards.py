"""The demo bank's credit cards."""


def test_cards_are_given_back_without_limit_dormant_or_overdue(ask):
    [(given_back, without_limit, never_used, dormant, late, by_instalments)] = ask("""
        SELECT count(*) FILTER (close_date IS NOT NULL), count(*) FILTER (limit_minor IS NULL),
            count(*) FILTER (last_use_date IS NULL), count(*) FILTER (last_use_date <= today() - 180),
            count(*) FILTER (overdue_days > 0), count(*) FILTER (instalment_minor > 0)
        FROM cards""")
    assert min(given_back, without_limit, never_used, dormant, late, by_instalments) > 50


def test_what_is_due_is_part_of_what_is_used_and_due_within_a_month(ask):
    [(wrong, owed)] = ask("""
        SELECT count(*) FILTER (due_minor > used_minor OR instalment_minor > used_minor OR used_minor > limit_minor
                OR (due_date IS NULL) <> (used_minor = 0) OR due_date NOT BETWEEN today() AND today() + 31
                OR (overdue_days > 0 AND used_minor = 0) OR (close_date IS NOT NULL AND used_minor > 0)),
            count(*) FILTER (used_minor > 0)
        FROM cards""")
    assert wrong == 0
    assert owed > 3_000


def test_cards_are_overdue_in_every_bucket(ask):
    overdue = {row[0] for row in ask("SELECT overdue_days FROM cards WHERE overdue_days > 0")}
    for least, most in ((1, 3), (4, 30), (31, 60), (61, 90), (91, 180)):
        assert any(least <= days <= most for days in overdue)
