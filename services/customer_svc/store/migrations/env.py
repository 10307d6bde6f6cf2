"""Runs customer_svc's migrations; `chassis.sql.migrations.migrate` starts it."""

import services.customer_svc.store.tables_contacts
import services.customer_svc.store.tables_groups
import services.customer_svc.store.tables_merges
import services.customer_svc.store.tables_notes
import services.customer_svc.store.tables_privacy
import services.customer_svc.store.tables_search
import services.customer_svc.store.tables_tags  # noqa: F401 -- adds its tables to METADATA
from chassis.sql.migrations import run_env
from services.customer_svc.store.tables import METADATA

run_env(METADATA)
