"""Keeps what people change of ownership by hand, so that it can be undone."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # Never holds a row: nights and manual changes keep one another out by locking it.
    "CREATE TABLE allocation_gate (only_row smallint PRIMARY KEY)",
    """
CREATE TABLE capacity_policy (
  version integer PRIMARY KEY,
  customers_max integer NOT NULL CHECK (customers_max > 0),
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    "INSERT INTO capacity_policy (version, customers_max, actor) VALUES (1, 500, 'migration')",
    """
CREATE TABLE claim_policy (
  version integer PRIMARY KEY,
  protection_days integer NOT NULL CHECK (protection_days BETWEEN 30 AND 90),
  undo_hours integer NOT NULL CHECK (undo_hours > 0),
  claimed_hours integer NOT NULL CHECK (claimed_hours > 0),
  deposit_edges_minor bigint[] NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    """
INSERT INTO claim_policy (version, protection_days, undo_hours, claimed_hours, deposit_edges_minor, actor)
VALUES (1, 90, 24, 24, '{100000,1000000,5000000,20000000,50000000}', 'migration')
""",
    """
CREATE TABLE row_protection (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  protection_id text COLLATE "C" NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  last_contact_date date,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, branch_id)
)""",
    """
CREATE TABLE ownership_change (
  customer_id text COLLATE "C" NOT NULL,
  change_id text COLLATE "C" NOT NULL,
  kind text NOT NULL CONSTRAINT ownership_change_kind CHECK (kind IN ('ASSIGN', 'UNASSIGN', 'CLAIM', 'RELEASE',
    'TRANSFER', 'LOCK', 'UNLOCK', 'PROTECT', 'OFFICER_OVERRIDE', 'RECLAIM', 'BRANCH_CHANGE', 'UNDO')),
  branch_id text COLLATE "C" NOT NULL,
  from_manager_id text COLLATE "C",
  to_manager_id text COLLATE "C",
  from_branch_id text COLLATE "C",
  to_branch_id text COLLATE "C",
  request_id text COLLATE "C",
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  rev_after xid8 NOT NULL DEFAULT pg_current_xact_id(),
  undone_by text COLLATE "C",
  before jsonb NOT NULL,
  PRIMARY KEY (customer_id, change_id)
)""",
)
# How many customers a manager has is asked with every claim. Unassigned rows, which are most, cost it nothing. Made
# while the bank goes on; what an attempt that broke off left behind is no good.
_INDEX = (
    "DROP INDEX CONCURRENTLY IF EXISTS owner_manager",
    "CREATE INDEX CONCURRENTLY owner_manager ON owner (manager_id, customer_id) WHERE manager_id IS NOT NULL",
)


def upgrade() -> None:
    """Creates everything."""
    with op.get_context().autocommit_block():
        for statement in _INDEX:
            op.execute(statement)
    for statement in _STATEMENTS:
        op.execute(statement)
