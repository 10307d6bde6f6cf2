"""The tables of `merging.py`, for services that have a part in merges: as migrations make them and as seen."""

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

MERGE_TABLES = (
    """
CREATE TABLE merged_customers (
  customer_id text COLLATE "C" PRIMARY KEY,
  survivor_id text COLLATE "C" NOT NULL,
  into_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
)""",
    "CREATE INDEX merged_customers_survivor ON merged_customers (survivor_id, customer_id)",
    """
CREATE TABLE merge_rows (
  customer_id text COLLATE "C" NOT NULL,
  merge_id text COLLATE "C" NOT NULL,
  label text NOT NULL,
  row_key jsonb NOT NULL,
  fate text NOT NULL CHECK (fate IN ('MOVED', 'JOINED', 'ENDED')),
  image jsonb,
  kept_image jsonb,
  united_image jsonb,
  PRIMARY KEY (customer_id, merge_id, label, row_key)
)""",
)


def merge_tables(metadata: MetaData) -> tuple[Table, Table]:
    """Adds the two tables to a service's metadata; its migration makes them by `MERGE_TABLES`."""
    merged_customers = Table(
        "merged_customers",
        metadata,
        Column("customer_id", Text(collation="C"), primary_key=True),
        Column("survivor_id", Text(collation="C"), nullable=False),
        Column("into_id", Text(collation="C"), nullable=False),
        Column("merge_id", Text(collation="C"), nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
        Index("merged_customers_survivor", "survivor_id", "customer_id"),
    )
    merge_rows = Table(
        "merge_rows",
        metadata,
        Column("customer_id", Text(collation="C"), primary_key=True),
        Column("merge_id", Text(collation="C"), primary_key=True),
        Column("label", Text, primary_key=True),
        Column("row_key", JSONB, primary_key=True),
        Column("fate", Text, nullable=False),
        Column("image", JSONB),
        Column("kept_image", JSONB),
        Column("united_image", JSONB),
    )
    return merged_customers, merge_rows
