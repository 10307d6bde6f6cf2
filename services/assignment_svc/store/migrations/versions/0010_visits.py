"""Keeps visits and what is due of them."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE customer_locations (
  customer_id text COLLATE "C" PRIMARY KEY,
  latitude double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
  longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180)
);

CREATE TABLE visit (
  customer_id text COLLATE "C" NOT NULL,
  visit_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('VISIT', 'PHONE', 'LOBBY')),
  content text NOT NULL,
  attachments jsonb NOT NULL,
  latitude double precision,
  longitude double precision,
  accuracy_m double precision,
  distance_m double precision,
  distance_band text CHECK (distance_band IN ('NEAR', 'AROUND', 'OFF', 'FAR')),
  device_time timestamptz NOT NULL,
  visit_time timestamptz NOT NULL,
  visit_date date NOT NULL,
  captured_offline boolean NOT NULL,
  device_id text COLLATE "C",
  client_visit_id text COLLATE "C",
  sent_hash bytea,
  late boolean NOT NULL,
  state text NOT NULL CHECK (state IN ('VALID', 'WEAK', 'OUT_OF_RADIUS', 'LATE', 'SUSPICIOUS')),
  version integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  withdraw_time timestamptz,
  withdraw_reason text NOT NULL DEFAULT '',
  PRIMARY KEY (customer_id, visit_id)
);
CREATE INDEX visit_customer_date ON visit (customer_id, visit_date, visit_id);
CREATE INDEX visit_staff ON visit (staff_id, visit_date, visit_id);
CREATE INDEX visit_branch ON visit (branch_id, visit_date, visit_id);
CREATE INDEX visit_day ON visit (visit_date, visit_id);
CREATE INDEX visit_located ON visit (visit_date) WHERE latitude IS NOT NULL;
CREATE UNIQUE INDEX visit_client ON visit (staff_id, device_id, client_visit_id) WHERE device_id IS NOT NULL;

CREATE TABLE visit_version (
  customer_id text COLLATE "C" NOT NULL,
  visit_id text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  kind text NOT NULL,
  content text NOT NULL,
  attachments jsonb NOT NULL,
  end_time timestamptz NOT NULL DEFAULT bank_now(),
  end_reason text NOT NULL,
  PRIMARY KEY (customer_id, visit_id, version)
);

CREATE TABLE visit_policy (
  version integer PRIMARY KEY,
  from_date date NOT NULL,
  late_days integer NOT NULL,
  close_day integer NOT NULL,
  weak_accuracy_m integer NOT NULL,
  radius_m integer NOT NULL,
  speed_max_kmh integer NOT NULL,
  crowd_customers_min integer NOT NULL,
  crowd_radius_m integer NOT NULL,
  crowd_spread_m integer NOT NULL,
  clock_skew_seconds integer NOT NULL,
  kept_months integer NOT NULL,
  whole_until_day integer NOT NULL,
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);

CREATE TABLE visit_duty_line (
  version integer NOT NULL REFERENCES visit_policy ON DELETE CASCADE,
  customer_class text NOT NULL CHECK (customer_class IN ('LOAN', 'DEPOSIT', 'KEY')),
  balance_min_minor bigint NOT NULL,
  visits_per_month integer NOT NULL,
  phone_percent integer NOT NULL,
  lobby_percent integer NOT NULL,
  PRIMARY KEY (version, customer_class, balance_min_minor)
);
INSERT INTO visit_policy (version, from_date, late_days, close_day, weak_accuracy_m, radius_m, speed_max_kmh,
  crowd_customers_min, crowd_radius_m, crowd_spread_m, clock_skew_seconds, kept_months, whole_until_day, reason, actor)
VALUES (1, '1900-01-01', 3, 3, 200, 500, 150, 5, 20, 200, 300, 24, 15, 'the defaults', 'migration');
INSERT INTO visit_duty_line (version, customer_class, balance_min_minor, visits_per_month, phone_percent, lobby_percent)
VALUES (1, 'LOAN', 30000000, 1, 0, 0), (1, 'DEPOSIT', 50000000, 1, 50, 0), (1, 'DEPOSIT', 300000000, 2, 50, 0),
  (1, 'KEY', 0, 1, 50, 0);

CREATE TABLE visit_month (
  month_date date PRIMARY KEY,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);

CREATE TABLE visit_duty (
  customer_id text COLLATE "C" NOT NULL,
  month_date date NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  manager_id text COLLATE "C" NOT NULL,
  customer_class text NOT NULL,
  due_count integer NOT NULL,
  phone_percent integer NOT NULL,
  lobby_percent integer NOT NULL,
  entry_date date NOT NULL,
  PRIMARY KEY (customer_id, month_date)
);
CREATE INDEX visit_duty_branch ON visit_duty (month_date, branch_id, customer_id);
CREATE INDEX visit_duty_manager ON visit_duty (month_date, manager_id, customer_id)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
