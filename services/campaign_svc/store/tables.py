"""The tables of campaign_svc. Seen by its own store only; the migrations say what they are made of to the letter."""

from sqlalchemy import Boolean, Column, Date, DateTime, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.sql.acting_managers import acting_managers_table
from chassis.sql.tables import chassis_tables, rev_column

metadata = MetaData()
chassis = chassis_tables(metadata)

products = Table(
    "products",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
)

# Range-partitioned by contact_time.
contacts = Table(
    "contacts",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("contact_time", DateTime(timezone=True), primary_key=True),
    Column("contact_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("message_class", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("product_id", Text),
    Column("campaign_id", Text),
    Column("outcome", Text),
    Column("actor", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
)

# The root of the feed of contact room: whatever changes of a customer's contacts, consents or opt-outs moves its rev.
contact_rooms = Table(
    "contact_rooms",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("gone", Boolean, nullable=False),
    rev_column(),
)
consents = Table(
    "consents",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("state_time", DateTime(timezone=True), nullable=False),
    Column("version", Text),
    Column("proof", Text),
)
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    Column("opt_out_time", DateTime(timezone=True), nullable=False),
)
# Never changed: a new version takes the place of the one before.
contact_policies = Table(
    "contact_policies",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("consent_required", Boolean, nullable=False),
    Column("caps", JSONB, nullable=False),
    rev_column(),
)

tasks = Table(
    "tasks",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("assignee_id", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("due_date", Date),
    Column("origin", Text),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("creator", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("complete_time", DateTime(timezone=True)),
)

# Followed of customer_svc.
customers = Table(
    "customers",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
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
