"""Every tag and reminder finds customers at the demo bank, and leaves most of them out."""

import pytest

CUSTOMERS = 20_000
HELD = "SELECT customer_id FROM holdings WHERE close_date IS NULL AND product_code"
VISITS = """
    SELECT customer_id FROM transactions JOIN accounts USING (account_id)
    WHERE channel IN ('COUNTER', 'ATM') AND event_time > today() - 90 GROUP BY 1 HAVING count(*) >= 3"""
TAGS = {
    "deposit potential by inflow": """
        SELECT customer_id FROM averages JOIN (
            SELECT customer_id, sum(amount_minor) AS came FROM flows
            WHERE direction = 'IN' AND day > today() - 90 GROUP BY 1
        ) USING (customer_id) WHERE came >= 5000000 AND of_90 * 5 <= came""",
    "deposit potential by maturity": """
        SELECT DISTINCT customer_id FROM accounts
        WHERE close_date IS NULL AND maturity_date BETWEEN today() AND today() + 30""",
    "loan potential by income": """
        SELECT customer_id FROM (
            SELECT customer_id, month(day) AS month, sum(amount_minor) AS came FROM flows
            WHERE direction = 'IN' AND day >= DATE '2026-01-01' GROUP BY ALL HAVING came >= 300000)
        JOIN averages USING (customer_id) WHERE of_90 >= 1000000 AND customer_id NOT IN (SELECT customer_id FROM loans)
        GROUP BY 1 HAVING count(*) = 6""",
    "loan potential by a loan settled cleanly": """
        SELECT DISTINCT customer_id FROM loans
        WHERE state = 'SETTLED' AND close_date > today() - 365 AND last_overdue_date IS NULL""",
    "loan potential by an unused line": """
        SELECT DISTINCT customer_id FROM loans
        WHERE state = 'LIVE' AND revolving AND outstanding_minor * 2 <= principal_minor""",
    "card potential": f"""
        SELECT customer_id FROM customers WHERE birth_date BETWEEN today() - 60 * 365 AND today() - 20 * 365
            AND customer_id IN ({HELD} IN ('payroll', 'mobile_bank'))
            AND customer_id NOT IN (SELECT customer_id FROM cards WHERE close_date IS NULL)""",
    "e-channel potential": f"""
        SELECT customer_id FROM ({VISITS}) JOIN customers USING (customer_id)
        WHERE mobile IS NOT NULL AND customer_id NOT IN ({HELD} = 'mobile_bank')""",
    "wealth potential": """
        SELECT customer_id FROM averages JOIN customers USING (customer_id)
        WHERE least_of_60 >= 5000000 AND risk_rating_expiry_date >= today()""",
    "churn by transfers": """
        SELECT customer_id FROM flows WHERE operation = 'transfer_out' AND day > today() - 30
        GROUP BY 1 HAVING count(*) >= 5""",
    "churn by a falling average": "SELECT customer_id FROM averages WHERE of_90 > 1000000 AND of_30 <= of_90 * 0.6",
    "churn by closure": "SELECT DISTINCT customer_id FROM accounts WHERE close_date > today() - 90",
    "churn by complaint": "SELECT DISTINCT customer_id FROM complaints WHERE close_time IS NULL",
}  # fmt: skip
EXCLUDED = {
    "no loan potential: overdue within two years": """
        SELECT customer_id FROM loans WHERE last_overdue_date > today() - 730""",
    "no card potential: a loan is overdue": f"""
        SELECT customer_id FROM loans WHERE in_arrears AND customer_id IN ({HELD} IN ('payroll', 'mobile_bank'))
            AND customer_id NOT IN (SELECT customer_id FROM cards WHERE close_date IS NULL)""",
    "no e-channel potential: no number": f"""
        SELECT customer_id FROM ({VISITS}) JOIN customers USING (customer_id) WHERE mobile IS NULL""",
    "no e-channel potential: opted out": f"""
        SELECT customer_id FROM ({VISITS}) JOIN opt_outs USING (customer_id)
        WHERE category IN ('ALL', 'mobile_bank') AND customer_id NOT IN ({HELD} = 'mobile_bank')""",
    "no wealth potential: the rating has run out": """
        SELECT customer_id FROM averages JOIN customers USING (customer_id)
        WHERE least_of_60 >= 5000000 AND risk_rating_expiry_date < today()""",
    "wealth potential to be confirmed: 65 or older": """
        SELECT customer_id FROM averages JOIN customers USING (customer_id)
        WHERE least_of_60 >= 5000000 AND risk_rating_expiry_date >= today() AND birth_date <= today() - 65 * 366""",
    "no deposit potential: a minor": """
        SELECT customer_id FROM accounts JOIN customers USING (customer_id)
        WHERE close_date IS NULL AND maturity_date BETWEEN today() AND today() + 30
            AND birth_date > today() - 18 * 365""",
}  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_has_customers_and_others(tag, ask):
    [(found,)] = ask(f"SELECT count(*) FROM ({TAGS[tag]})")
    assert 40 < found < CUSTOMERS / 2


@pytest.mark.parametrize("reason", EXCLUDED)
def test_every_reason_to_be_left_out_of_a_tag_has_customers(reason, ask):
    [(found,)] = ask(f"SELECT count(*) FROM ({EXCLUDED[reason]})")
    assert found > 3


def test_regular_incomes_come_in_seven_months_and_a_few_miss_one(ask):
    found = dict(
        ask("""
        SELECT months, count(*) FROM (
            SELECT account_id, count(DISTINCT month(event_time)) AS months FROM transactions
            WHERE operation IN ('salary', 'pension') GROUP BY 1)
        GROUP BY 1""")
    )
    assert found[7] > 3_000
    assert found[6] > 100
