"""The service's tables, as SQLAlchemy Core sees them; the migrations create them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.sql.tables import Xid8, chassis_tables, rev_column
from services.assignment_svc.store.columns import (
    date_column,
    flag_column,
    id_column,
    made_column,
    minor_column,
    text_column,
)

metadata = MetaData()
chassis = chassis_tables(metadata)


def _feed_root() -> list[Column[Any]]:
    return [
        rev_column(),
        Column("gone", Boolean, nullable=False, server_default=text("false")),
        made_column("update_time"),
    ]


# `source` is what the feed told last: a column that people changed stays until the feed tells another value of it.
branch = Table(
    "branch",
    metadata,
    id_column("branch_id"),
    text_column("display_name"),
    id_column("parent_id", nullable=True),
    text_column("legal_entity", nullable=True),
    date_column("open_date", nullable=True),
    date_column("close_date", nullable=True),
    Column("source", JSONB),
    *_feed_root(),
    PrimaryKeyConstraint("branch_id"),
    Index("branch_rev", "rev", "branch_id"),
    Index("branch_parent", "parent_id", "branch_id"),
)

staff = Table(
    "staff",
    metadata,
    id_column("staff_id"),
    text_column("display_name"),
    id_column("branch_id"),
    Column("roles", ARRAY(Text), nullable=False),
    text_column("login", nullable=True),
    text_column("password_hash", nullable=True),
    date_column("active_from_date", nullable=True),
    date_column("active_until_date", nullable=True),
    id_column("successor_id", nullable=True),
    Column("source", JSONB),
    Column("password_once", Boolean, nullable=False, server_default=text("false")),
    *_feed_root(),
    PrimaryKeyConstraint("staff_id"),
    UniqueConstraint("login", deferrable=True, initially="DEFERRED"),
    Index("staff_rev", "rev", "staff_id"),
    Index("staff_branch", "branch_id", "staff_id"),
)

# A sign-in. `ended` keeps the row until its access tokens have expired, so that the org feed can spread it.
session = Table(
    "session",
    metadata,
    id_column("session_id"),
    id_column("staff_id"),
    Column("refresh_hash", LargeBinary, nullable=False),
    Column("used_hashes", ARRAY(LargeBinary), nullable=False),
    Column("access_expire_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    flag_column("ended"),
    Column("role_limit", ARRAY(Text)),
    made_column("create_time"),
    rev_column(),
    PrimaryKeyConstraint("session_id"),
    Index("session_ended", "rev", "session_id", postgresql_where=text("ended")),
    Index("session_expire_time", "expire_time"),
    Index("session_staff", "staff_id", postgresql_where=text("NOT ended")),
)

# `last_live_date` is NULL while anything is live: the source's column moves every night, which would rewrite all.
branch_facts = Table(
    "branch_facts",
    metadata,
    id_column("customer_id"),
    id_column("branch_id"),
    flag_column("loan_live"),
    id_column("loan_id", nullable=True),
    minor_column("loan_outstanding_minor"),
    date_column("loan_first_disburse_date", nullable=True),
    id_column("loan_officer_id", nullable=True),
    date_column("loan_end_date", nullable=True),
    flag_column("card_live"),
    id_column("card_id", nullable=True),
    minor_column("card_limit_minor"),
    date_column("card_first_open_date", nullable=True),
    id_column("card_manager_id", nullable=True),
    flag_column("deposit_live"),
    minor_column("deposit_sum_minor"),
    date_column("relation_since_date"),
    date_column("last_live_date", nullable=True),
    text_column("customer_state"),
    Column("rev", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    PrimaryKeyConstraint("customer_id", "branch_id"),
)

# Without a start it counts from the beginning; of those that have started, the one that did so last counts.
ownership_policy = Table(
    "ownership_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("grace_days", Integer, nullable=False),
    Column("run_off_days", Integer, nullable=False),
    Column("challenge_percent", Integer, nullable=False),
    Column("return_months", Integer, nullable=False),
    Column("protection_idle_days", Integer, nullable=False),
    Column("lead_days", Integer, nullable=False),
    text_column("actor"),
    made_column("create_time"),
    Column("state", Text, nullable=False, server_default="APPROVED"),
    date_column("start_date", nullable=True),
    Column("reason", Text, nullable=False, server_default=""),
    text_column("approver", nullable=True),
    Column("approve_time", DateTime(timezone=True)),
    text_column("withdrawer", nullable=True),
    Column("withdraw_time", DateTime(timezone=True)),
    Column("withdraw_reason", Text, nullable=False, server_default=""),
    CheckConstraint("state IN ('PROPOSED', 'APPROVED', 'WITHDRAWN')", name="ownership_policy_state_check"),
    CheckConstraint("approver <> actor", name="ownership_policy_four_eyes"),
)

# The aggregate root: an item of the feed is a customer with all his rows. `due_date` is when allocation must look
# again even if no fact changes; it is no part of the item.
ownership = Table(
    "ownership",
    metadata,
    id_column("customer_id"),
    text_column("state"),
    date_column("business_date"),
    date_column("due_date", nullable=True),
    date_column("former_date", nullable=True),
    *_feed_root(),
    PrimaryKeyConstraint("customer_id"),
    Index("ownership_rev", "rev", "customer_id"),
    Index("ownership_due_date", "due_date", "customer_id", postgresql_where=text("due_date IS NOT NULL")),
)


def _owner_columns() -> list[Column[Any]]:
    return [
        id_column("customer_id"),
        id_column("branch_id"),
        text_column("side"),
        text_column("rule"),
        id_column("manager_id", nullable=True),
        id_column("named_manager_id", nullable=True),
        id_column("basis", nullable=True),
        minor_column("amount_minor"),
        id_column("rival_branch_id", nullable=True),
        minor_column("rival_amount_minor"),
        flag_column("held_by_margin"),
        date_column("since_date"),
        date_column("from_date"),
        date_column("due_date", nullable=True),
        text_column("actor"),
        made_column("create_time"),
    ]


# Each row as it is now: also the last, open period of its history.
owner = Table(
    "owner",
    metadata,
    *_owner_columns(),
    PrimaryKeyConstraint("customer_id", "branch_id"),
    Index("owner_branch", "branch_id", "customer_id"),
    Index("owner_manager", "manager_id", "customer_id", postgresql_where=text("manager_id IS NOT NULL")),
)

# All of a row, in the order of its columns: what a period repeats.
OWNER_COLUMNS = ", ".join(owner.c.keys())

# Each row as it once was, on [from_date, until_date); empty if it was corrected the same day.
owner_period = Table(
    "owner_period",
    metadata,
    *_owner_columns(),
    date_column("until_date"),
    Column("period_id", BigInteger, Identity(always=True), nullable=False),
    PrimaryKeyConstraint("customer_id", "period_id"),
)

# Approved locks, pending transfers and protections. `rev` lets the next night look at their customers.
ownership_hold = Table(
    "ownership_hold",
    metadata,
    id_column("customer_id"),
    id_column("hold_id"),
    text_column("kind"),
    id_column("branch_id"),
    id_column("manager_id", nullable=True),
    date_column("from_date"),
    date_column("until_date", nullable=True),
    date_column("last_contact_date", nullable=True),
    text_column("reason"),
    rev_column(),
    made_column("create_time"),
    PrimaryKeyConstraint("customer_id", "hold_id"),
    Index("ownership_hold_rev", "rev"),
    CheckConstraint("kind IN ('LOCK', 'TRANSFER', 'PROTECTION')", name="ownership_hold_kind"),
)

officer_override = Table(
    "officer_override",
    metadata,
    id_column("customer_id"),
    id_column("loan_id"),
    id_column("source_officer_id", nullable=True),
    id_column("manager_id"),
    rev_column(),
    made_column("create_time"),
    PrimaryKeyConstraint("customer_id", "loan_id"),
    Index("officer_override_rev", "rev"),
)

# Where each staff member was active in the last allocation: those who `moved` since
# then have customers to look at.
staff_duty = Table(
    "staff_duty",
    metadata,
    id_column("staff_id"),
    id_column("branch_id", nullable=True),
    id_column("successor_id", nullable=True),
    id_column("successor_branch_id", nullable=True),
    flag_column("moved"),
    PrimaryKeyConstraint("staff_id"),
)

# How far the nights are. `facts_date` is unset while facts are being imported; changes whose rev is at least
# `seen_rev` may not have been seen by the last finished allocation.
allocation_day = Table(
    "allocation_day",
    metadata,
    Column("only_row", SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    date_column("facts_date", nullable=True),
    date_column("business_date", nullable=True),
    date_column("changes_date", nullable=True),
    Column("policy_version", Integer, nullable=False, server_default="0"),
    Column("seen_rev", Xid8(), nullable=False, server_default=text("'0'")),
)

# Whom the running allocation looks at.
allocation_candidate = Table(
    "allocation_candidate",
    metadata,
    id_column("customer_id"),
    PrimaryKeyConstraint("customer_id"),
    prefixes=["UNLOGGED"],
)
