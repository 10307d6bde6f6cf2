"""The tables of duplicates and merges, as SQLAlchemy Core sees them."""

from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Integer, SmallInteger, Table, Text

from chassis.sql.merge_tables import merge_tables
from services.customer_svc.store.tables import METADATA

merged_customers, merge_rows = merge_tables(METADATA)

# A pair by the ids of both, the lower one first.
duplicates = Table(
    "duplicates",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("other_id", Text, primary_key=True),
    Column("duplicate_id", Text, nullable=False),
    Column("matches", ARRAY(Text), nullable=False),
    Column("score", SmallInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("dismiss_reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("find_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
)
duplicate_day = Table(
    "duplicate_day",
    METADATA,
    Column("only_row", SmallInteger, primary_key=True),
    # Of the customers that are here, and of those among whom pairs were looked for last.
    Column("customers_date", Date),
    Column("found_date", Date),
)

# `customer_id` is the survivor's.
merges = Table(
    "merges",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("merge_id", Text, primary_key=True),
    Column("merged_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposer_id", Text, nullable=False),
    Column("proposer_branch_id", Text, nullable=False),
    Column("proposer_leads", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("done_time", DateTime(timezone=True)),
)
merge_events = Table(
    "merge_events",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("merge_id", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("verb", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
)
merge_steps = Table(
    "merge_steps",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("merge_id", Text, primary_key=True),
    Column("undo", Boolean, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("done_time", DateTime(timezone=True), nullable=False),
)
