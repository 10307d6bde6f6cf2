"""The tables of mergers, closings and splits of branches, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Index, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from services.assignment_svc.store.tables import metadata

_COUNTS = ("customers", "united", "primary", "unassigned", "changed_rows", "staff")

branch_change = Table(
    "branch_change",
    metadata,
    Column("branch_change_id", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("target_id", Text(collation="C"), nullable=False),
    Column("manager_ids", ARRAY(Text), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="PLANNED"),
    Column("creator", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    Column("decider", Text, nullable=False, server_default=""),
    Column("decide_time", DateTime(timezone=True)),
    *(Column(f"{name}_count", BigInteger, nullable=False, server_default="0") for name in _COUNTS),
    PrimaryKeyConstraint("branch_change_id"),
    Index("branch_change_time", "create_time", "branch_change_id"),
)

# What the feed still tells of a branch that went counts for this one.
branch_alias = Table(
    "branch_alias",
    metadata,
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("target_id", Text(collation="C"), nullable=False),
    PrimaryKeyConstraint("branch_id"),
)

# And so does what it tells of a customer at a branch that was split.
customer_branch_alias = Table(
    "customer_branch_alias",
    metadata,
    Column("customer_id", Text(collation="C"), nullable=False),
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("target_id", Text(collation="C"), nullable=False),
    PrimaryKeyConstraint("customer_id", "branch_id"),
)
