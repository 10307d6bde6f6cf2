"""Keeps mergers, splits and closings of branches."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE branch_change (
  branch_change_id text COLLATE "C" PRIMARY KEY,
  kind text NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  target_id text COLLATE "C" NOT NULL,
  manager_ids text[] NOT NULL,
  effective_date date NOT NULL,
  reason text NOT NULL,
  state text NOT NULL DEFAULT 'PLANNED',
  creator text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  decider text NOT NULL DEFAULT '',
  decide_time timestamptz,
  customers_count bigint NOT NULL DEFAULT 0,
  united_count bigint NOT NULL DEFAULT 0,
  primary_count bigint NOT NULL DEFAULT 0,
  unassigned_count bigint NOT NULL DEFAULT 0,
  changed_rows_count bigint NOT NULL DEFAULT 0,
  staff_count bigint NOT NULL DEFAULT 0
);

CREATE INDEX branch_change_time ON branch_change (create_time, branch_change_id);

CREATE TABLE branch_alias (branch_id text COLLATE "C" PRIMARY KEY, target_id text COLLATE "C" NOT NULL);

CREATE TABLE customer_branch_alias (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  target_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (customer_id, branch_id)
)
"""


def upgrade() -> None:
    """Creates empty tables."""
    for statement in _STATEMENTS.split(";\n\n"):
        op.execute(statement)
