"""The tables of changes of the organisation, as SQLAlchemy Core sees them; the migrations create them.

Their triggers keep `branch_period` and `org_change_entry`: whoever writes a branch or a staff member writes those too.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
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

from services.assignment_svc.store.columns import date_column, id_column, made_column, text_column, time_column
from services.assignment_svc.store.tables import metadata

# How a branch stood in the tree, on [from_date, until_date).
branch_period = Table(
    "branch_period",
    metadata,
    id_column("branch_id"),
    Column("period_id", BigInteger, Identity(always=True), nullable=False),
    date_column("from_date"),
    date_column("until_date", nullable=True),
    text_column("display_name"),
    id_column("parent_id", nullable=True),
    text_column("legal_entity", nullable=True),
    PrimaryKeyConstraint("branch_id", "period_id"),
    CheckConstraint("from_date <= until_date", name="branch_period_days"),
    Index("branch_period_open", "branch_id", unique=True, postgresql_where=text("until_date IS NULL")),
)

# A change of a branch or a staff member on a later day: columns and their values.
planned_org_change = Table(
    "planned_org_change",
    metadata,
    id_column("plan_id"),
    text_column("subject"),
    id_column("subject_id"),
    Column("changes", JSONB, nullable=False),
    date_column("effective_date"),
    Column("state", Text, nullable=False, server_default="PENDING"),
    text_column("reason"),
    text_column("actor"),
    made_column(),
    time_column("end_time", nullable=True),
    text_column("failure", nullable=True),
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
    made_column(),
    text_column("actor"),
    text_column("method"),
    text_column("request_id"),
    text_column("reason"),
    text_column("subject"),
    id_column("subject_id"),
    text_column("action"),
    Column("before", JSONB, nullable=False),
    Column("after", JSONB, nullable=False),
    Index("org_change_entry_subject", "subject_id", "entry_id"),
    Index("org_change_entry_actor", "actor", "entry_id"),
)

staff_leave = Table(
    "staff_leave",
    metadata,
    id_column("leave_id"),
    id_column("staff_id"),
    id_column("branch_id"),
    text_column("kind"),
    date_column("from_date"),
    date_column("until_date"),
    id_column("substitute_id", nullable=True),
    text_column("note"),
    Column("state", Text, nullable=False, server_default="REQUESTED"),
    text_column("creator"),
    made_column(),
    text_column("decider", nullable=True),
    time_column("decide_time", nullable=True),
    text_column("decide_reason", nullable=True),
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
    id_column("customer_id"),
    id_column("staff_id"),
    text_column("kind"),
    text_column("actor"),
    made_column("declare_time"),
    PrimaryKeyConstraint("customer_id", "staff_id"),
    Index("staff_relation_staff", "staff_id", "customer_id"),
)

oidc_mapping = Table(
    "oidc_mapping",
    metadata,
    id_column("mapping_id"),
    text_column("issuer"),
    text_column("subject"),
    id_column("staff_id"),
    text_column("actor"),
    made_column(),
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
