"""Adds what the ten classes of conditions look at: the sources' further columns, and figures by customer and branch.

The sums of the whole bank stand on `customers`, so that a query of many conditions reads one table once.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The same sums over the whole bank, where their names begin with `total_`, and at one branch.
_FIGURES = {
    # Q3
    "deposit_balance_minor": "bigint",
    "deposit_average_minor": "bigint",
    "deposit_month_average_minor": "bigint",
    "deposit_quarter_average_minor": "bigint",
    "deposit_year_average_minor": "bigint",
    "deposit_month_start_minor": "bigint",
    "deposit_quarter_start_minor": "bigint",
    "deposit_year_start_minor": "bigint",
    "demand_balance_minor": "bigint",
    "time_balance_minor": "bigint",
    "time_maturity_date": "date",
    "wealth_minor": "bigint",
    "aum_minor": "bigint",
    "account_count": "integer",
    # Q4
    "loan_count": "integer",
    "loan_outstanding_minor": "bigint",
    "loan_line_minor": "bigint",
    "loan_unused_minor": "bigint",
    "loan_next_due_date": "date",
    "loan_due_date": "date",
    "loan_overdue_days": "integer",
    "loan_arrears_minor": "bigint",
    "loan_grade": "smallint",
    "loan_grade_date": "date",
    "loan_settled_date": "date",
    # Q5
    "card_count": "integer",
    "card_limit_minor": "bigint",
    "card_used_minor": "bigint",
    "card_due_date": "date",
    "card_overdue_days": "integer",
    "card_instalment_minor": "bigint",
    "card_last_use_date": "date",
    # Q6
    "holding_categories": "text[]",
    # Q7
    "inflow_30d_minor": "bigint",
    "outflow_30d_minor": "bigint",
    "inflow_90d_minor": "bigint",
    "outflow_90d_minor": "bigint",
    "largest_in_90d_minor": "bigint",
    "largest_out_90d_minor": "bigint",
    "other_bank_30d_count": "integer",
    "other_bank_30d_minor": "bigint",
    "other_bank_90d_count": "integer",
    "other_bank_90d_minor": "bigint",
    "closed_90d_count": "integer",
    "last_active_date": "date",
    "counter_90d_count": "integer",
    "atm_90d_count": "integer",
    "pos_90d_count": "integer",
    "mobile_90d_count": "integer",
    "online_90d_count": "integer",
}
# These have stood since the first version.
_FIRST = ("deposit_balance_minor", "deposit_average_minor")
# Q8, and what is kept here of tags and key marks for queries.
_VALUES = {
    "risk_rating": "smallint",
    "risk_rating_expiry_date": "date",
    "industry": "text",
    "tier": "smallint",
    "tier_gap_minor": "bigint",
    "contribution_minor": "bigint",
    "lifecycle": "text",
    "tag_codes": "text[] NOT NULL DEFAULT '{}'",
    "key_reason": "text",
    "key_until_date": "date",
}
_SOURCES = {
    "loans": {
        "revolving": "boolean NOT NULL DEFAULT false",
        "collateral": "text",
        "next_due_date": "date",
        "next_due_minor": "bigint",
        "overdue_days": "integer",
        "overdue_minor": "bigint",
        "interest_arrears_minor": "bigint",
        "grade": "text",
        "grade_date": "date",
        "last_overdue_date": "date",
    },
    "cards": {
        "used_minor": "bigint",
        "due_date": "date",
        "due_minor": "bigint",
        "overdue_days": "integer",
        "instalment_minor": "bigint",
        "last_use_date": "date",
    },
    "holdings": {"amount_minor": "bigint", "maturity_date": "date"},
    "owners": {"private_manager_id": "text"},
}
_TABLES = """
CREATE INDEX owners_private_manager ON owners (private_manager_id, customer_id) WHERE private_manager_id IS NOT NULL;

CREATE TABLE products (
  product_id text COLLATE "C" PRIMARY KEY,
  display_name text NOT NULL,
  category text NOT NULL
);

CREATE TABLE monthly_balances (
  customer_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  month_date date NOT NULL,
  end_minor bigint,
  average_minor bigint,
  PRIMARY KEY (customer_id, branch_id, month_date)
);

CREATE TABLE contact_rooms (
  customer_id text COLLATE "C" PRIMARY KEY,
  policy_version integer NOT NULL,
  last_contact_time timestamptz,
  last_campaign_id text,
  last_outcome text,
  last_refusal_time timestamptz,
  do_not_contact_until_time timestamptz,
  consent_keys text[] NOT NULL DEFAULT '{}',
  opt_out_keys text[] NOT NULL DEFAULT '{}',
  withdrawn_consent_keys text[] NOT NULL DEFAULT '{}',
  generation integer NOT NULL
);

CREATE TABLE contact_instants (
  customer_id text COLLATE "C" NOT NULL,
  channel text NOT NULL,
  contact_time timestamptz NOT NULL,
  ordinal integer NOT NULL,
  message_class text NOT NULL,
  category text,
  campaign_id text,
  other_person boolean NOT NULL,
  PRIMARY KEY (customer_id, channel, contact_time, ordinal)
);

CREATE TABLE contact_policies (
  version integer PRIMARY KEY,
  start_time timestamptz NOT NULL,
  consent_required boolean NOT NULL,
  caps jsonb NOT NULL,
  generation integer NOT NULL
)
"""


def upgrade() -> None:
    """Adds columns and tables; of a table that has rows nothing is rewritten."""
    for name in _FIRST:
        # No version with the old names was ever in use.
        op.execute(f"ALTER TABLE customers RENAME COLUMN {name.replace('deposit', 'total')} TO total_{name}")
    added_figures = {name: kind for name, kind in _FIGURES.items() if name not in _FIRST}
    wanted = {
        "customers": {f"total_{name}": kind for name, kind in added_figures.items()} | _VALUES,
        "customer_branch_figures": added_figures,
    }
    for table, columns in (wanted | _SOURCES).items():
        added = ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in columns.items())
        op.execute(f"ALTER TABLE {table} {added}")
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
