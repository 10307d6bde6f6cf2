"""The tables of changes of the organisation, as SQLAlchemy Core sees them; the migrations create them.

Their triggers keep `branch_period` and `org_change_entry`: whoever writes a branch or a staff member writes those too.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.assignment_svc.store.tables import metadata


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text(collation="C"), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def _made(name: str = "create_time") -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("bank_now()"))


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


# How a branch stood in the tree, on [from_date, until_date).
branch_period = Table(
    "branch_period",
    metadata,
    _id("branch_id"),
    Column("period_id", BigInteger, Identity(always=True), nullable=False),
    _day("from_date"),
    _day("until_date", nullable=True),
    _text("display_name"),
    _id("parent_id", nullable=True),
    _text("legal_entity", nullable=True),
    PrimaryKeyConstraint("branch_id", "period_id"),
    CheckConstraint("from_date <= until_date", name="branch_period_days"),
    Index("branch_period_open", "branch_id", unique=True, postgresql_where=text("until_date IS NULL")),
)

# A change of a branch or a staff member on a later day: columns and their values.
planned_org_change = Table(
    "planned_org_change",
    metadata,
    _id("plan_id"),
    _text("subject"),
    _id("subject_id"),
    Column("changes", JSONB, nullable=False),
    _day("effective_date"),
    Column("state", Text, nullable=False, server_default="PENDING"),
    _text("reason"),
    _text("actor"),
    _made(),
    _time("end_time"),
    _text("failure", nullable=True),
    PrimaryKeyConstraint("plan_id"),
    CheckConstraint("state IN ('PENDING', 'APPLIED', 'WITHDRAWN', 'FAILED')", name="planned_org_change_state"),
    CheckConstraint("subject IN ('BRANCH', 'STAFF')", name="planned_org_change_subject"),
    Index("planned_org_change_day", "effective_date", "plan_id"),
)

# The log. Rows are only added.
org_change_entry = Table(
    "org_change_entry",
    metadata,
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    _made(),
    _text("actor"),
    _text("method"),
    _text("request_id"),
    _text("reason"),
    _text("subject"),
    _id("subject_id"),
    _text("action"),
    Column("before", JSONB, nullable=False),
    Column("after", JSONB, nullable=False),
    Index("org_change_entry_subject", "subject_id", "entry_id"),
    Index("org_change_entry_actor", "actor", "entry_id"),
)

staff_leave = Table(
    "staff_leave",
    metadata,
    _id("leave_id"),
    _id("staff_id"),
    _id("branch_id"),
    _text("kind"),
    _day("from_date"),
    _day("until_date"),
    _id("substitute_id", nullable=True),
    _text("note"),
    Column("state", Text, nullable=False, server_default="REQUESTED"),
    _text("creator"),
    _made(),
    _text("decider", nullable=True),
    _time("decide_time"),
    _text("decide_reason", nullable=True),
    PrimaryKeyConstraint("leave_id"),
    CheckConstraint("from_date <= until_date", name="staff_leave_days"),
    CheckConstraint("state IN ('REQUESTED', 'APPROVED', 'CANCELLED')", name="staff_leave_state"),
    Index("staff_leave_staff", "staff_id", "from_date"),
    Index("staff_leave_branch", "branch_id", "from_date", "leave_id"),
)

# Which customers are staff, or near to staff.
staff_relation = Table(
    "staff_relation",
    metadata,
    _id("customer_id"),
    _id("staff_id"),
    _text("kind"),
    _text("actor"),
    _made("declare_time"),
    PrimaryKeyConstraint("customer_id", "staff_id"),
    Index("staff_relation_staff", "staff_id", "customer_id"),
)

oidc_mapping = Table(
    "oidc_mapping",
    metadata,
    _id("mapping_id"),
    _text("issuer"),
    _text("subject"),
    _id("staff_id"),
    _text("actor"),
    _made(),
    PrimaryKeyConstraint("mapping_id"),
    UniqueConstraint("issuer", "subject", name="oidc_mapping_subject"),
    UniqueConstraint("staff_id", "issuer", name="oidc_mapping_staff"),
)

# Id tokens that signed somebody in: a second time they are refused.
oidc_token = Table(
    "oidc_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("oidc_token_expire_time", "expire_time"),
)
