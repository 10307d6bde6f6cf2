"""Runs customer_svc's migrations; `chassis.sql.migrations.migrate` starts it."""

from chassis.sql.migrations import run_env
from services.customer_svc.store import (
    tables_contacts,
    tables_groups,
    tables_merges,
    tables_notes,
    tables_privacy,
    tables_search,
    tables_tags,
)
from services.customer_svc.store.tables import METADATA

# Each of them adds its tables to METADATA when it is loaded.
PARTS = (tables_contacts, tables_groups, tables_merges, tables_notes, tables_privacy, tables_search, tables_tags)

run_env(METADATA)
