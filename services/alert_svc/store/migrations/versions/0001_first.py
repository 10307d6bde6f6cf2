"""Makes the first tables: transactions and alerts by time, their rules, and what is followed of others."""

from alembic import op

from chassis.sql.schema import create_chassis

revision = "0001"
down_revision = None

# Older rows, of a first load, share one partition.
HISTORY = "2 years"
# domain.md 13: 50,000 yuan for both, in fen; domain.md 7: the day's sum from 1.5 times that.
RULES = """
INSERT INTO alert_rules (kind, customer_type, valid_from_date, threshold_minor, day_sum_percent)
SELECT kind, customer_type, DATE '1900-01-01', 5000000, 150
FROM unnest(ARRAY['LARGE_INFLOW', 'LARGE_OUTFLOW']) AS kind, unnest(ARRAY['INDIVIDUAL', 'CORPORATE']) AS customer_type
"""

TABLES = """
CREATE TABLE transaction_id_seen (transaction_id text PRIMARY KEY);
CREATE TABLE transactions (
    customer_id text NOT NULL,
    event_time timestamptz NOT NULL,
    transaction_id text NOT NULL,
    account_id text NOT NULL,
    branch_id text NOT NULL,
    business_date date NOT NULL,
    direction text NOT NULL CHECK (direction IN ('IN', 'OUT')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    operation text NOT NULL,
    counterparty_bank text NOT NULL,
    counterparty_account text NOT NULL,
    standing_order boolean NOT NULL,
    own_transfer boolean NOT NULL,
    reversed_transaction_id text NOT NULL,
    reversed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (customer_id, event_time, transaction_id)
) PARTITION BY RANGE (event_time);
CREATE INDEX transactions_id ON transactions (transaction_id);
CREATE TABLE reversals (
    reversed_transaction_id text NOT NULL,
    account_id text NOT NULL,
    PRIMARY KEY (reversed_transaction_id, account_id)
);
CREATE TABLE alert_rules (
    kind text NOT NULL,
    customer_type text NOT NULL,
    valid_from_date date NOT NULL,
    threshold_minor bigint NOT NULL CHECK (threshold_minor > 0),
    day_sum_percent integer NOT NULL CHECK (day_sum_percent >= 100),
    PRIMARY KEY (kind, customer_type, valid_from_date)
);
CREATE TABLE alerts (
    customer_id text NOT NULL,
    business_date date NOT NULL,
    kind text NOT NULL,
    branch_id text NOT NULL,
    alert_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('UNREAD', 'READ', 'HANDLED', 'WITHDRAWN')),
    transaction_count integer NOT NULL,
    sum_minor bigint NOT NULL,
    largest_minor bigint NOT NULL,
    threshold_minor bigint NOT NULL,
    event_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    rev xid8 NOT NULL,
    PRIMARY KEY (customer_id, business_date, kind, branch_id)
) PARTITION BY RANGE (business_date);
CREATE INDEX alerts_rev ON alerts (rev, alert_id);
CREATE INDEX alerts_id ON alerts (alert_id);
CREATE TABLE customers (
    customer_id text PRIMARY KEY,
    customer_type text NOT NULL,
    generation integer NOT NULL
);
CREATE TABLE accounts (
    customer_id text NOT NULL REFERENCES customers ON DELETE CASCADE,
    account_id text NOT NULL,
    branch_id text NOT NULL,
    PRIMARY KEY (customer_id, account_id)
);
CREATE INDEX accounts_account ON accounts (account_id);
CREATE TABLE owners (
    customer_id text NOT NULL,
    branch_id text NOT NULL,
    side text NOT NULL CHECK (side IN ('PRIMARY', 'SECONDARY')),
    manager_id text,
    generation integer NOT NULL,
    PRIMARY KEY (customer_id, branch_id)
);
CREATE INDEX owners_branch ON owners (branch_id, customer_id);
CREATE TABLE branches (
    branch_id text PRIMARY KEY,
    parent_id text,
    generation integer NOT NULL
);
CREATE TABLE revoked_sessions (
    session_id text PRIMARY KEY,
    expire_time timestamptz NOT NULL,
    generation integer NOT NULL
);
"""


def upgrade() -> None:
    create_chassis(op)
    for statement in [*TABLES.split(";\n"), RULES]:
        if statement.strip():
            op.execute(statement)
    for table in ("transactions", "alerts"):
        op.execute(
            f"SELECT add_month_partitions('{table}', (bank_now() - interval '{HISTORY}')::date,"
            " (bank_now() + interval '2 months')::date)"
        )
