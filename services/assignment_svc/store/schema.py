"""Every table of the service: whoever looks at all of them looks here."""

from services.assignment_svc.store import (
    tables_acting_managers,
    tables_branch_changes,
    tables_bulk_transfers,
    tables_manual_changes,
    tables_merges,
    tables_org_changes,
    tables_policies,
    tables_private_managers,
    tables_requests,
    tables_score_cards,
    tables_visits,
)
from services.assignment_svc.store.tables import metadata

# Each of them adds its tables to the one metadata when it is loaded.
PARTS = (
    tables_acting_managers,
    tables_branch_changes,
    tables_bulk_transfers,
    tables_manual_changes,
    tables_merges,
    tables_org_changes,
    tables_policies,
    tables_private_managers,
    tables_requests,
    tables_score_cards,
    tables_visits,
)
METADATA = metadata
