"""Runs customer_svc's migrations; `chassis.sql.migrations.migrate` starts it."""

from chassis.sql.migrations import run_env
from services.customer_svc.store.tables import METADATA

run_env(METADATA)
