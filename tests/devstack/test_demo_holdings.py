"""The demo bank's sign-ups."""


def test_every_category_is_held_and_left(ask):
    found = ask("""
        SELECT category, count(*) FILTER (close_date IS NULL) > 500, count(*) FILTER (close_date IS NOT NULL) > 20
        FROM holdings JOIN products ON product_code = product_id GROUP BY 1 ORDER BY 1""")
    names = "e_bank insurance merchant mobile_bank payroll pension quick_pay sms_alert wealth"
    assert found == [(name, True, True) for name in names.split()]


def test_wealth_and_insurance_have_an_amount_and_an_end_to_come(ask):
    [(without_amount, others, past, endless, due_soon)] = ask("""
        SELECT count(*) FILTER (money AND amount_minor IS NULL),
            count(*) FILTER (NOT money AND amount_minor IS NOT NULL),
            count(*) FILTER (maturity_date <= today()), count(*) FILTER (money AND maturity_date IS NULL),
            count(*) FILTER (maturity_date <= today() + 30)
        FROM (SELECT *, product_code IN ('wealth', 'insurance') AS money FROM holdings WHERE close_date IS NULL)""")
    assert (without_amount, others, past) == (0, 0, 0)
    assert min(endless, due_soon) > 100


def test_wages_go_to_people_of_working_age_and_pensions_to_the_old(ask):
    ages = "today() - birth_date"
    [(young, old)] = ask(f"""
        SELECT count(*) FILTER (product_code = 'pension' AND {ages} < 60 * 365),
            count(*) FILTER (product_code = 'payroll' AND {ages} NOT BETWEEN 18 * 365 AND 60 * 365)
        FROM holdings JOIN customers USING (customer_id)""")
    assert (young, old) == (0, 0)
