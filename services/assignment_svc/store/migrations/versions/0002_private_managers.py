"""Private managers of key customers: a third role beside the rows of ownership, with its history and its limit."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE private_manager_policy (
  version integer PRIMARY KEY,
  customers_max integer NOT NULL CHECK (customers_max > 0),
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
INSERT INTO private_manager_policy (version, customers_max, actor) VALUES (1, 120, 'migration');

CREATE TABLE private_manager (
  customer_id text COLLATE "C" PRIMARY KEY,
  staff_id text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
CREATE INDEX private_manager_staff ON private_manager (staff_id, customer_id);

CREATE TABLE private_manager_period (
  customer_id text COLLATE "C" NOT NULL,
  period_id bigint GENERATED ALWAYS AS IDENTITY,
  staff_id text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  end_actor text NOT NULL,
  end_reason text NOT NULL,
  PRIMARY KEY (customer_id, period_id)
)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
