"""The tables of requests, approvals, delegations and working days, as SQLAlchemy Core sees them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)

from services.assignment_svc.store.columns import id_column, made_column, text_column, time_column
from services.assignment_svc.store.tables import metadata

# A pull that names nobody whom the bank knows has no customer: the empty id. `exclusive` is true of the one request
# that binds its customer; a merge takes it from what was the other's.
ownership_request = Table(
    "ownership_request",
    metadata,
    id_column("customer_id"),
    id_column("request_id"),
    text_column("kind"),
    text_column("state"),
    Column("exclusive", Boolean, nullable=False),
    text_column("display_name", default=""),
    text_column("masked_id_number", default=""),
    id_column("from_branch_id", nullable=True),
    id_column("from_manager_id", nullable=True),
    id_column("to_branch_id"),
    id_column("to_manager_id", nullable=True),
    id_column("loan_id", nullable=True),
    Column("end_date", Date),
    text_column("reason"),
    Column("level", Integer, nullable=False, server_default="0"),
    time_column("due_time"),
    time_column("expire_time"),
    id_column("creator"),
    made_column("create_time"),
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
    id_column("customer_id"),
    id_column("request_id"),
    text_column("side"),
    id_column("branch_id"),
    Column("level", Integer, nullable=False),
    id_column("desk_branch_id", nullable=True),
    id_column("upper_desk_branch_id", nullable=True),
    text_column("answer", default="WAITING"),
    id_column("staff_id", nullable=True),
    id_column("on_behalf_of", nullable=True),
    text_column("reason", default=""),
    time_column("answer_time", nullable=True),
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
    id_column("customer_id"),
    id_column("request_id"),
    Column("transition_id", BigInteger, Identity(always=True), nullable=False),
    text_column("event"),
    text_column("from_state", nullable=True),
    text_column("to_state"),
    text_column("side", nullable=True),
    text_column("actor"),
    text_column("reason"),
    made_column("create_time"),
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
    text_column("actor"),
    made_column("create_time"),
)

delegation = Table(
    "delegation",
    metadata,
    id_column("delegation_id"),
    id_column("head_id"),
    id_column("branch_id"),
    id_column("delegate_id"),
    Column("from_date", Date, nullable=False),
    Column("until_date", Date, nullable=False),
    text_column("reason"),
    made_column("create_time"),
    time_column("end_time", nullable=True),
    id_column("end_actor", nullable=True),
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
    text_column("display_name"),
)
