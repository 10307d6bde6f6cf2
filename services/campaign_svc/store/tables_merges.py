"""The tables by which two customers become one and two again, as SQLAlchemy Core sees them."""

from chassis.sql.erased import erased_table
from chassis.sql.merge_tables import merge_tables
from services.campaign_svc.store.tables import metadata

merged_customers, merge_rows = merge_tables(metadata)
erased_customers = erased_table(metadata)
