"""Tags and key customers: definitions, what the batch and hands say of them, marks by hand, and all their history.

What the batch says and what hands say stand in tables of their own, so that no import can undo a hand.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE tag_policies (
  version integer PRIMARY KEY,
  start_date date NOT NULL,
  expiry_days integer NOT NULL CHECK (expiry_days > 0),
  override_days_max integer NOT NULL CHECK (override_days_max > 0),
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
INSERT INTO tag_policies (version, start_date, expiry_days, override_days_max, actor)
VALUES (1, '1900-01-01', 35, 90, 'migration');

CREATE TABLE tags (
  tag_code text COLLATE "C" PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('POTENTIAL', 'MANUAL')),
  display_name text NOT NULL,
  display_name_en text NOT NULL,
  rule_text text NOT NULL,
  rule_text_en text NOT NULL,
  branch_id text COLLATE "C",
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
INSERT INTO tags (tag_code, kind, display_name, display_name_en, rule_text, rule_text_en, actor) VALUES
  ('DEPOSIT_POTENTIAL', 'POTENTIAL', '存款潜力', 'deposit potential',
   '90 天内行外流入达到限额而 90 天日均不超过其 20%，或 30 天内有定期到期；未成年人和 12 个月不动户除外',
   'inflow from outside of the set amount in 90 days and a 90-day average of at most 20 % of it, or a time deposit due '
   'in 30 days; not minors, nor who was dormant for 12 months', ''),
  ('LOAN_POTENTIAL', 'POTENTIAL', '贷款潜力', 'loan potential',
   '无贷款且近 6 个整月每月入账和月均入账达标，或 12 个月内正常结清贷款，'
   '或授信额度一半以上未用；规定年数内有逾期者除外',
   'no loan and credits of the set amounts in each of the last 6 full months, or a loan settled cleanly in 12 months, '
   'or half of a line unused; not who was overdue in the set years', ''),
  ('CARD_POTENTIAL', 'POTENTIAL', '贷记卡潜力', 'card potential',
   '代发工资或手机银行活跃、无贷记卡、年龄在范围内；贷款逾期者除外',
   'payroll or mobile bank active, no card, age within the band; not whose loan is overdue', ''),
  ('E_CHANNEL_POTENTIAL', 'POTENTIAL', '电子渠道潜力', 'e-channel potential',
   '90 天内到柜台或 ATM 3 次以上、未开手机银行、有手机号；已退订者除外',
   '3 or more visits to counter or ATM in 90 days, no mobile bank, a mobile number; not who opted out', ''),
  ('WEALTH_POTENTIAL', 'POTENTIAL', '理财潜力', 'wealth potential',
   '活期闲置达到限额 60 天且风险评级有效；评级过期者除外，65 岁以上须确认',
   'an idle demand balance of the set amount for 60 days and a valid risk rating; not with an expired one, from 65 '
   'years on to be confirmed', ''),
  ('CHURN_RISK', 'POTENTIAL', '流失预警', 'churn risk',
   '30 天内多次转出他行，或日均比前 3 个月下降 40% 以上，或销户，或有未结投诉',
   'several transfers out in 30 days, or the average 40 % below the mean of 3 months, or an account closed, or an open '
   'complaint', ''),
  ('BLACKLIST', 'MANUAL', '黑名单', 'blacklist',
   '经人工认定不宜开展业务的客户', 'a customer whom somebody found unfit for business', '');

CREATE TABLE potential_tags (
  customer_id text COLLATE "C" NOT NULL,
  tag_code text COLLATE "C" NOT NULL,
  rule_version text NOT NULL,
  as_of_date date NOT NULL,
  expiry_date date NOT NULL,
  evidence jsonb NOT NULL,
  PRIMARY KEY (customer_id, tag_code)
) WITH (fillfactor = 85);
CREATE INDEX potential_tags_expiry ON potential_tags (expiry_date, customer_id);

CREATE TABLE manual_tags (
  customer_id text COLLATE "C" NOT NULL,
  tag_code text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  end_date date,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, tag_code)
);
CREATE INDEX manual_tags_end ON manual_tags (end_date, customer_id) WHERE end_date IS NOT NULL;

CREATE TABLE tag_overrides (
  customer_id text COLLATE "C" NOT NULL,
  tag_code text COLLATE "C" NOT NULL,
  is_set boolean NOT NULL,
  reason text NOT NULL,
  end_date date NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, tag_code)
);
CREATE INDEX tag_overrides_end ON tag_overrides (end_date, customer_id);

CREATE TABLE tag_changes (
  customer_id text COLLATE "C" NOT NULL,
  change_id bigint GENERATED ALWAYS AS IDENTITY,
  tag_code text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('SET', 'REMOVED', 'CLEARED', 'GIVEN', 'ENDED')),
  reason text NOT NULL,
  end_date date,
  actor text NOT NULL,
  branch_id text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, change_id)
);

CREATE TABLE tag_day (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  applied_date date NOT NULL
);

CREATE TABLE key_policies (
  version integer PRIMARY KEY,
  start_date date NOT NULL,
  asset_minor bigint NOT NULL CHECK (asset_minor > 0),
  loan_minor bigint NOT NULL CHECK (loan_minor > 0),
  keep_percent integer NOT NULL CHECK (keep_percent BETWEEN 1 AND 100),
  below_count_max integer NOT NULL CHECK (below_count_max > 0),
  manual_days_max integer NOT NULL CHECK (manual_days_max > 0),
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
INSERT INTO key_policies
  (version, start_date, asset_minor, loan_minor, keep_percent, below_count_max, manual_days_max, actor)
VALUES (1, '1900-01-01', 50000000, 50000000, 80, 3, 366, 'migration');

CREATE TABLE key_marks (
  customer_id text COLLATE "C" PRIMARY KEY,
  asset boolean NOT NULL DEFAULT false,
  loan boolean NOT NULL DEFAULT false,
  asset_below integer NOT NULL DEFAULT 0,
  loan_below integer NOT NULL DEFAULT 0,
  base_asset boolean NOT NULL DEFAULT false,
  base_loan boolean NOT NULL DEFAULT false,
  base_asset_below integer NOT NULL DEFAULT 0,
  base_loan_below integer NOT NULL DEFAULT 0,
  base_since_date date,
  night_date date,
  manual_until_date date,
  reason text GENERATED ALWAYS AS (
    CASE WHEN asset AND loan THEN 'BOTH' WHEN asset THEN 'ASSET' WHEN loan THEN 'LOAN'
      WHEN manual_until_date IS NOT NULL THEN 'MANUAL' END
  ) STORED,
  since_date date
);
CREATE INDEX key_marks_asset ON key_marks (customer_id) WHERE asset;
CREATE INDEX key_marks_loan ON key_marks (customer_id) WHERE loan;
CREATE INDEX key_marks_night ON key_marks (night_date, customer_id);
CREATE INDEX key_marks_manual ON key_marks (manual_until_date, customer_id) WHERE manual_until_date IS NOT NULL;

CREATE TABLE key_test_day (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  test_date date NOT NULL
);

CREATE TABLE key_mark_proposals (
  customer_id text COLLATE "C" NOT NULL,
  proposal_id text COLLATE "C" NOT NULL,
  state text NOT NULL CHECK (state IN ('PROPOSED', 'APPROVED', 'REFUSED', 'WITHDRAWN', 'LAPSED', 'ENDED', 'EXPIRED',
    'REPLACED')),
  reason text NOT NULL,
  end_date date NOT NULL,
  proposer text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  actor text NOT NULL,
  decision_reason text NOT NULL,
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, proposal_id)
);
CREATE UNIQUE INDEX key_mark_proposals_one_pending ON key_mark_proposals (customer_id) WHERE state = 'PROPOSED';
CREATE UNIQUE INDEX key_mark_proposals_one_approved ON key_mark_proposals (customer_id) WHERE state = 'APPROVED';
CREATE INDEX key_mark_proposals_pending ON key_mark_proposals (create_time, proposal_id) WHERE state = 'PROPOSED';
CREATE INDEX key_mark_proposals_end ON key_mark_proposals (end_date, customer_id)
  WHERE state IN ('PROPOSED', 'APPROVED');

CREATE TABLE key_mark_changes (
  customer_id text COLLATE "C" NOT NULL,
  change_id bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  old_reason text,
  new_reason text,
  actor text NOT NULL,
  reason text NOT NULL,
  business_date date NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  proposal_id text COLLATE "C",
  PRIMARY KEY (customer_id, change_id)
)
"""


def upgrade() -> None:
    """Creates everything."""
    # asyncpg takes one statement at a time.
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
