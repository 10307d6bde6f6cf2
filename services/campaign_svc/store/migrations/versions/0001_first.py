"""Makes the first tables: products, the ledger of contacts by time, and what is followed of others."""

from alembic import op

from chassis.sql.schema import create_chassis

revision = "0001"
down_revision = None

# Older rows, of a first load, share one partition.
HISTORY = "2 years"

TABLES = """
CREATE TABLE products (
    product_id text PRIMARY KEY,
    display_name text NOT NULL,
    category text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT bank_now()
);
CREATE INDEX products_category ON products (category, product_id);
CREATE TABLE contacts (
    customer_id text NOT NULL,
    contact_time timestamptz NOT NULL,
    contact_id text NOT NULL,
    channel text NOT NULL,
    message_class text NOT NULL,
    state text NOT NULL,
    product_id text,
    campaign_id text,
    outcome text,
    actor text NOT NULL DEFAULT 'import',
    branch_id text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT bank_now(),
    PRIMARY KEY (customer_id, contact_time, contact_id)
) PARTITION BY RANGE (contact_time);
CREATE INDEX contacts_id ON contacts (contact_id);
CREATE TABLE customers (
    customer_id text PRIMARY KEY,
    generation integer NOT NULL
);
CREATE TABLE owners (
    customer_id text NOT NULL,
    branch_id text NOT NULL,
    side text NOT NULL CHECK (side IN ('PRIMARY', 'SECONDARY')),
    manager_id text,
    generation integer NOT NULL,
    PRIMARY KEY (customer_id, branch_id)
);
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
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table in ("contacts",):
        op.execute(
            f"SELECT add_month_partitions('{table}', (bank_now() - interval '{HISTORY}')::date,"
            " (bank_now() + interval '2 months')::date)"
        )
