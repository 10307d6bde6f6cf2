"""The tables of notes, attachments and relations that staff tell of, as SQLAlchemy Core sees them."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, LargeBinary, Table, Text

from services.customer_svc.store.tables import METADATA

notes = Table(
    "notes",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("note_id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("delete_time", DateTime(timezone=True)),
)

attachments = Table(
    "attachments",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("attachment_id", Text, primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("uri", Text, nullable=False),
    Column("retained_until_date", Date),
    Column("description", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("delete_time", DateTime(timezone=True)),
)

# Beside `relations`, which are the feed's: no import touches these. One that ended stays.
manual_relations = Table(
    "manual_relations",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("relation_id", Text, primary_key=True),
    Column("related_customer_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("branch_id", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True)),
    Column("end_actor", Text, nullable=False),
    Column("end_reason", Text, nullable=False),
)
