"""The tables of manual changes, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.sql.tables import Xid8
from services.assignment_svc.store.tables import metadata

_KINDS = (
    "kind IN ('ASSIGN', 'UNASSIGN', 'CLAIM', 'RELEASE', 'TRANSFER', 'LOCK', 'UNLOCK', 'PROTECT', 'OFFICER_OVERRIDE',"
    " 'RECLAIM', 'BRANCH_CHANGE', 'UNDO')"
)

# Never holds a row: nights and manual changes keep one another out by locking it.
allocation_gate = Table(
    "allocation_gate",
    metadata,
    Column("only_row", SmallInteger, primary_key=True, autoincrement=False),
)

# How many customers manual changes may give a manager: the newest version counts.
capacity_policy = Table(
    "capacity_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("customers_max", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
)

# How long a claim protects, and how claims are listed and told: the newest version counts.
claim_policy = Table(
    "claim_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("protection_days", Integer, nullable=False),
    Column("undo_hours", Integer, nullable=False),
    Column("claimed_hours", Integer, nullable=False),
    Column("deposit_edges_minor", ARRAY(BigInteger), nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
)

# What refuses claims and pulls of a secondary row. The primary row's protection is a hold, which allocation heeds;
# one of these would be none of its business.
row_protection = Table(
    "row_protection",
    metadata,
    Column("customer_id", Text(collation="C"), nullable=False),
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("protection_id", Text(collation="C"), nullable=False),
    Column("from_date", Date, nullable=False),
    Column("until_date", Date, nullable=False),
    Column("last_contact_date", Date),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    PrimaryKeyConstraint("customer_id", "branch_id"),
)

# What people did, and in `before` all inputs of allocation as they were: an undo puts them back.
ownership_change = Table(
    "ownership_change",
    metadata,
    Column("customer_id", Text(collation="C"), nullable=False),
    Column("change_id", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("branch_id", Text(collation="C"), nullable=False),
    Column("from_manager_id", Text(collation="C")),
    Column("to_manager_id", Text(collation="C")),
    Column("from_branch_id", Text(collation="C")),
    Column("to_branch_id", Text(collation="C")),
    Column("request_id", Text(collation="C")),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    Column("rev_after", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    Column("undone_by", Text(collation="C")),
    Column("before", JSONB, nullable=False),
    PrimaryKeyConstraint("customer_id", "change_id"),
    CheckConstraint(_KINDS, name="ownership_change_kind"),
)
