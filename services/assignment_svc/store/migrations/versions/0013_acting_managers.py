"""Keeps who acts for whom."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE acting_manager (
  acting_manager_id text COLLATE "C" PRIMARY KEY,
  branch_id text COLLATE "C" NOT NULL,
  acting_id text COLLATE "C" NOT NULL,
  covered_id text COLLATE "C" NOT NULL,
  role text NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  reason text NOT NULL,
  creator text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  end_time timestamptz,
  end_actor text NOT NULL DEFAULT '',
  end_reason text NOT NULL DEFAULT '',
  over boolean NOT NULL DEFAULT false,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE INDEX acting_manager_rev ON acting_manager (rev, acting_manager_id);

CREATE INDEX acting_manager_branch ON acting_manager (branch_id, from_date, acting_manager_id);

CREATE INDEX acting_manager_acting ON acting_manager (acting_id) WHERE NOT over;

CREATE INDEX acting_manager_covered ON acting_manager (covered_id) WHERE NOT over
"""


def upgrade() -> None:
    """Creates an empty table."""
    for statement in _STATEMENTS.split(";\n\n"):
        op.execute(statement)
