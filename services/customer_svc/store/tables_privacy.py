"""What is kept of whoever looked at contact data in clear."""

from sqlalchemy import Boolean, Column, Date, DateTime, Integer, Table, Text

from services.customer_svc.store.tables import METADATA

privacy_policies = Table(
    "privacy_policies",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("unmask_day_max", Integer, nullable=False),
)

unmaskings = Table(
    "unmaskings",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("staff_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("bank_date", Date, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("reason", Text),
    Column("create_time", DateTime(timezone=True), nullable=False),
)
