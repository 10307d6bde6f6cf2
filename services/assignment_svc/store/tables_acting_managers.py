"""The table of who covers whom, as SQLAlchemy Core sees it; the migrations create it."""

from sqlalchemy import Boolean, Column, Date, DateTime, Index, PrimaryKeyConstraint, Table, Text, text

from chassis.sql.tables import rev_column
from services.assignment_svc.store.tables import metadata

# An item of the org feed. `over` tells followers that it is past, so that nobody keeps it for ever.
acting_manager = Table(
    "acting_manager",
    metadata,
    Column("acting_manager_id", Text(collation="C"), nullable=False),
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("acting_id", Text(collation="C"), nullable=False),
    Column("covered_id", Text(collation="C"), nullable=False),
    Column("role", Text, nullable=False),
    Column("from_date", Date, nullable=False),
    Column("until_date", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    Column("end_time", DateTime(timezone=True)),
    Column("end_actor", Text, nullable=False, server_default=""),
    Column("end_reason", Text, nullable=False, server_default=""),
    Column("over", Boolean, nullable=False, server_default=text("false")),
    rev_column(),
    PrimaryKeyConstraint("acting_manager_id"),
    Index("acting_manager_rev", "rev", "acting_manager_id"),
    Index("acting_manager_branch", "branch_id", "from_date", "acting_manager_id"),
    Index("acting_manager_acting", "acting_id", postgresql_where=text("NOT over")),
    Index("acting_manager_covered", "covered_id", postgresql_where=text("NOT over")),
)
