"""Creates the chassis' tables and those of customers, their business, and what is followed from assignment_svc."""

from alembic import op

from chassis.sql.schema import create_chassis

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Ids and names have collation "C": code-point order on every machine, and a prefix is a range of the index.
_TABLES = """
CREATE TABLE customers (
  customer_id text COLLATE "C" PRIMARY KEY,
  customer_type text NOT NULL,
  display_name text COLLATE "C",
  sex text,
  birth_date date,
  birth_month_day smallint GENERATED ALWAYS AS (
    (extract(month FROM birth_date) * 100 + extract(day FROM birth_date))::smallint
  ) STORED,
  id_type text,
  id_number text,
  id_expiry_date date,
  mobile text,
  occupation text,
  residence_district text,
  customer_since_date date,
  state text NOT NULL,
  total_balance_minor bigint,
  total_average_minor bigint,
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  gone boolean NOT NULL DEFAULT false,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id()
) WITH (fillfactor = 90);
CREATE INDEX customers_rev ON customers (rev, customer_id);
CREATE INDEX customers_display_name ON customers (display_name, customer_id);
CREATE INDEX customers_since ON customers (customer_since_date, customer_id);
CREATE INDEX customers_total_average ON customers (total_average_minor, customer_id);
CREATE INDEX customers_mobile ON customers (mobile);
CREATE INDEX customers_id_number ON customers (id_number);

CREATE TABLE relations (
  customer_id text COLLATE "C" NOT NULL,
  related_customer_id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  PRIMARY KEY (customer_id, related_customer_id, kind)
);

CREATE TABLE accounts (
  customer_id text COLLATE "C" NOT NULL,
  account_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  open_date date NOT NULL,
  close_date date,
  maturity_date date,
  balance_minor bigint,
  PRIMARY KEY (customer_id, account_id),
  CONSTRAINT accounts_account_id UNIQUE (account_id)
);
CREATE INDEX accounts_maturity ON accounts (maturity_date, customer_id, branch_id)
  WHERE maturity_date IS NOT NULL AND close_date IS NULL;

CREATE TABLE loans (
  customer_id text COLLATE "C" NOT NULL,
  loan_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  product text,
  principal_minor bigint NOT NULL,
  outstanding_minor bigint,
  outstanding_estimated boolean NOT NULL,
  disburse_date date NOT NULL,
  due_date date,
  close_date date,
  state text NOT NULL,
  in_arrears boolean NOT NULL,
  officer_id text,
  PRIMARY KEY (customer_id, loan_id),
  CONSTRAINT loans_loan_id UNIQUE (loan_id)
);

CREATE TABLE cards (
  customer_id text COLLATE "C" NOT NULL,
  card_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  product text,
  limit_minor bigint,
  open_date date NOT NULL,
  close_date date,
  manager_id text,
  PRIMARY KEY (customer_id, card_id),
  CONSTRAINT cards_card_id UNIQUE (card_id)
);

CREATE TABLE holdings (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  product_code text NOT NULL,
  open_date date NOT NULL,
  close_date date,
  PRIMARY KEY (customer_id, branch_id, product_code, open_date)
);

CREATE TABLE customer_branch_figures (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  deposit_balance_minor bigint,
  deposit_average_minor bigint,
  PRIMARY KEY (customer_id, branch_id)
);

CREATE TABLE owners (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  side text NOT NULL CHECK (side IN ('PRIMARY', 'SECONDARY')),
  manager_id text,
  since_date date,
  generation integer NOT NULL,
  PRIMARY KEY (customer_id, branch_id)
);
CREATE INDEX owners_branch ON owners (branch_id, customer_id) INCLUDE (side, manager_id);
CREATE INDEX owners_manager ON owners (manager_id, customer_id) WHERE manager_id IS NOT NULL;
CREATE UNIQUE INDEX owners_one_primary ON owners (customer_id) WHERE side = 'PRIMARY';

CREATE TABLE branches (
  branch_id text COLLATE "C" PRIMARY KEY,
  parent_id text COLLATE "C",
  display_name text NOT NULL,
  generation integer NOT NULL
);
CREATE INDEX branches_parent ON branches (parent_id);

CREATE TABLE staff (
  staff_id text COLLATE "C" PRIMARY KEY,
  branch_id text COLLATE "C" NOT NULL,
  display_name text NOT NULL,
  roles text NOT NULL,
  active_from_date date,
  active_until_date date,
  generation integer NOT NULL
);

CREATE TABLE revoked_sessions (
  session_id text PRIMARY KEY,
  expire_time timestamptz NOT NULL,
  generation integer NOT NULL
)
"""


def upgrade() -> None:
    """Creates everything."""
    create_chassis(op)
    # asyncpg takes one statement at a time.
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
