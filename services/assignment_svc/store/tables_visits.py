"""The tables of visits and of what is due of them, as SQLAlchemy Core sees them; the migrations create them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.assignment_svc.store.columns import date_column, id_column, made_column, number_column, text_column
from services.assignment_svc.store.tables import metadata


def _measure(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, Double, nullable=nullable)


# Where customers live, of those of whom the source knows it.
customer_locations = Table(
    "customer_locations",
    metadata,
    id_column("customer_id"),
    _measure("latitude", nullable=False),
    _measure("longitude", nullable=False),
    PrimaryKeyConstraint("customer_id"),
)

# `visit_time` is when it was, as far as anybody knows, and never in the future; `late` does not change any more, while
# the state may. Place and distance are emptied after some months; the band stays.
visit = Table(
    "visit",
    metadata,
    id_column("customer_id"),
    id_column("visit_id"),
    id_column("staff_id"),
    id_column("branch_id"),
    text_column("kind"),
    text_column("content"),
    Column("attachments", JSONB, nullable=False),
    _measure("latitude"),
    _measure("longitude"),
    _measure("accuracy_m"),
    _measure("distance_m"),
    text_column("distance_band", nullable=True),
    Column("device_time", DateTime(timezone=True), nullable=False),
    Column("visit_time", DateTime(timezone=True), nullable=False),
    date_column("visit_date"),
    Column("captured_offline", Boolean, nullable=False),
    id_column("device_id", nullable=True),
    id_column("client_visit_id", nullable=True),
    Column("sent_hash", LargeBinary),
    Column("late", Boolean, nullable=False),
    text_column("state"),
    Column("version", Integer, nullable=False, server_default="1"),
    made_column("create_time"),
    made_column("update_time"),
    Column("withdraw_time", DateTime(timezone=True)),
    Column("withdraw_reason", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("customer_id", "visit_id"),
    Index("visit_customer_date", "customer_id", "visit_date", "visit_id"),
    Index("visit_staff", "staff_id", "visit_date", "visit_id"),
    Index("visit_branch", "branch_id", "visit_date", "visit_id"),
    Index("visit_day", "visit_date", "visit_id"),
    Index("visit_located", "visit_date", postgresql_where=text("latitude IS NOT NULL")),
    Index(
        "visit_client",
        "staff_id",
        "device_id",
        "client_visit_id",
        unique=True,
        postgresql_where=text("device_id IS NOT NULL"),
    ),
)

# What visits were before they were corrected.
visit_version = Table(
    "visit_version",
    metadata,
    id_column("customer_id"),
    id_column("visit_id"),
    number_column("version"),
    text_column("kind"),
    text_column("content"),
    Column("attachments", JSONB, nullable=False),
    made_column("end_time"),
    text_column("end_reason"),
    PrimaryKeyConstraint("customer_id", "visit_id", "version"),
)

# In force from `from_date` on until a version that starts later; of one day the newest counts.
visit_policy = Table(
    "visit_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    date_column("from_date"),
    *(
        number_column(name)
        for name in (
            "late_days",
            "close_day",
            "weak_accuracy_m",
            "radius_m",
            "speed_max_kmh",
            "crowd_customers_min",
            "crowd_radius_m",
            "crowd_spread_m",
            "clock_skew_seconds",
            "kept_months",
            "whole_until_day",
        )
    ),
    text_column("reason"),
    text_column("actor"),
    made_column("create_time"),
)

visit_duty_line = Table(
    "visit_duty_line",
    metadata,
    Column("version", Integer, ForeignKey("visit_policy.version", ondelete="CASCADE"), nullable=False),
    text_column("customer_class"),
    Column("balance_min_minor", BigInteger, nullable=False),
    number_column("visits_per_month"),
    number_column("phone_percent"),
    number_column("lobby_percent"),
    PrimaryKeyConstraint("version", "customer_class", "balance_min_minor"),
)

# The months that are over, whose duties are kept as they were at the end.
visit_month = Table("visit_month", metadata, Column("month_date", Date, primary_key=True), made_column("create_time"))

visit_duty = Table(
    "visit_duty",
    metadata,
    id_column("customer_id"),
    date_column("month_date"),
    id_column("branch_id"),
    id_column("manager_id"),
    text_column("customer_class"),
    number_column("due_count"),
    number_column("phone_percent"),
    number_column("lobby_percent"),
    date_column("entry_date"),
    PrimaryKeyConstraint("customer_id", "month_date"),
    Index("visit_duty_branch", "month_date", "branch_id", "customer_id"),
    Index("visit_duty_manager", "month_date", "manager_id", "customer_id"),
)
