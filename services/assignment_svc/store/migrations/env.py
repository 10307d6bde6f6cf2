"""Alembic's entry: the chassis runs it."""

from chassis.sql.migrations import run_env
from services.assignment_svc.store.tables_private_managers import metadata

run_env(metadata)
