"""The demo bank's customers."""

from collections import Counter

CUSTOMERS = 20_000


def test_phones_are_shared_by_families_and_one_by_a_dozen(ask):
    users = Counter(row[0] for row in ask("SELECT count(*) FROM customers WHERE mobile IS NOT NULL GROUP BY mobile"))
    assert users[2] > 300
    assert max(users) > 10
    assert sum(times for size, times in users.items() if size > 3) <= CUSTOMERS // 2_500


def test_some_people_are_there_twice(ask):
    [(document, phone, name_only)] = ask("""
        SELECT count(*) FILTER (a.id_number = b.id_number),
            count(*) FILTER (b.id_number IS NULL AND a.mobile = b.mobile),
            count(*) FILTER (b.id_number IS NULL AND a.mobile IS DISTINCT FROM b.mobile)
        FROM customers a JOIN customers b USING (display_name, birth_date) WHERE a.customer_id < b.customer_id""")
    assert document > 40
    assert min(phone, name_only) > 20
    [(same_document,)] = ask("SELECT count(*) FROM (SELECT id_number FROM customers GROUP BY 1 HAVING count(*) = 2)")
    assert document <= same_document < document + 10  # companies have no birthday
    [(longer,)] = ask(
        "SELECT count(*) FROM (SELECT id_number FROM customers WHERE id_number > '' GROUP BY 1 HAVING count(*) > 2)"
    )
    assert longer == 0


def test_names_are_chinese_and_id_numbers_have_their_check_digit(ask):
    sample = ask("SELECT display_name, id_number, customer_type FROM customers LIMIT 2000")
    for name, number, kind in sample:
        assert all("\u4e00" <= letter <= "\u9fff" for letter in name)
        assert (2 <= len(name) <= 3) == (kind == "INDIVIDUAL")
        if number and kind == "INDIVIDUAL":
            weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
            total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
            assert number[17] == "10X98765432"[total % 11]


def test_companies_have_an_industry_and_a_registration_with_its_check_sign(ask):
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    companies = ask("""
        SELECT display_name, industry, id_number FROM customers
        WHERE customer_type = 'CORPORATE' AND id_type = 'BUSINESS_LICENCE'""")
    for name, industry, number in companies:
        assert industry in name
        total = sum(signs.index(sign) * 3**place for place, sign in enumerate(number[:17]))
        assert len(number) == 18
        assert signs.index(number[17]) == (31 - total % 31) % 31
    assert len(companies) > 500
    assert ask("SELECT count(*) FROM customers WHERE customer_type = 'INDIVIDUAL' AND industry IS NOT NULL") == [(0,)]


def test_adults_have_a_risk_rating_that_may_have_run_out(ask):
    [(ratings, valid, expired, not_asked, of_minors)] = ask("""
        SELECT list(DISTINCT risk_rating ORDER BY risk_rating) FILTER (risk_rating IS NOT NULL),
            count(*) FILTER (risk_rating_expiry_date >= today()), count(*) FILTER (risk_rating_expiry_date < today()),
            count(*) FILTER (risk_rating IS NULL),
            count(*) FILTER (risk_rating IS NOT NULL AND birth_date > today() - 18 * 365)
        FROM customers""")
    assert ratings == [1, 2, 3, 4, 5]
    assert min(valid, expired, not_asked) > 1_000
    assert of_minors == 0


def test_a_few_customers_are_dead_or_frozen(ask):
    [(dead, frozen)] = ask("""
        SELECT count(*) FILTER (state = 'DECEASED'), count(*) FILTER (state = 'FROZEN') FROM customers""")
    assert 20 < frozen < dead < 200


def test_id_numbers_tell_the_birth_date(ask):
    assert ask("""
        SELECT count(*) FROM customers
        WHERE customer_type = 'INDIVIDUAL' AND id_number[7:14] <> strftime(birth_date, '%Y%m%d')""") == [(0,)]
