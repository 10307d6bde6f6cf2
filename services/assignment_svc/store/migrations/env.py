"""Alembic's entry: the chassis runs it."""

from chassis.sql.migrations import run_env
from services.assignment_svc.store import (
    tables_acting_managers,
    tables_branch_changes,
    tables_bulk_transfers,
    tables_manual_changes,
    tables_org_changes,
    tables_policies,
    tables_private_managers,
    tables_requests,
    tables_score_cards,
    tables_visits,
)

# Each adds its tables to the one metadata.
_TABLES = (
    tables_private_managers,
    tables_manual_changes,
    tables_org_changes,
    tables_policies,
    tables_acting_managers,
    tables_branch_changes,
    tables_bulk_transfers,
    tables_requests,
    tables_score_cards,
    tables_visits,
)

run_env(_TABLES[0].metadata)
