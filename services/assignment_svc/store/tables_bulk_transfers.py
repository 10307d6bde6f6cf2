"""The tables of transfers by file, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import Column, DateTime, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from services.assignment_svc.store.tables import metadata

bulk_transfer = Table(
    "bulk_transfer",
    metadata,
    Column("bulk_transfer_id", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("creator", Text(collation="C"), nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    PrimaryKeyConstraint("bulk_transfer_id"),
    Index("bulk_transfer_creator", "creator", "create_time"),
)

# Which request a line became; the request knows its customer.
bulk_transfer_line = Table(
    "bulk_transfer_line",
    metadata,
    Column("bulk_transfer_id", Text(collation="C"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("request_id", Text(collation="C"), nullable=False),
    PrimaryKeyConstraint("bulk_transfer_id", "line"),
)
