"""The service's tables, as SQLAlchemy Core sees them; the migrations create them.

Ids compare by their bytes (COLLATE "C"): as Python compares them, and three times as fast as by a language.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
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

metadata = MetaData()
chassis = chassis_tables(metadata)


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text(collation="C"), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _minor(name: str) -> Column[Any]:
    return Column(name, BigInteger)


def _date(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("bank_now()"))


def _feed_root() -> list[Column[Any]]:
    return [
        rev_column(),
        Column("gone", Boolean, nullable=False, server_default=text("false")),
        _time("update_time"),
    ]


# `source` is what the feed told last: a column that people changed stays until the feed tells another value of it.
branch = Table(
    "branch",
    metadata,
    _id("branch_id"),
    _text("display_name"),
    _id("parent_id", nullable=True),
    _text("legal_entity", nullable=True),
    _date("open_date"),
    _date("close_date"),
    Column("source", JSONB),
    *_feed_root(),
    PrimaryKeyConstraint("branch_id"),
    Index("branch_rev", "rev", "branch_id"),
    Index("branch_parent", "parent_id", "branch_id"),
)

staff = Table(
    "staff",
    metadata,
    _id("staff_id"),
    _text("display_name"),
    _id("branch_id"),
    Column("roles", ARRAY(Text), nullable=False),
    _text("login", nullable=True),
    _text("password_hash", nullable=True),
    _date("active_from_date"),
    _date("active_until_date"),
    _id("successor_id", nullable=True),
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
    _id("session_id"),
    _id("staff_id"),
    Column("refresh_hash", LargeBinary, nullable=False),
    Column("used_hashes", ARRAY(LargeBinary), nullable=False),
    Column("access_expire_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    _flag("ended"),
    Column("role_limit", ARRAY(Text)),
    _time("create_time"),
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
    _id("customer_id"),
    _id("branch_id"),
    _flag("loan_live"),
    _id("loan_id", nullable=True),
    _minor("loan_outstanding_minor"),
    _date("loan_first_disburse_date"),
    _id("loan_officer_id", nullable=True),
    _date("loan_end_date"),
    _flag("card_live"),
    _id("card_id", nullable=True),
    _minor("card_limit_minor"),
    _date("card_first_open_date"),
    _id("card_manager_id", nullable=True),
    _flag("deposit_live"),
    _minor("deposit_sum_minor"),
    _date("relation_since_date", nullable=False),
    _date("last_live_date"),
    _text("customer_state"),
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
    _text("actor"),
    _time("create_time"),
    Column("state", Text, nullable=False, server_default="APPROVED"),
    _date("start_date"),
    Column("reason", Text, nullable=False, server_default=""),
    _text("approver", nullable=True),
    Column("approve_time", DateTime(timezone=True)),
    _text("withdrawer", nullable=True),
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
    _id("customer_id"),
    _text("state"),
    _date("business_date", nullable=False),
    _date("due_date"),
    _date("former_date"),
    *_feed_root(),
    PrimaryKeyConstraint("customer_id"),
    Index("ownership_rev", "rev", "customer_id"),
    Index("ownership_due_date", "due_date", "customer_id", postgresql_where=text("due_date IS NOT NULL")),
)


def _owner_columns() -> list[Column[Any]]:
    return [
        _id("customer_id"),
        _id("branch_id"),
        _text("side"),
        _text("rule"),
        _id("manager_id", nullable=True),
        _id("named_manager_id", nullable=True),
        _id("basis", nullable=True),
        _minor("amount_minor"),
        _id("rival_branch_id", nullable=True),
        _minor("rival_amount_minor"),
        _flag("held_by_margin"),
        _date("since_date", nullable=False),
        _date("from_date", nullable=False),
        _date("due_date"),
        _text("actor"),
        _time("create_time"),
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

# Each row as it once was, on [from_date, until_date); empty if it was corrected the same day.
owner_period = Table(
    "owner_period",
    metadata,
    *_owner_columns(),
    _date("until_date", nullable=False),
    Column("period_id", BigInteger, Identity(always=True), nullable=False),
    PrimaryKeyConstraint("customer_id", "period_id"),
)

# Approved locks, pending transfers and protections. `rev` lets the next night look at their customers.
ownership_hold = Table(
    "ownership_hold",
    metadata,
    _id("customer_id"),
    _id("hold_id"),
    _text("kind"),
    _id("branch_id"),
    _id("manager_id", nullable=True),
    _date("from_date", nullable=False),
    _date("until_date"),
    _date("last_contact_date"),
    _text("reason"),
    rev_column(),
    _time("create_time"),
    PrimaryKeyConstraint("customer_id", "hold_id"),
    Index("ownership_hold_rev", "rev"),
    CheckConstraint("kind IN ('LOCK', 'TRANSFER', 'PROTECTION')", name="ownership_hold_kind"),
)

officer_override = Table(
    "officer_override",
    metadata,
    _id("customer_id"),
    _id("loan_id"),
    _id("source_officer_id", nullable=True),
    _id("manager_id"),
    rev_column(),
    _time("create_time"),
    PrimaryKeyConstraint("customer_id", "loan_id"),
    Index("officer_override_rev", "rev"),
)

# Where each staff member was active in the last allocation: those who `moved` since
# then have customers to look at.
staff_duty = Table(
    "staff_duty",
    metadata,
    _id("staff_id"),
    _id("branch_id", nullable=True),
    _id("successor_id", nullable=True),
    _id("successor_branch_id", nullable=True),
    _flag("moved"),
    PrimaryKeyConstraint("staff_id"),
)

# How far the nights are. `facts_date` is unset while facts are being imported; changes whose rev is at least
# `seen_rev` may not have been seen by the last finished allocation.
allocation_day = Table(
    "allocation_day",
    metadata,
    Column("only_row", SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    _date("facts_date"),
    _date("business_date"),
    _date("changes_date"),
    Column("policy_version", Integer, nullable=False, server_default="0"),
    Column("seen_rev", Xid8(), nullable=False, server_default=text("'0'")),
)

# Whom the running allocation looks at.
allocation_candidate = Table(
    "allocation_candidate",
    metadata,
    _id("customer_id"),
    PrimaryKeyConstraint("customer_id"),
    prefixes=["UNLOGGED"],
)
