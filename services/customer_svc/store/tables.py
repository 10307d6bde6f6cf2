"""The tables of customer_svc's database, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.sql.acting_managers import acting_managers_table
from chassis.sql.tables import Xid8, chassis_tables
from services.customer_svc.store.figure_columns import figure_columns

METADATA = MetaData()
CHASSIS = chassis_tables(METADATA)

customers = Table(
    "customers",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("customer_type", Text, nullable=False),
    Column("display_name", Text),
    Column("sex", Text),
    Column("birth_date", Date),
    Column("birth_month_day", SmallInteger),
    Column("id_type", Text),
    Column("id_number_hash", LargeBinary),
    Column("id_expiry_date", Date),
    Column("mobile_hash", LargeBinary),
    Column("occupation", Text),
    Column("residence_district", Text),
    Column("customer_since_date", Date),
    Column("state", Text, nullable=False),
    Column("risk_rating", SmallInteger),
    Column("risk_rating_expiry_date", Date),
    Column("industry", Text),
    *figure_columns("total_"),
    Column("tier", SmallInteger),
    Column("tier_gap_minor", BigInteger),
    Column("contribution_minor", BigInteger),
    Column("lifecycle", Text),
    Column("tag_codes", ARRAY(Text), nullable=False),
    Column("key_reason", Text),
    Column("key_until_date", Date),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("rev", Xid8(), nullable=False),
)

relations = Table(
    "relations",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("related_customer_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
)

accounts = Table(
    "accounts",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("branch_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("open_date", Date, nullable=False),
    Column("close_date", Date),
    Column("maturity_date", Date),
    Column("balance_minor", BigInteger),
)

loans = Table(
    "loans",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("loan_id", Text, primary_key=True),
    Column("branch_id", Text, nullable=False),
    Column("product", Text),
    Column("principal_minor", BigInteger, nullable=False),
    Column("outstanding_minor", BigInteger),
    Column("outstanding_estimated", Boolean, nullable=False),
    Column("disburse_date", Date, nullable=False),
    Column("due_date", Date),
    Column("close_date", Date),
    Column("state", Text, nullable=False),
    Column("in_arrears", Boolean, nullable=False),
    Column("officer_id", Text),
    Column("revolving", Boolean, nullable=False),
    Column("collateral", Text),
    Column("next_due_date", Date),
    Column("next_due_minor", BigInteger),
    Column("overdue_days", Integer),
    Column("overdue_minor", BigInteger),
    Column("interest_arrears_minor", BigInteger),
    Column("grade", Text),
    Column("grade_date", Date),
    Column("last_overdue_date", Date),
)

cards = Table(
    "cards",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("card_id", Text, primary_key=True),
    Column("branch_id", Text, nullable=False),
    Column("product", Text),
    Column("limit_minor", BigInteger),
    Column("open_date", Date, nullable=False),
    Column("close_date", Date),
    Column("manager_id", Text),
    Column("used_minor", BigInteger),
    Column("due_date", Date),
    Column("due_minor", BigInteger),
    Column("overdue_days", Integer),
    Column("instalment_minor", BigInteger),
    Column("last_use_date", Date),
)

holdings = Table(
    "holdings",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("product_code", Text, primary_key=True),
    Column("open_date", Date, primary_key=True),
    Column("close_date", Date),
    Column("amount_minor", BigInteger),
    Column("maturity_date", Date),
)

products = Table(
    "products",
    METADATA,
    Column("product_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("category", Text, nullable=False),
)

customer_branch_figures = Table(
    "customer_branch_figures",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    *figure_columns(),
)

monthly_balances = Table(
    "monthly_balances",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("month_date", Date, primary_key=True),
    Column("end_minor", BigInteger),
    Column("average_minor", BigInteger),
)

# Followed from assignment_svc; `generation` tells rows of an older start of the feed from those that it repeated.
owners = Table(
    "owners",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("side", Text, nullable=False),
    Column("manager_id", Text),
    Column("since_date", Date),
    Column("generation", Integer, nullable=False),
    Column("private_manager_id", Text),
)

# Followed from campaign_svc: what is needed to say how much room a customer has left for contacts.
contact_rooms = Table(
    "contact_rooms",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("policy_version", Integer, nullable=False),
    Column("last_contact_time", DateTime(timezone=True)),
    Column("last_campaign_id", Text),
    Column("last_outcome", Text),
    Column("last_refusal_time", DateTime(timezone=True)),
    Column("do_not_contact_until_time", DateTime(timezone=True)),
    Column("consent_keys", ARRAY(Text), nullable=False),
    Column("opt_out_keys", ARRAY(Text), nullable=False),
    Column("withdrawn_consent_keys", ARRAY(Text), nullable=False),
    Column("generation", Integer, nullable=False),
)

contact_instants = Table(
    "contact_instants",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("contact_time", DateTime(timezone=True), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("message_class", Text, nullable=False),
    Column("category", Text),
    Column("campaign_id", Text),
    Column("other_person", Boolean, nullable=False),
)

contact_policies = Table(
    "contact_policies",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("consent_required", Boolean, nullable=False),
    Column("caps", JSONB, nullable=False),
    Column("generation", Integer, nullable=False),
)

branches = Table(
    "branches",
    METADATA,
    Column("branch_id", Text, primary_key=True),
    Column("parent_id", Text),
    Column("display_name", Text, nullable=False),
    Column("generation", Integer, nullable=False),
)

staff = Table(
    "staff",
    METADATA,
    Column("staff_id", Text, primary_key=True),
    Column("branch_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("active_from_date", Date),
    Column("active_until_date", Date),
    Column("generation", Integer, nullable=False),
)

acting_managers = acting_managers_table(METADATA)
revoked_sessions = Table(
    "revoked_sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("generation", Integer, nullable=False),
)
