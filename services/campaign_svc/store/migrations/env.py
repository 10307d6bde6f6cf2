"""Runs the migrations of campaign_svc's database."""

from chassis.sql.migrations import run_env
from services.campaign_svc.store.tables_merges import metadata

run_env(metadata)
