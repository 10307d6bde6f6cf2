"""What is kept of whoever looked at contact data in clear, and of what persons ask: to see their data, to be erased."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.customer_svc.store.tables import METADATA

privacy_policies = Table(
    "privacy_policies",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("unmask_day_max", Integer, nullable=False),
)

unmaskings = Table(
    "unmaskings",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("staff_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("bank_date", Date, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("reason", Text),
    Column("create_time", DateTime(timezone=True), nullable=False),
)

# The file itself stands in `export_chunks`, under the same id.
personal_data_exports = Table(
    "personal_data_exports",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("export_id", Text, primary_key=True),
    Column("requester_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("finished", Boolean, nullable=False),
)

erasure_policies = Table(
    "erasure_policies",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("wait_days", Integer, nullable=False),
    Column("retention_years", Integer, nullable=False),
)

erasures = Table(
    "erasures",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("erasure_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("requester_id", Text, nullable=False),
    Column("decider_id", Text),
    Column("decision_reason", Text, nullable=False),
    # As it was carried out; before that it is decided anew whenever somebody looks.
    Column("verdicts", JSONB, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("execute_time", DateTime(timezone=True)),
    Column("erase_time", DateTime(timezone=True)),
)

# What of whom was erased, so that no import brings it back.
erased_customers = Table(
    "erased_customers",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("contact_data", Boolean, nullable=False),
    Column("records", Boolean, nullable=False),
    Column("erase_time", DateTime(timezone=True), nullable=False),
)

# Of numbers that must not be contacted only the keyed hashes are kept, not whose they were.
suppressed_numbers = Table(
    "suppressed_numbers",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("hash_key_id", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
)

# Customers who came with such a number; `told_time` is when campaign_svc learnt it.
suppressed_customers = Table(
    "suppressed_customers",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("told_time", DateTime(timezone=True)),
)
