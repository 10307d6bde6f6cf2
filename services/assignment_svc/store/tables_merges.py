"""The tables by which two customers become one and two again, as SQLAlchemy Core sees them."""

from sqlalchemy import Column, DateTime, Table, Text, text

from chassis.sql.erased import erased_table
from chassis.sql.merge_tables import merge_tables
from services.assignment_svc.store.tables import metadata

merged_customers, merge_rows = merge_tables(metadata)

# Whose heads are to be told that a lock ended, since the survivor of a merge has an older one.
merge_notice = Table(
    "merge_notice",
    metadata,
    *(
        Column(name, Text(collation="C"), primary_key=True)
        for name in ("customer_id", "merge_id", "branch_id", "hold_id")
    ),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
)
erased_customers = erased_table(metadata)
