"""Keeps transfers by file."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE bulk_transfer (
  bulk_transfer_id text COLLATE "C" PRIMARY KEY,
  reason text NOT NULL,
  creator text COLLATE "C" NOT NULL,
  line_count integer NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);

CREATE INDEX bulk_transfer_creator ON bulk_transfer (creator, create_time);

CREATE TABLE bulk_transfer_line (
  bulk_transfer_id text COLLATE "C" NOT NULL,
  line integer NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (bulk_transfer_id, line)
)
"""


def upgrade() -> None:
    """Creates empty tables."""
    for statement in _STATEMENTS.split(";\n\n"):
        op.execute(statement)
