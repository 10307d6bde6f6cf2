"""Keeps targets, credit and frozen score cards."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# What keeps spans of days from overlapping compares ids too.
_STATEMENTS = """
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE score_import (
  table_name text PRIMARY KEY,
  business_date date NOT NULL
);

CREATE TABLE balance_step (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  from_date date NOT NULL,
  balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
  PRIMARY KEY (customer_id, branch_id, from_date)
);

CREATE TABLE customer_month (
  customer_id text COLLATE "C" NOT NULL,
  month_date date NOT NULL,
  deposit_average_minor bigint,
  deposit_growth_minor bigint,
  wealth_minor bigint,
  loan_minor bigint,
  category_count bigint,
  had_business boolean NOT NULL,
  has_business boolean NOT NULL,
  new_customer boolean NOT NULL,
  key_customer boolean NOT NULL,
  PRIMARY KEY (customer_id, month_date)
);

CREATE TABLE interception (
  customer_id text COLLATE "C" NOT NULL,
  interception_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL CHECK (until_date > from_date),
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, interception_id),
  CONSTRAINT interception_one_at_a_time
    EXCLUDE USING gist (customer_id WITH =, daterange(from_date, until_date) WITH &&)
);

CREATE TABLE credit_custody (
  custody_id text COLLATE "C" PRIMARY KEY,
  branch_id text COLLATE "C" NOT NULL,
  from_staff_id text COLLATE "C" NOT NULL,
  to_staff_id text COLLATE "C" NOT NULL CHECK (to_staff_id <> from_staff_id),
  from_date date NOT NULL,
  until_date date NOT NULL CHECK (until_date > from_date),
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  CONSTRAINT credit_custody_one_at_a_time
    EXCLUDE USING gist (from_staff_id WITH =, daterange(from_date, until_date) WITH &&)
);
CREATE INDEX credit_custody_branch ON credit_custody (branch_id, from_date, custody_id);
CREATE INDEX credit_custody_to ON credit_custody (to_staff_id);

CREATE TABLE credit (
  customer_id text COLLATE "C" NOT NULL,
  month_date date NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  share integer NOT NULL,
  deposit_minor bigint,
  growth_minor bigint,
  wealth_minor bigint,
  loan_minor bigint,
  PRIMARY KEY (customer_id, month_date, branch_id, staff_id)
);
CREATE INDEX credit_card ON credit (branch_id, month_date, staff_id, customer_id);

CREATE TABLE score_policy (
  version integer PRIMARY KEY,
  from_date date NOT NULL CHECK (extract(day FROM from_date) = 1),
  primary_percent integer NOT NULL,
  secondary_percent integer NOT NULL,
  interceptor_percent integer NOT NULL,
  achieved_percent_max integer NOT NULL,
  weights jsonb NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  CHECK (primary_percent + secondary_percent = 100),
  CHECK (interceptor_percent BETWEEN 0 AND primary_percent)
);
INSERT INTO score_policy (version, from_date, primary_percent, secondary_percent, interceptor_percent,
  achieved_percent_max, weights, actor)
VALUES (1, '1900-01-01', 70, 30, 20, 150, '{"DEPOSIT_AVERAGE": 30, "DEPOSIT_GROWTH": 10, "WEALTH": 10, "LOAN": 15,
  "NEW_CUSTOMERS": 5, "CROSS_SELL": 5, "RETENTION": 5, "KEY_CUSTOMERS": 5, "VISIT_DUTY": 10, "VISIT_QUALITY": 5}',
  'migration');

CREATE TABLE score_month (
  month_date date PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('OPEN', 'FROZEN')),
  as_of_date date NOT NULL,
  policy_version integer NOT NULL,
  actor text COLLATE "C",
  reason text NOT NULL DEFAULT '',
  update_time timestamptz NOT NULL DEFAULT bank_now()
);

CREATE TABLE score_card (
  month_date date NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  customer_count bigint NOT NULL,
  score integer,
  rank integer,
  ranked_count integer NOT NULL DEFAULT 0,
  PRIMARY KEY (month_date, branch_id, staff_id)
);

CREATE TABLE score_figure (
  month_date date NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  indicator text NOT NULL,
  whole bigint NOT NULL,
  base bigint,
  value bigint,
  unknown_count bigint NOT NULL DEFAULT 0,
  target bigint,
  achieved integer,
  weight integer NOT NULL DEFAULT 0,
  PRIMARY KEY (month_date, branch_id, staff_id, indicator)
);

CREATE TABLE target (
  target_id text COLLATE "C" PRIMARY KEY,
  branch_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  indicator text NOT NULL,
  period text NOT NULL CHECK (period IN ('MONTH', 'QUARTER', 'YEAR')),
  period_date date NOT NULL,
  value bigint CHECK (value > 0),
  version integer NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  UNIQUE (branch_id, staff_id, indicator, period, period_date, version)
);
CREATE INDEX target_period ON target (period_date, period)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
