import numpy as np
import pyarrow.parquet as pq
import pytest

from acrm.sources import check_feed
from chassis.caller import Role
from chassis.clock import bank_date
from devstack import demo

HASH = "$argon2id$x"
CUSTOMERS = 20_000


def test_the_demo_bank_is_a_valid_feed(demo_feed, tmp_path):
    report = check_feed(demo_feed, tmp_path / "clean", demo.BUSINESS_DATE, rejects=tmp_path / "rejects")
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
