"""Unmasking and erasure."""

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
CREATE INDEX unmaskings_staff ON unmaskings (staff_id, bank_date) WHERE counted
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
    keep_audit(op)
