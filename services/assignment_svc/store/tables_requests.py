"""The tables of requests, approvals, delegations and working days, as SQLAlchemy Core sees them."""

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
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from services.assignment_svc.store.tables_private_managers import metadata


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text(collation="C"), nullable=nullable)


def _text(name: str, *, default: str | None = None, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _time(name: str, *, now: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=text("bank_now()") if now else None)


# A pull that names nobody whom the bank knows has no customer: the empty id. `exclusive` is true of the one request
# that binds its customer; a merge takes it from what was the other's.
ownership_request = Table(
    "ownership_request",
    metadata,
    _id("customer_id"),
    _id("request_id"),
    _text("kind"),
    _text("state"),
    Column("exclusive", Boolean, nullable=False),
    _text("display_name", default=""),
    _text("masked_id_number", default=""),
    _id("from_branch_id", nullable=True),
    _id("from_manager_id", nullable=True),
    _id("to_branch_id"),
    _id("to_manager_id", nullable=True),
    _id("loan_id", nullable=True),
    Column("end_date", Date),
    _text("reason"),
    Column("level", Integer, nullable=False, server_default="0"),
    _time("due_time"),
    _time("expire_time"),
    _id("creator"),
    _time("create_time", now=True),
    PrimaryKeyConstraint("customer_id", "request_id"),
    CheckConstraint("kind IN ('PUSH', 'PULL', 'LOCK', 'UNLOCK', 'OFFICER', 'RECLAIM')", name="ownership_request_kind"),
    CheckConstraint(
        "state IN ('PENDING', 'SILENT', 'APPROVED', 'REFUSED', 'WITHDRAWN', 'EXPIRED')", name="ownership_request_state"
    ),
    CheckConstraint("NOT exclusive OR state = 'PENDING'", name="ownership_request_exclusive"),
    Index("ownership_request_id", "request_id", unique=True),
    Index("ownership_request_pending", "customer_id", unique=True, postgresql_where=text("exclusive")),
    Index("ownership_request_due", "due_time", "request_id", postgresql_where=text("state IN ('PENDING', 'SILENT')")),
    Index(
        "ownership_request_named",
        "expire_time",
        postgresql_where=text("kind = 'PULL' AND display_name <> '' AND state IN ('REFUSED', 'WITHDRAWN', 'EXPIRED')"),
    ),
    Index("ownership_request_creator", "creator"),
    Index("ownership_request_from", "from_branch_id"),
    Index("ownership_request_to", "to_branch_id"),
)

# The answers that a request needs, one for each side.
request_approval = Table(
    "request_approval",
    metadata,
    _id("customer_id"),
    _id("request_id"),
    _text("side"),
    _id("branch_id"),
    Column("level", Integer, nullable=False),
    _id("desk_branch_id", nullable=True),
    _id("upper_desk_branch_id", nullable=True),
    _text("answer", default="WAITING"),
    _id("staff_id", nullable=True),
    _id("on_behalf_of", nullable=True),
    _text("reason", default=""),
    _time("answer_time", nullable=True),
    PrimaryKeyConstraint("customer_id", "request_id", "side"),
    CheckConstraint("side IN ('GIVER', 'TAKER')", name="request_approval_side"),
    CheckConstraint("answer IN ('WAITING', 'APPROVED', 'REFUSED', 'VOID')", name="request_approval_answer"),
    Index("request_approval_request", "request_id"),
    Index("request_approval_desk", "desk_branch_id", postgresql_where=text("answer = 'WAITING'")),
    Index(
        "request_approval_upper_desk",
        "upper_desk_branch_id",
        postgresql_where=text("answer = 'WAITING' AND upper_desk_branch_id IS NOT NULL"),
    ),
)

# Who did what to a request, when and why; `side` is whose answer it was.
request_transition = Table(
    "request_transition",
    metadata,
    _id("customer_id"),
    _id("request_id"),
    Column("transition_id", BigInteger, Identity(always=True), nullable=False),
    _text("event"),
    _text("from_state", nullable=True),
    _text("to_state"),
    _text("side", nullable=True),
    _text("actor"),
    _text("reason"),
    _time("create_time", now=True),
    PrimaryKeyConstraint("customer_id", "request_id", "transition_id"),
)

# How long answers may take, in working days, and how long a lock may hold: the newest version counts.
request_policy = Table(
    "request_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("first_days", Integer, nullable=False),
    Column("further_days", Integer, nullable=False),
    Column("lock_months", Integer, nullable=False),
    _text("actor"),
    _time("create_time", now=True),
)

delegation = Table(
    "delegation",
    metadata,
    _id("delegation_id"),
    _id("head_id"),
    _id("branch_id"),
    _id("delegate_id"),
    Column("from_date", Date, nullable=False),
    Column("until_date", Date, nullable=False),
    _text("reason"),
    _time("create_time", now=True),
    _time("end_time", nullable=True),
    _id("end_actor", nullable=True),
    PrimaryKeyConstraint("delegation_id"),
    CheckConstraint("until_date >= from_date", name="delegation_dates"),
    Index("delegation_head", "head_id", "from_date"),
    Index("delegation_delegate", "delegate_id", "from_date"),
    Index("delegation_branch", "branch_id"),
)

# Days on which the bank works, or does not, against what their weekday says.
bank_holiday = Table(
    "bank_holiday",
    metadata,
    Column("day", Date, primary_key=True),
    Column("is_working", Boolean, nullable=False),
    _text("display_name"),
)
