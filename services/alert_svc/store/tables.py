"""The tables of alert_svc. Seen by its own store only; the migrations say what they are made of to the letter."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, MetaData, Table, Text

from chassis.sql.acting_managers import acting_managers_table
from chassis.sql.tables import Xid8, chassis_tables

metadata = MetaData()
chassis = chassis_tables(metadata)

# Ids outlive the partitions of `transactions`: a transaction counts once, whatever time a second one claims.
transaction_id_seen = Table("transaction_id_seen", metadata, Column("transaction_id", Text, primary_key=True))

# Range-partitioned by event_time.
transactions = Table(
    "transactions",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("event_time", DateTime(timezone=True), primary_key=True),
    Column("transaction_id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("direction", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("operation", Text, nullable=False),
    Column("counterparty_bank", Text, nullable=False),
    Column("counterparty_account", Text, nullable=False),
    Column("standing_order", Boolean, nullable=False),
    Column("own_transfer", Boolean, nullable=False),
    Column("reversed_transaction_id", Text, nullable=False),
    # Another transaction undid it; neither of the two counts.
    Column("reversed", Boolean, nullable=False),
)

# Reversals by what they undo on their own account: one may arrive before its original.
reversals = Table(
    "reversals",
    metadata,
    Column("reversed_transaction_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("customer_type", Text, primary_key=True),
    Column("valid_from_date", Date, primary_key=True),
    Column("threshold_minor", BigInteger, nullable=False),
    Column("day_sum_percent", Integer, nullable=False),
)

# Range-partitioned by business_date. `branch_id` is empty for the primary side, whoever that is when it is read.
alerts = Table(
    "alerts",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("business_date", Date, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("alert_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("transaction_count", Integer, nullable=False),
    Column("sum_minor", BigInteger, nullable=False),
    Column("largest_minor", BigInteger, nullable=False),
    Column("threshold_minor", BigInteger, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("rev", Xid8, nullable=False),
)

# Followed of customer_svc. A row of `customers` is what the work on one customer's day locks.
customers = Table(
    "customers",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("customer_type", Text, nullable=False),
    Column("generation", Integer, nullable=False),
)
accounts = Table(
    "accounts",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("branch_id", Text, nullable=False),
)

# Followed of assignment_svc.
owners = Table(
    "owners",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("branch_id", Text, primary_key=True),
    Column("side", Text, nullable=False),
    Column("manager_id", Text),
    Column("generation", Integer, nullable=False),
    Column("private_manager_id", Text),
)
branches = Table(
    "branches",
    metadata,
    Column("branch_id", Text, primary_key=True),
    Column("parent_id", Text),
    Column("generation", Integer, nullable=False),
)
acting_managers = acting_managers_table(metadata)
revoked_sessions = Table(
    "revoked_sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("generation", Integer, nullable=False),
)
