"""Keeps requests, approvals, delegations and the working days that time-outs count."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE ownership_request (
  customer_id text COLLATE "C" NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  kind text NOT NULL
    CONSTRAINT ownership_request_kind CHECK (kind IN ('PUSH', 'PULL', 'LOCK', 'UNLOCK', 'OFFICER', 'RECLAIM')),
  state text NOT NULL CONSTRAINT ownership_request_state
    CHECK (state IN ('PENDING', 'SILENT', 'APPROVED', 'REFUSED', 'WITHDRAWN', 'EXPIRED')),
  exclusive boolean NOT NULL,
  display_name text NOT NULL DEFAULT '',
  masked_id_number text NOT NULL DEFAULT '',
  from_branch_id text COLLATE "C",
  from_manager_id text COLLATE "C",
  to_branch_id text COLLATE "C" NOT NULL,
  to_manager_id text COLLATE "C",
  loan_id text COLLATE "C",
  end_date date,
  reason text NOT NULL,
  level integer NOT NULL DEFAULT 0,
  due_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  creator text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, request_id),
  CONSTRAINT ownership_request_exclusive CHECK (NOT exclusive OR state = 'PENDING')
);
CREATE UNIQUE INDEX ownership_request_id ON ownership_request (request_id);
CREATE UNIQUE INDEX ownership_request_pending ON ownership_request (customer_id) WHERE exclusive;
CREATE INDEX ownership_request_due ON ownership_request (due_time, request_id) WHERE state IN ('PENDING', 'SILENT');
CREATE INDEX ownership_request_named ON ownership_request (expire_time)
  WHERE kind = 'PULL' AND display_name <> '' AND state IN ('REFUSED', 'WITHDRAWN', 'EXPIRED');
CREATE INDEX ownership_request_creator ON ownership_request (creator);
CREATE INDEX ownership_request_from ON ownership_request (from_branch_id);
CREATE INDEX ownership_request_to ON ownership_request (to_branch_id);

CREATE TABLE request_approval (
  customer_id text COLLATE "C" NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  side text NOT NULL CONSTRAINT request_approval_side CHECK (side IN ('GIVER', 'TAKER')),
  branch_id text COLLATE "C" NOT NULL,
  level integer NOT NULL,
  desk_branch_id text COLLATE "C",
  upper_desk_branch_id text COLLATE "C",
  answer text NOT NULL DEFAULT 'WAITING'
    CONSTRAINT request_approval_answer CHECK (answer IN ('WAITING', 'APPROVED', 'REFUSED', 'VOID')),
  staff_id text COLLATE "C",
  on_behalf_of text COLLATE "C",
  reason text NOT NULL DEFAULT '',
  answer_time timestamptz,
  PRIMARY KEY (customer_id, request_id, side)
);
CREATE INDEX request_approval_request ON request_approval (request_id);
CREATE INDEX request_approval_desk ON request_approval (desk_branch_id) WHERE answer = 'WAITING';
CREATE INDEX request_approval_upper_desk ON request_approval (upper_desk_branch_id)
  WHERE answer = 'WAITING' AND upper_desk_branch_id IS NOT NULL;

CREATE TABLE request_transition (
  customer_id text COLLATE "C" NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  transition_id bigint GENERATED ALWAYS AS IDENTITY,
  event text NOT NULL,
  from_state text,
  to_state text NOT NULL,
  side text,
  actor text NOT NULL,
  reason text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, request_id, transition_id)
);

CREATE TABLE request_policy (
  version integer PRIMARY KEY,
  first_days integer NOT NULL CHECK (first_days BETWEEN 1 AND 250),
  further_days integer NOT NULL CHECK (further_days BETWEEN 1 AND 250),
  lock_months integer NOT NULL CHECK (lock_months BETWEEN 1 AND 120),
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);
INSERT INTO request_policy (version, first_days, further_days, lock_months, actor) VALUES (1, 5, 10, 12, 'migration');

CREATE TABLE delegation (
  delegation_id text COLLATE "C" PRIMARY KEY,
  head_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  delegate_id text COLLATE "C" NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  reason text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  end_time timestamptz,
  end_actor text COLLATE "C",
  CONSTRAINT delegation_dates CHECK (until_date >= from_date)
);
CREATE INDEX delegation_head ON delegation (head_id, from_date);
CREATE INDEX delegation_delegate ON delegation (delegate_id, from_date);
CREATE INDEX delegation_branch ON delegation (branch_id);

CREATE TABLE bank_holiday (
  day date PRIMARY KEY,
  is_working boolean NOT NULL,
  display_name text NOT NULL
)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
