"""Unmasking, what a person asks to see of his data, and erasure."""

from alembic import op

from chassis.sql.schema import keep_audit

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE privacy_policies (
  version integer PRIMARY KEY,
  start_time timestamptz NOT NULL,
  unmask_day_max integer NOT NULL
);
INSERT INTO privacy_policies VALUES (1, timestamptz '2000-01-01 00:00:00+08', 50);
CREATE TABLE unmaskings (
  customer_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  request_id text NOT NULL,
  bank_date date NOT NULL,
  counted boolean NOT NULL,
  purpose text NOT NULL,
  reason text,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, staff_id, request_id)
);
CREATE INDEX unmaskings_staff ON unmaskings (staff_id, bank_date) WHERE counted;

CREATE TABLE personal_data_exports (
  customer_id text COLLATE "C" NOT NULL,
  export_id text COLLATE "C" NOT NULL,
  requester_id text COLLATE "C" NOT NULL,
  reference text NOT NULL,
  size_bytes bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  expire_time timestamptz NOT NULL DEFAULT bank_now() + interval '24 hours',
  finished boolean NOT NULL DEFAULT false,
  PRIMARY KEY (customer_id, export_id)
);
CREATE INDEX personal_data_exports_expire_time ON personal_data_exports (expire_time);

CREATE TABLE erasure_policies (
  version integer PRIMARY KEY,
  start_time timestamptz NOT NULL,
  wait_days integer NOT NULL CHECK (wait_days >= 0),
  retention_years integer NOT NULL CHECK (retention_years >= 0)
);
INSERT INTO erasure_policies VALUES (1, timestamptz '2000-01-01 00:00:00+08', 7, 5);

CREATE TABLE erasures (
  customer_id text COLLATE "C" NOT NULL,
  erasure_id text COLLATE "C" NOT NULL,
  state text NOT NULL
    CHECK (state IN ('REQUESTED', 'APPROVED', 'RUNNING', 'DONE', 'REFUSED', 'CANCELLED')),
  reference text NOT NULL,
  requester_id text COLLATE "C" NOT NULL,
  decider_id text COLLATE "C",
  decision_reason text NOT NULL DEFAULT '',
  verdicts jsonb NOT NULL DEFAULT '[]',
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  execute_time timestamptz,
  erase_time timestamptz,
  PRIMARY KEY (customer_id, erasure_id)
);
CREATE UNIQUE INDEX erasures_open ON erasures (customer_id) WHERE state IN ('REQUESTED', 'APPROVED', 'RUNNING');
CREATE INDEX erasures_order ON erasures (create_time, erasure_id);
CREATE INDEX erasures_due ON erasures (execute_time) WHERE state IN ('APPROVED', 'RUNNING');

CREATE TABLE erased_customers (
  customer_id text COLLATE "C" PRIMARY KEY,
  contact_data boolean NOT NULL,
  records boolean NOT NULL,
  erase_time timestamptz NOT NULL DEFAULT bank_now()
);
CREATE TABLE suppressed_numbers (
  kind text NOT NULL,
  hash bytea NOT NULL,
  hash_key_id bigint NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (kind, hash)
);
CREATE TABLE suppressed_customers (
  customer_id text COLLATE "C" PRIMARY KEY,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  told_time timestamptz
);
CREATE INDEX suppressed_customers_untold ON suppressed_customers (customer_id) WHERE told_time IS NULL
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
    keep_audit(op)
