"""The tables of customer_svc's database, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, MetaData, SmallInteger, Table, Text

from chassis.sql.tables import Xid8, chassis_tables

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
    Column("id_number", Text),
    Column("id_expiry_date", Date),
    Column("mobile", Text),
    Column("occupation", Text),
    Column("residence_district", Text),
    Column("customer_since_date", Date),
    Column("state", Text, nullable=False),
    Column("total_balance_minor", BigInteger),
    Column("total_average_minor", BigInteger),
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
)

holdings = Table(
    "holdings",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("product_code", Text, primary_key=True),
    Column("open_date", Date, primary_key=True),
    Column("close_date", Date),
)

customer_branch_figures = Table(
    "customer_branch_figures",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("deposit_balance_minor", BigInteger),
    Column("deposit_average_minor", BigInteger),
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

revoked_sessions = Table(
    "revoked_sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("generation", Integer, nullable=False),
)
