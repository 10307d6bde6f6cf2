"""The tables of private managers, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from services.assignment_svc.store.tables import metadata

# How many customers a private manager may have: the newest version counts.
private_manager_policy = Table(
    "private_manager_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("customers_max", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
)

# A key customer's private manager, part of his aggregate; the root's `rev` moves with it.
private_manager = Table(
    "private_manager",
    metadata,
    Column("customer_id", Text(collation="C"), nullable=False),
    Column("staff_id", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    PrimaryKeyConstraint("customer_id"),
    Index("private_manager_staff", "staff_id", "customer_id"),
)

# Private managers who are so no longer.
private_manager_period = Table(
    "private_manager_period",
    metadata,
    Column("customer_id", Text(collation="C"), nullable=False),
    Column("period_id", BigInteger, Identity(always=True), nullable=False),
    Column("staff_id", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False),
    Column("end_actor", Text, nullable=False),
    Column("end_reason", Text, nullable=False),
    PrimaryKeyConstraint("customer_id", "period_id"),
)
