"""Makes what duplicates are found, and made one customer, with: pairs, merges with their history, what was moved."""

from alembic import op

from chassis.sql.merge_tables import MERGE_TABLES

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE duplicates (
  customer_id text COLLATE "C" NOT NULL,
  other_id text COLLATE "C" NOT NULL CHECK (customer_id < other_id),
  duplicate_id text COLLATE "C" NOT NULL,
  matches text[] NOT NULL,
  score smallint NOT NULL,
  state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'DISMISSED')),
  dismiss_reason text NOT NULL DEFAULT '',
  actor text NOT NULL DEFAULT '',
  find_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, other_id)
);
CREATE INDEX duplicates_id ON duplicates (duplicate_id);
CREATE INDEX duplicates_other ON duplicates (other_id);
CREATE INDEX duplicates_order ON duplicates (state, score DESC, customer_id, other_id);

CREATE TABLE duplicate_day (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  customers_date date,
  found_date date
);
INSERT INTO duplicate_day DEFAULT VALUES;


CREATE TABLE merges (
  customer_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  merged_id text COLLATE "C" NOT NULL CHECK (merged_id <> customer_id),
  reason text NOT NULL,
  state text NOT NULL,
  proposer_id text COLLATE "C" NOT NULL,
  proposer_branch_id text COLLATE "C" NOT NULL,
  proposer_leads boolean NOT NULL,
  version integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  done_time timestamptz,
  PRIMARY KEY (customer_id, merge_id)
);
CREATE INDEX merges_id ON merges (merge_id);
CREATE INDEX merges_merged ON merges (merged_id);
CREATE INDEX merges_order ON merges (create_time, merge_id);
CREATE INDEX merges_open ON merges (create_time, merge_id) WHERE state IN ('PROPOSED', 'RUNNING', 'UNDOING');

CREATE TABLE merge_events (
  customer_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  ordinal integer NOT NULL,
  verb text NOT NULL,
  actor text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  event_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, merge_id, ordinal)
);

CREATE TABLE merge_steps (
  customer_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  undo boolean NOT NULL,
  part text NOT NULL,
  done_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, merge_id, undo, part)
)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in (*_STATEMENTS.split(";\n"), *MERGE_TABLES):
        op.execute(statement)
