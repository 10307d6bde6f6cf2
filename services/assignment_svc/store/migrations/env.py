"""Alembic's entry: the chassis runs it."""

from chassis.sql.migrations import run_env
from services.assignment_svc.store.schema import METADATA

run_env(METADATA)
