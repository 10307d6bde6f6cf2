from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from acrm.engines import engine
from acrm.sources import check_feed
from chassis.caller import Role
from chassis.clock import bank_date
from devstack import demo

HASH = "$argon2id$x"
CUSTOMERS = 20_000


@pytest.fixture(scope="session")
def feed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert demo.generate(folder, customers=CUSTOMERS, seed=1, password_hash=HASH) == demo.BUSINESS_DATE
    return folder


@pytest.fixture(scope="session")
def ask(feed):
    """Answers a query over the feed's files, named `customers` and so on."""
    with engine() as local:
        for path in feed.glob("*.parquet"):
            local.run(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path}')")
        yield local.rows


def test_the_demo_bank_is_a_valid_feed(feed, tmp_path):
    report = check_feed(feed, tmp_path / "clean", demo.BUSINESS_DATE, rejects=tmp_path / "rejects")
    assert report.faults == []
    assert report.row_counts["customers"] == CUSTOMERS
    assert all(report.row_counts.values())


def test_the_same_seed_gives_the_same_bank_and_another_seed_another(tmp_path):
    written = {}
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        demo.generate(tmp_path / name, customers=1_000, seed=seed, password_hash=HASH)
        written[name] = {path.name: pq.read_table(path) for path in sorted((tmp_path / name).glob("*.parquet"))}
    assert written["one"] == written["again"]
    assert written["one"]["customers.parquet"] != written["other"]["customers.parquet"]
    assert written["one"]["transactions.parquet"] != written["other"]["transactions.parquet"]


def test_a_fifth_of_the_customers_has_live_business_at_several_branches(ask):
    [(several, all_live)] = ask("""
        SELECT count(*) FILTER (branches > 1), count(*) FROM (
            SELECT customer_id, count(DISTINCT branch_id) AS branches FROM (
                SELECT customer_id, branch_id FROM accounts WHERE close_date IS NULL
                UNION SELECT customer_id, branch_id FROM loans WHERE state = 'LIVE'
                UNION SELECT customer_id, branch_id FROM cards WHERE close_date IS NULL)
            GROUP BY customer_id)""")
    assert several >= CUSTOMERS // 5
    assert CUSTOMERS * 0.9 < all_live < CUSTOMERS


def test_the_branches_are_head_office_regions_and_outlets(ask):
    [(levels,)] = ask("""
        SELECT list(above ORDER BY above) FROM (
            SELECT DISTINCT b.branch_id[1] || coalesce(p.branch_id[1], '') AS above
            FROM branches b LEFT JOIN branches p ON b.parent_id = p.branch_id)""")
    assert levels == ["BR", "H", "RH"]
    assert ask("SELECT count(*) FROM accounts WHERE branch_id NOT LIKE 'B%'") == [(0,)]
    assert ask("SELECT display_name FROM branches GROUP BY 1 HAVING count(*) > 1") == []


def test_there_is_a_sign_in_for_every_role_and_a_head_at_every_branch(ask):
    roles = {role for (roles,) in ask("SELECT roles FROM staff WHERE login IS NOT NULL") for role in roles.split(";")}
    assert roles == {role.value for role in Role} - {"SERVICE"}
    assert ask("SELECT count(*) FROM branches ANTI JOIN staff ON branches.branch_id = staff.branch_id") == [(0,)]
    assert {row[0] for row in ask("SELECT password_hash FROM staff WHERE login IS NOT NULL")} == {HASH}


def test_loan_officers_have_left_or_moved(ask):
    today = demo.BUSINESS_DATE
    [(left_with, left_without, moved)] = ask(f"""
        SELECT count(*) FILTER (active_until_date < DATE '{today}' AND successor_id IS NOT NULL),
            count(*) FILTER (active_until_date < DATE '{today}' AND successor_id IS NULL),
            count(*) FILTER (staff.branch_id <> loans.branch_id)
        FROM loans JOIN staff ON officer_id = staff_id WHERE state = 'LIVE'""")
    assert min(left_with, left_without, moved) > 0


def test_loans_and_cards_are_of_every_sort(ask):
    products = {row[0] for row in ask("SELECT product FROM loans WHERE state = 'LIVE'")}
    assert {"mortgage", "revolving_line", "consumer_loan", "business_loan"} == products
    assert {row[0] for row in ask("SELECT state FROM loans")} == {"LIVE", "SETTLED", "WRITTEN_OFF"}
    [(unknown, arrears, matured, recently)] = ask(f"""
        SELECT count(*) FILTER (state = 'LIVE' AND outstanding_minor IS NULL), count(*) FILTER (in_arrears),
            count(*) FILTER (state = 'LIVE' AND due_date < DATE '{demo.BUSINESS_DATE}'),
            count(*) FILTER (close_date > DATE '{demo.BUSINESS_DATE - timedelta(days=90)}')
        FROM loans""")
    assert min(unknown, arrears, matured, recently) > 0
    [(given_back, without_limit)] = ask(
        "SELECT count(*) FILTER (close_date IS NOT NULL), count(*) FILTER (limit_minor IS NULL) FROM cards"
    )
    assert min(given_back, without_limit) > 0


def test_phones_are_shared_by_families_and_one_by_a_dozen(ask):
    users = Counter(row[0] for row in ask("SELECT count(*) FROM customers WHERE mobile IS NOT NULL GROUP BY mobile"))
    assert users[2] > 300
    assert max(users) > 10
    assert sum(times for size, times in users.items() if size > 3) <= CUSTOMERS // 2_500


def test_some_people_are_there_twice(ask):
    [(same_document,)] = ask("SELECT count(*) FROM (SELECT id_number FROM customers GROUP BY 1 HAVING count(*) = 2)")
    [(without,)] = ask("SELECT count(*) FROM customers WHERE id_number IS NULL")
    assert min(same_document, without) > 30
    [(alike,)] = ask("""
        SELECT count(*) FROM customers a JOIN customers b USING (id_number)
        WHERE a.customer_id < b.customer_id AND a.display_name = b.display_name
            AND a.birth_date IS NOT DISTINCT FROM b.birth_date""")
    assert alike == same_document


def test_names_are_chinese_and_id_numbers_have_their_check_digit(ask):
    sample = ask("SELECT display_name, id_number, customer_type FROM customers LIMIT 2000")
    for name, number, kind in sample:
        assert all("\u4e00" <= letter <= "\u9fff" for letter in name)
        assert (2 <= len(name) <= 3) == (kind == "INDIVIDUAL")
        if number and kind == "INDIVIDUAL":
            weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
            total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
            assert number[17] == "10X98765432"[total % 11]


def test_id_numbers_tell_the_birth_date(ask):
    assert ask("""
        SELECT count(*) FROM customers
        WHERE customer_type = 'INDIVIDUAL' AND id_number[7:14] <> strftime(birth_date, '%Y%m%d')""") == [(0,)]


def test_transactions_fill_ninety_days_and_never_come_before_the_account(ask):
    times = [
        row[0]
        for row in ask("SELECT min(event_time) FROM transactions UNION ALL SELECT max(event_time) FROM transactions")
    ]
    assert (bank_date(max(times)) - bank_date(min(times))).days == 89
    assert bank_date(max(times)) == demo.BUSINESS_DATE
    [(early,)] = ask("""
        SELECT count(*) FROM transactions JOIN accounts USING (account_id)
        WHERE timezone('Asia/Shanghai', event_time)::DATE <= open_date OR close_date IS NOT NULL""")
    assert early == 0
    [(mean,)] = ask("SELECT count(*) / (SELECT count(*) FROM accounts WHERE kind = 'DEMAND') FROM transactions")
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


def test_a_year_of_contacts_is_as_over_marketed_as_the_papers(ask):
    per_customer = ask("""
        SELECT count(DISTINCT campaign_id), count(*) FROM contacts
        WHERE channel = 'SMS' AND message_class = 'MARKETING' GROUP BY customer_id""")
    [(reachable,)] = ask(f"""
        SELECT count(*) FROM customers
        WHERE state = 'ACTIVE' AND coalesce(birth_date, DATE '1900-01-01') < DATE '{demo.BUSINESS_DATE}' - 18 * 365""")
    campaigns, messages = np.array(per_customer).T
    assert campaigns.sum() / reachable == pytest.approx(5, abs=0.5)
    assert messages.sum() / reachable == pytest.approx(14, abs=1.5)
    assert campaigns.max() == 156
    assert messages.max() == 350
    [(per_number,)] = ask("""
        SELECT max(hits) FROM (
            SELECT count(*) AS hits FROM contacts JOIN customers USING (customer_id)
            WHERE channel = 'SMS' AND message_class = 'MARKETING' AND mobile IS NOT NULL GROUP BY mobile)""")
    assert per_number == 350
    times = [
        row[0] for row in ask("SELECT min(contact_time) FROM contacts UNION ALL SELECT max(contact_time) FROM contacts")
    ]
    assert 350 < (bank_date(max(times)) - bank_date(min(times))).days <= 365
    assert {row[0] for row in ask("SELECT channel FROM contacts")} == {"SMS", "CALL", "PUSH", "MAIL", "WECHAT", "VISIT"}


def test_a_million_customers_share_the_traffic_of_a_hundred_thousand(tmp_path):
    demo.generate(tmp_path / "full", customers=2_000, seed=1, password_hash=HASH)
    demo.generate(tmp_path / "tenth", customers=2_000, seed=1, password_hash=HASH, traffic=0.1)
    for name in ("transactions", "contacts"):
        full, tenth = (pq.read_metadata(tmp_path / size / f"{name}.parquet").num_rows for size in ("full", "tenth"))
        assert tenth == pytest.approx(full / 10, rel=0.25)


def test_a_bank_that_is_too_small_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 100"):
        demo.generate(tmp_path, customers=99, seed=1, password_hash=HASH)
