"""First schema: organisation, sessions, facts, ownership with history, holds, policy."""

from alembic import op

from chassis.sql.schema import create_chassis

revision = "0001"
down_revision = None

_OWNER_COLUMNS = """
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  side text NOT NULL,
  rule text NOT NULL,
  manager_id text COLLATE "C",
  named_manager_id text COLLATE "C",
  basis text COLLATE "C",
  amount_minor bigint,
  rival_branch_id text COLLATE "C",
  rival_amount_minor bigint,
  held_by_margin boolean NOT NULL,
  since_date date NOT NULL,
  from_date date NOT NULL,
  due_date date,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
"""

# Deposit sums move every night: room in each page keeps those updates off the index.
_STATEMENTS = (
    """
CREATE TABLE branch (
  branch_id text COLLATE "C" PRIMARY KEY,
  display_name text NOT NULL,
  parent_id text COLLATE "C",
  legal_entity text,
  open_date date,
  close_date date,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  gone boolean NOT NULL DEFAULT false,
  update_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    "CREATE INDEX branch_rev ON branch (rev, branch_id)",
    "CREATE INDEX branch_parent ON branch (parent_id, branch_id)",
    """
CREATE TABLE staff (
  staff_id text COLLATE "C" PRIMARY KEY,
  display_name text NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  roles text[] NOT NULL,
  login text UNIQUE DEFERRABLE INITIALLY DEFERRED,
  password_hash text,
  active_from_date date,
  active_until_date date,
  successor_id text COLLATE "C",
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  gone boolean NOT NULL DEFAULT false,
  update_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    "CREATE INDEX staff_rev ON staff (rev, staff_id)",
    "CREATE INDEX staff_branch ON staff (branch_id, staff_id)",
    """
CREATE TABLE session (
  session_id text COLLATE "C" PRIMARY KEY,
  staff_id text COLLATE "C" NOT NULL,
  refresh_hash bytea NOT NULL,
  used_hashes bytea[] NOT NULL,
  access_expire_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  ended boolean NOT NULL DEFAULT false,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  rev xid8 NOT NULL DEFAULT pg_current_xact_id()
)""",
    "CREATE INDEX session_ended ON session (rev, session_id) WHERE ended",
    "CREATE INDEX session_expire_time ON session (expire_time)",
    """
CREATE TABLE branch_facts (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  loan_live boolean NOT NULL,
  loan_id text COLLATE "C",
  loan_outstanding_minor bigint,
  loan_first_disburse_date date,
  loan_officer_id text COLLATE "C",
  loan_end_date date,
  card_live boolean NOT NULL,
  card_id text COLLATE "C",
  card_limit_minor bigint,
  card_first_open_date date,
  card_manager_id text COLLATE "C",
  deposit_live boolean NOT NULL,
  deposit_sum_minor bigint,
  relation_since_date date NOT NULL,
  last_live_date date,
  customer_state text NOT NULL,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (customer_id, branch_id)
) WITH (fillfactor = 85)""",
    """
CREATE TABLE ownership_policy (
  version integer PRIMARY KEY,
  grace_days integer NOT NULL,
  run_off_days integer NOT NULL,
  challenge_percent integer NOT NULL,
  return_months integer NOT NULL,
  protection_idle_days integer NOT NULL,
  lead_days integer NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    """
INSERT INTO ownership_policy
  (version, grace_days, run_off_days, challenge_percent, return_months, protection_idle_days, lead_days, actor)
VALUES (1, 90, 90, 120, 12, 30, 15, 'migration')""",
    """
CREATE TABLE ownership (
  customer_id text COLLATE "C" PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('LIVE', 'FORMER', 'FROZEN')),
  business_date date NOT NULL,
  due_date date,
  former_date date,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  gone boolean NOT NULL DEFAULT false,
  update_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    "CREATE INDEX ownership_rev ON ownership (rev, customer_id)",
    "CREATE INDEX ownership_due_date ON ownership (due_date, customer_id) WHERE due_date IS NOT NULL",
    f"CREATE TABLE owner ({_OWNER_COLUMNS} PRIMARY KEY (customer_id, branch_id))",
    "CREATE INDEX owner_branch ON owner (branch_id, customer_id)",
    f"""
CREATE TABLE owner_period ({_OWNER_COLUMNS}
  until_date date NOT NULL CHECK (until_date >= from_date),
  period_id bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (customer_id, period_id)
)""",
    """
CREATE TABLE ownership_hold (
  customer_id text COLLATE "C" NOT NULL,
  hold_id text COLLATE "C" NOT NULL,
  kind text NOT NULL CONSTRAINT ownership_hold_kind CHECK (kind IN ('LOCK', 'TRANSFER', 'PROTECTION')),
  branch_id text COLLATE "C" NOT NULL,
  manager_id text COLLATE "C",
  from_date date NOT NULL,
  until_date date,
  last_contact_date date,
  reason text NOT NULL,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, hold_id)
)""",
    "CREATE INDEX ownership_hold_rev ON ownership_hold (rev)",
    """
CREATE TABLE officer_override (
  customer_id text COLLATE "C" NOT NULL,
  loan_id text COLLATE "C" NOT NULL,
  source_officer_id text COLLATE "C",
  manager_id text COLLATE "C" NOT NULL,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, loan_id)
)""",
    "CREATE INDEX officer_override_rev ON officer_override (rev)",
    """
CREATE TABLE staff_duty (
  staff_id text COLLATE "C" PRIMARY KEY,
  branch_id text COLLATE "C",
  successor_id text COLLATE "C",
  successor_branch_id text COLLATE "C",
  moved boolean NOT NULL DEFAULT false
)""",
    """
CREATE TABLE allocation_day (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  facts_date date,
  business_date date,
  policy_version integer NOT NULL DEFAULT 0,
  seen_rev xid8 NOT NULL DEFAULT '0'
)""",
    "INSERT INTO allocation_day DEFAULT VALUES",
    'CREATE UNLOGGED TABLE allocation_candidate (customer_id text COLLATE "C" PRIMARY KEY)',
)


def upgrade() -> None:
    """Creates everything."""
    create_chassis(op)
    for statement in _STATEMENTS:
        op.execute(statement)
