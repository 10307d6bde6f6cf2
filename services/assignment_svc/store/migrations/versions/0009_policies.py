"""Gives policies of allocation start dates, and lets facts be allocated as they come."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE ownership_policy
  ADD COLUMN state text NOT NULL DEFAULT 'APPROVED' CHECK (state IN ('PROPOSED', 'APPROVED', 'WITHDRAWN')),
  ADD COLUMN start_date date,
  ADD COLUMN reason text NOT NULL DEFAULT '',
  ADD COLUMN approver text,
  ADD COLUMN approve_time timestamptz,
  ADD COLUMN withdrawer text,
  ADD COLUMN withdraw_time timestamptz,
  ADD COLUMN withdraw_reason text NOT NULL DEFAULT '',
  ADD CONSTRAINT ownership_policy_four_eyes CHECK (approver <> actor);

ALTER TABLE allocation_day ADD COLUMN changes_date date;

CREATE TABLE changed_facts (
  customer_id text COLLATE "C" PRIMARY KEY
);

CREATE TABLE policy_trial (
  trial_id text COLLATE "C" PRIMARY KEY,
  grace_days integer NOT NULL,
  run_off_days integer NOT NULL,
  challenge_percent integer NOT NULL,
  return_months integer NOT NULL,
  protection_idle_days integer NOT NULL,
  lead_days integer NOT NULL,
  business_date date NOT NULL,
  compared_version integer NOT NULL,
  actor text NOT NULL,
  customer_count bigint NOT NULL,
  changed_customer_count bigint NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  expire_time timestamptz NOT NULL
);
CREATE INDEX policy_trial_create_time ON policy_trial (create_time, trial_id);

CREATE TABLE policy_trial_branch (
  trial_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  primary_gained_count bigint NOT NULL,
  primary_lost_count bigint NOT NULL,
  row_gained_count bigint NOT NULL,
  row_lost_count bigint NOT NULL,
  manager_changed_count bigint NOT NULL,
  changed_row_count bigint NOT NULL,
  PRIMARY KEY (trial_id, branch_id)
);

CREATE TABLE policy_trial_manager (
  trial_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  manager_id text COLLATE "C" NOT NULL,
  gained_count bigint NOT NULL,
  lost_count bigint NOT NULL,
  PRIMARY KEY (trial_id, branch_id, manager_id)
);

CREATE TABLE policy_trial_row (
  customer_id text COLLATE "C" NOT NULL,
  trial_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  change text NOT NULL CHECK (change IN ('MADE', 'CHANGED', 'ENDED')),
  {columns},
  PRIMARY KEY (customer_id, trial_id, branch_id)
);
CREATE INDEX policy_trial_row_trial ON policy_trial_row (trial_id, customer_id, branch_id)
"""
_ROW = """{0}_side text,
  {0}_rule text,
  {0}_manager_id text COLLATE "C",
  {0}_named_manager_id text COLLATE "C",
  {0}_basis text COLLATE "C",
  {0}_amount_minor bigint,
  {0}_rival_branch_id text COLLATE "C",
  {0}_rival_amount_minor bigint,
  {0}_held_by_margin boolean,
  {0}_since_date date,
  {0}_from_date date,
  {0}_due_date date"""


def upgrade() -> None:
    """Adds the columns and the tables."""
    columns = ",\n  ".join(_ROW.format(name) for name in ("old", "new"))
    for statement in _STATEMENTS.replace("{columns}", columns).split(";\n"):
        op.execute(statement)
