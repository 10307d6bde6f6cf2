"""A bank of a million customers with three million accounts in customer_svc's database, made by SQL alone.

What differs between customers is drawn, with a fixed seed, from distributions that make conditions select as they
would of a real bank: amounts are log-normal, branches differ in size, and some of everything is unknown.
"""

from sqlalchemy import text

from chassis.sql.engine import Database

CUSTOMERS = 1_000_000
BRANCHES = 200
REGIONS = 10
"""Branches B0001 to B0010 lie under the root B0000, all others under one of them."""
MANAGERS = 10
"""At each branch, `S` with its digits and one more."""
DAY = "2026-06-30"

_BRANCHES = """
INSERT INTO branches (branch_id, parent_id, display_name, generation)
SELECT 'B' || lpad(b::text, 4, '0'),
  CASE WHEN b > :regions THEN 'B' || lpad((1 + b % :regions)::text, 4, '0') WHEN b > 0 THEN 'B0000' END, 'B', 1
FROM generate_series(0, :branches) AS b"""

# One draw per customer and purpose, so that what he is hangs together: `rich` moves all his amounts.
_SEED = """
CREATE UNLOGGED TABLE seed AS SELECT *,
  'C' || lpad(n::text, 8, '0') AS customer_id,
  'B' || lpad((1 + floor(power(draw, 1.3) * :branches))::text, 4, '0') AS home,
  'B' || lpad((1 + floor(other * :branches))::text, 4, '0') AS second,
  floor(more * 10)::int AS digit,
  floor(sells * 10)::int % 2 = 0 AS named
FROM (
  SELECT n, random() AS draw, random() AS other, random() AS more, random_normal() AS rich, random() AS sells
  FROM generate_series(1, CAST(:customers AS bigint)) AS n
) AS drawn"""

_CUSTOMERS = """
INSERT INTO customers (customer_id, customer_type, display_name, sex, birth_date, id_type, id_expiry_date, occupation,
  residence_district, customer_since_date, state, risk_rating, risk_rating_expiry_date, industry,
  total_deposit_balance_minor, total_deposit_average_minor, total_deposit_month_average_minor,
  total_deposit_quarter_average_minor, total_deposit_year_average_minor, total_deposit_month_start_minor,
  total_deposit_quarter_start_minor, total_deposit_year_start_minor, total_demand_balance_minor,
  total_time_balance_minor, total_time_maturity_date, total_wealth_minor, total_aum_minor, total_account_count,
  total_loan_count, total_loan_outstanding_minor, total_loan_line_minor, total_loan_unused_minor,
  total_loan_next_due_date, total_loan_due_date, total_loan_overdue_days, total_loan_arrears_minor, total_loan_grade,
  total_loan_grade_date, total_card_count, total_card_limit_minor, total_card_used_minor, total_card_due_date,
  total_card_overdue_days, total_card_instalment_minor, total_card_last_use_date, total_holding_categories,
  total_inflow_30d_minor, total_outflow_30d_minor, total_inflow_90d_minor, total_outflow_90d_minor,
  total_largest_in_90d_minor, total_largest_out_90d_minor, total_other_bank_30d_count, total_other_bank_30d_minor,
  total_other_bank_90d_count, total_other_bank_90d_minor, total_closed_90d_count, total_last_active_date,
  total_counter_90d_count, total_atm_90d_count, total_pos_90d_count, total_mobile_90d_count, total_online_90d_count,
  tier, tier_gap_minor, contribution_minor, lifecycle, tag_codes, key_reason, key_until_date)
SELECT customer_id, CASE WHEN draw < 0.05 THEN 'CORPORATE' ELSE 'INDIVIDUAL' END,
  substr('王李张刘陈杨赵黄周吴', 1 + digit, 1) || substr('一二三四五六七八九十', 1 + n::int % 10, 1) || n % 97,
  CASE WHEN other < 0.48 THEN 'FEMALE' WHEN other < 0.96 THEN 'MALE' END,
  CASE WHEN more > 0.02 THEN day - (6000 + floor(random() * 24000))::int END, 'ID', day + floor(random() * 4000)::int,
  'O' || digit, 'D' || floor(draw * 60), day - floor(random() * 7000)::int,
  CASE WHEN random() < 0.99 THEN 'ACTIVE' ELSE 'FROZEN' END, 1 + floor(random() * 5),
  CASE WHEN random() < 0.6 THEN day - 100 + floor(random() * 600)::int END, NULL,
  money, money * 95 / 100, money * 96 / 100, money * 94 / 100, money * 80 / 100, money * 90 / 100, money * 85 / 100,
  money * 70 / 100, money * 6 / 10, money * 4 / 10, CASE WHEN other < 0.4 THEN day + floor(random() * 700)::int END,
  CASE WHEN sells < 0.2 THEN money / 2 END, money + CASE WHEN sells < 0.2 THEN money / 2 ELSE 0 END, 3,
  CASE WHEN draw < 0.2 THEN 1 ELSE 0 END, CASE WHEN draw < 0.2 THEN money * 3 END,
  CASE WHEN draw < 0.05 THEN money * 5 END, CASE WHEN draw < 0.05 THEN money * 2 END,
  CASE WHEN draw < 0.2 THEN day + floor(random() * 30)::int END,
  CASE WHEN draw < 0.2 THEN day + floor(random() * 3000)::int END,
  CASE WHEN draw < 0.2 THEN CASE WHEN draw < 0.01 THEN floor(random() * 200)::int ELSE 0 END END,
  CASE WHEN draw < 0.2 THEN CASE WHEN draw < 0.01 THEN money / 10 ELSE 0 END END,
  CASE WHEN draw < 0.2 THEN CASE WHEN draw < 0.01 THEN 2 ELSE 1 END END,
  CASE WHEN draw < 0.2 THEN day - floor(random() * 900)::int END,
  CASE WHEN sells < 0.3 THEN 1 ELSE 0 END, CASE WHEN sells < 0.3 THEN money / 5 END,
  CASE WHEN sells < 0.3 THEN money / 5 * floor(random() * 100)::int / 100 END,
  CASE WHEN sells < 0.3 THEN day + floor(random() * 30)::int END, CASE WHEN sells < 0.3 THEN 0 END,
  CASE WHEN sells < 0.1 THEN money / 20 END, CASE WHEN sells < 0.3 THEN day - floor(random() * 300)::int END,
  CASE WHEN sells < 0.15 THEN ARRAY['MOBILE_BANK', 'SMS_ALERT', 'WEALTH'] WHEN sells < 0.5 THEN ARRAY['MOBILE_BANK']
    WHEN sells < 0.7 THEN ARRAY['PAYROLL', 'SMS_ALERT'] END,
  money / 10, money / 11, money / 4, money / 5, money / 20, money / 25, floor(random() * 4), money / 50,
  floor(random() * 12), money / 20, floor(random() * 1.1), day - floor(random() * 200)::int,
  floor(random() * 6), floor(random() * 8), floor(random() * 20), floor(random() * 60), floor(random() * 5),
  width_bucket(money, ARRAY[0, 100000, 1000000, 5000000, 20000000, 50000000]), money / 3, money / 200,
  CASE WHEN other < 0.1 THEN 'NEW' WHEN other < 0.8 THEN 'ACTIVE' WHEN other < 0.95 THEN 'DORMANT' ELSE 'LOST' END,
  CASE WHEN more < 0.1 THEN ARRAY['CARD_POTENTIAL', 'LOAN_POTENTIAL'] WHEN more < 0.25 THEN ARRAY['DEPOSIT_POTENTIAL']
    WHEN more < 0.35 THEN ARRAY['CHURN_RISK', 'WEALTH_POTENTIAL'] ELSE '{{}}' END,
  CASE WHEN money > 50000000 THEN 'ASSET' END, NULL
FROM (SELECT *, exp(13.5 + 2 * rich)::bigint AS money, date '{day}' AS day FROM seed) AS s"""

_FIGURES = """
INSERT INTO customer_branch_figures (customer_id, branch_id, deposit_balance_minor, deposit_average_minor,
  deposit_month_average_minor, demand_balance_minor, time_balance_minor, wealth_minor, aum_minor, account_count,
  loan_count, loan_outstanding_minor, card_count, card_limit_minor, inflow_90d_minor, outflow_90d_minor,
  last_active_date, counter_90d_count, mobile_90d_count)
SELECT customer_id, branch_id, money * part / 100, money * part * 95 / 10000, money * part * 96 / 10000,
  money * part * 6 / 1000, money * part * 4 / 1000, NULL, money * part / 100, 1,
  CASE WHEN part > 50 AND draw < 0.2 THEN 1 ELSE 0 END, CASE WHEN part > 50 AND draw < 0.2 THEN money * 3 END,
  CASE WHEN part > 50 AND sells < 0.3 THEN 1 ELSE 0 END, CASE WHEN part > 50 AND sells < 0.3 THEN money / 5 END,
  money * part / 400, money * part / 500, date '{day}' - (n % 200)::int, n % 6, n % 60
FROM (SELECT *, exp(13.5 + 2 * rich)::bigint AS money FROM seed) AS s,
  LATERAL (SELECT home AS branch_id, 60 AS part UNION ALL SELECT second, 40 WHERE second <> home AND more < 0.5) AS b"""

_OWNERS = """
INSERT INTO owners (customer_id, branch_id, side, manager_id, since_date, generation)
SELECT customer_id, branch_id, side, CASE WHEN named THEN 'S' || substr(branch_id, 2) || digit END,
  date '{day}' - floor(random() * 2000)::int, 1
FROM seed, LATERAL (
  SELECT home AS branch_id, 'PRIMARY' AS side UNION ALL SELECT second, 'SECONDARY' WHERE second <> home AND more < 0.5
) AS b"""

_ACCOUNTS = """
INSERT INTO accounts (customer_id, account_id, branch_id, kind, open_date, maturity_date, balance_minor)
SELECT customer_id, 'A' || n || '-' || k, CASE WHEN k = 2 AND more < 0.5 THEN second ELSE home END,
  CASE WHEN k = 1 THEN 'TIME' ELSE 'DEMAND' END, date '2020-01-01' + (n % 2000)::int,
  CASE WHEN k = 1 THEN date '{day}' + (n % 700)::int END, 100000
FROM seed, generate_series(0, 2) AS k"""

_LOANS = """
INSERT INTO loans (customer_id, loan_id, branch_id, product, principal_minor, outstanding_minor, outstanding_estimated,
  disburse_date, due_date, state, in_arrears, revolving, collateral, next_due_date, overdue_days, grade, grade_date)
SELECT customer_id, 'L' || n, home, 'P' || n % 8, 1000000, 500000, false, date '2024-01-01' + (n % 800)::int,
  date '{day}' + (n % 3000)::int, 'LIVE', draw < 0.01, draw < 0.05,
  (ARRAY['NONE', 'MORTGAGE', 'PLEDGE', 'GUARANTEE'])[1 + n % 4], date '{day}' + (n % 30)::int,
  CASE WHEN draw < 0.01 THEN 40 ELSE 0 END, CASE WHEN draw < 0.01 THEN 'SPECIAL_MENTION' ELSE 'NORMAL' END,
  date '{day}' - (n % 900)::int
FROM seed WHERE draw < 0.2"""

_HOLDINGS = """
INSERT INTO holdings (customer_id, branch_id, product_code, open_date)
SELECT customer_id, home, category || '-' || n % 5, date '2024-01-01'
FROM seed, LATERAL (
  SELECT 'MOBILE_BANK' AS category WHERE sells < 0.5 UNION ALL SELECT 'SMS_ALERT' WHERE sells < 0.15
  UNION ALL SELECT 'WEALTH' WHERE sells < 0.15 UNION ALL SELECT 'PAYROLL' WHERE sells BETWEEN 0.5 AND 0.7
) AS h"""

_ROOMS = """
INSERT INTO contact_rooms (customer_id, policy_version, last_contact_time, last_campaign_id, last_outcome,
  last_refusal_time, consent_keys, opt_out_keys, generation)
SELECT customer_id, 1, timestamptz '{day} 08:00+08' - interval '1 hour' * (n % 2000), 'K' || n % 50,
  (ARRAY['ACCEPTED', 'REFUSED', 'NO_ANSWER', 'LATER'])[1 + n % 4],
  CASE WHEN n % 4 = 1 THEN timestamptz '{day} 08:00+08' - interval '1 hour' * (n % 2000) END,
  CASE WHEN n % 2 = 0 THEN ARRAY['ALL/ALL'] WHEN n % 5 = 0 THEN ARRAY['SMS/WEALTH'] ELSE '{{}}' END,
  CASE WHEN n % 20 = 3 THEN ARRAY['SMS/ALL'] ELSE '{{}}' END, 1
FROM seed WHERE other < 0.6"""

_INSTANTS = """
INSERT INTO contact_instants (customer_id, channel, contact_time, ordinal, message_class, category, campaign_id,
  other_person)
SELECT customer_id, CASE WHEN k = 0 THEN 'CALL' ELSE 'SMS' END,
  timestamptz '{day} 08:00+08' - interval '1 hour' * (n % 2000 + k * 300), 0, 'MARKETING', NULL, 'K' || n % 50, false
FROM seed, generate_series(0, 2) AS k WHERE other < 0.6 AND k <= n % 3"""

_GROUP = """
INSERT INTO customer_groups (group_id, display_name, description, owner_id, sharing, kind, refresh_nightly,
  live_generation, least_level, member_count, last_build_time, last_build_micros, built_date)
VALUES ('G1', 'G1', '', 'S00000', 'BANK', 'LIST', false, 1, 1, 0, bank_now(), 1, date '{day}')"""

_MEMBERS = """
INSERT INTO group_members (customer_id, group_id, generation) SELECT customer_id, 'G1', 1 FROM seed WHERE more > 0.6"""

_DAY = "INSERT INTO business_day (only_row, business_date) VALUES (1, date '{day}')"

# Owners and contacts before customers, whose triggers take them along.
_PARTS = (
    *(_BRANCHES, _SEED, _OWNERS, _ROOMS, _INSTANTS, _CUSTOMERS, _FIGURES, _ACCOUNTS, _LOANS, _HOLDINGS),
    *(_GROUP, _MEMBERS, _DAY),
)


async def build(database: Database, customers: int = CUSTOMERS) -> None:
    """Fills an empty database; a million customers take about two minutes."""
    values = {"customers": customers, "branches": BRANCHES, "regions": REGIONS}
    async with database.begin() as tx:
        await tx.execute(text("SET LOCAL synchronous_commit = off"))
        await tx.execute(text("SELECT setseed(0.5)"))
        for part in _PARTS:
            given = {name: value for name, value in values.items() if f":{name}" in part}
            await tx.execute(text(part.replace("{day}", DAY).replace("{{}}", "{}")), given)
        await tx.execute(text("DROP TABLE seed"))
    async with database.alone() as conn:
        autocommit = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.execute(text("VACUUM FULL customer_search"))
        await autocommit.execute(text("VACUUM ANALYZE"))
