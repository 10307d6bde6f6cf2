"""What sources still tell of customers who were merged: their rows are the survivor's, but for who they were."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable
from chassis.sql.merged_rows import mapped
from services.customer_svc.store import duplicates
from services.customer_svc.store.merged_tables import FIGURES_AS_TOLD, MONTHS

_OWNED = frozenset({"accounts", "loans", "cards", "holdings"})
# The nightly batch unites these itself; a merge may have come between.
_COMPUTED: Mapping[str, Mapping[str, str]] = {
    "monthly_balances": MONTHS,
    "customer_branch_figures": FIGURES_AS_TOLD,
    "customer_figures": FIGURES_AS_TOLD,
    "customer_tags": {},
    "key_tests": {
        "asset_average_minor": "o.asset_average_minor + t.asset_average_minor",
        "loan_outstanding_minor": "o.loan_outstanding_minor + t.loan_outstanding_minor",
        "loan_overdue": "o.loan_overdue OR t.loan_overdue",
        "loan_clean": "o.loan_clean AND t.loan_clean",
    },
}


def with_merges(table: BulkTable) -> BulkTable:
    """The same table, which gives the survivor of a merge what is told under the old id.

    The row of a merged customer himself stays his: who he was is kept up to date for the day when he comes back.
    """
    if table.name == "customers":
        return _searched(table)
    if table.name == "relations":
        return mapped(table, owners=("customer_id", "related_customer_id"), keeps_source=True)
    if table.name in _OWNED:
        return mapped(table, keeps_source=True)
    combine = _COMPUTED.get(table.name)
    return table if combine is None else mapped(table, combine=combine)


def _searched(table: BulkTable) -> BulkTable:
    """The table of customers, among whom duplicates are looked for once they are all there."""

    async def finish(tx: AsyncConnection, staging: str, business_date: date) -> None:
        await table.finish(tx, staging, business_date)
        await duplicates.set_customers_date(tx, business_date)

    return replace(table, finish=finish)
