"""Runs the migrations of alert_svc's database."""

from chassis.sql.migrations import run_env
from services.alert_svc.store.tables_merges import metadata

run_env(metadata)
