"""Makes what one customer of two is made with, and back: who is gone into whom, what was moved, whom to tell."""

from alembic import op

from chassis.sql.merge_tables import MERGE_TABLES

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    *MERGE_TABLES,
    """
CREATE TABLE merge_notice (
  customer_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  hold_id text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, merge_id, branch_id, hold_id)
)""",
)


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS:
        op.execute(statement)
