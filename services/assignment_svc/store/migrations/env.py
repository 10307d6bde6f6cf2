"""Alembic's entry: the chassis runs it."""

from chassis.sql.migrations import run_env
from services.assignment_svc.store.tables_merges import metadata

run_env(metadata)
