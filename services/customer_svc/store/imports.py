"""The tables of the feed that customer_svc takes (docs/feed.md)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.errors import Kind, Refused
from chassis.sql.bulk import BulkTable, RowError, default_upsert, unknown_references
from chassis.sql.business_day import business_day, set_business_day
from services.customer_svc.store import tables
from services.customer_svc.store.customer_imports import customers_table
from services.customer_svc.store.erased_imports import without_erased
from services.customer_svc.store.feed_columns import amount, day, flag, ident, number, text
from services.customer_svc.store.figure_imports import figure_tables
from services.customer_svc.store.merged_imports import with_merges
from services.customer_svc.store.tag_imports import tag_tables
from services.customer_svc.store.upserts import business_upsert

RELATIONS = pa.schema(
    [
        ident("customer_id"),
        ident("related_customer_id"),
        text("kind", "disponent,guarantor,guardian,company_owner,household", required=True),
    ]
)
ACCOUNTS = pa.schema(
    [
        ident("account_id"),
        ident("customer_id"),
        ident("branch_id"),
        text("kind", "DEMAND,TIME", required=True),
        day("open_date", required=True),
        day("close_date"),
        day("maturity_date"),
        amount("balance_minor"),
    ]
)
LOANS = pa.schema(
    [
        ident("loan_id"),
        ident("customer_id"),
        ident("branch_id"),
        text("product"),
        amount("principal_minor", required=True),
        amount("outstanding_minor"),
        flag("outstanding_estimated"),
        day("disburse_date", required=True),
        day("due_date"),
        day("close_date"),
        text("state", "LIVE,SETTLED,WRITTEN_OFF", required=True),
        flag("in_arrears"),
        text("officer_id"),
        flag("revolving"),
        text("collateral", "NONE,MORTGAGE,PLEDGE,GUARANTEE"),
        day("next_due_date"),
        amount("next_due_minor"),
        number("overdue_days"),
        amount("overdue_minor"),
        amount("interest_arrears_minor"),
        text("grade", "NORMAL,SPECIAL_MENTION,SUBSTANDARD,DOUBTFUL,LOSS"),
        day("grade_date"),
        day("last_overdue_date"),
    ]
)
CARDS = pa.schema(
    [
        ident("card_id"),
        ident("customer_id"),
        ident("branch_id"),
        text("product"),
        amount("limit_minor"),
        day("open_date", required=True),
        day("close_date"),
        text("manager_id"),
        amount("used_minor"),
        day("due_date"),
        amount("due_minor"),
        number("overdue_days"),
        amount("instalment_minor"),
        day("last_use_date"),
    ]
)
HOLDINGS = pa.schema(
    [
        ident("customer_id"),
        ident("branch_id"),
        ident("product_code"),
        day("open_date", required=True),
        day("close_date"),
        amount("amount_minor"),
        day("maturity_date"),
    ]
)
PRODUCTS = pa.schema([ident("product_id"), text("display_name", required=True), text("category", required=True)])


async def known_customers(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Finds the rows of customers whom nobody has imported."""
    return await unknown_references(tx, staging, "customer_id", "customers", "customer_id")


async def _known_people(tx: AsyncConnection, staging: str) -> list[RowError]:
    return [
        *await unknown_references(tx, staging, "customer_id", "customers", "customer_id"),
        *await unknown_references(tx, staging, "related_customer_id", "customers", "customer_id"),
    ]


async def _refuse_past(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Refuses to put older data over newer."""
    del staging
    last = await business_day(tx)
    if last is not None and business_date < last:
        message = f"rows of {last.isoformat()} are here already, those of {business_date.isoformat()} are older"
        given = {"last_business_date": last.isoformat()}
        raise Refused(Kind.PRECONDITION, "BUSINESS_DATE_PAST", message, given)


def _dated(table: BulkTable) -> BulkTable:
    """The same table, which refuses older data than there are."""

    async def finish(tx: AsyncConnection, staging: str, business_date: date) -> None:
        await table.finish(tx, staging, business_date)
        # Before an older import, which may be waiting for the table, gets its turn.
        await set_business_day(tx, business_date)

    return replace(table, start=_refuse_past, finish=finish)


def bulk_tables(keys: DataKeys) -> Sequence[BulkTable]:
    """Every table that ImportRows takes here; contact data are sealed with `keys`."""
    derived = (*figure_tables(known_customers), *tag_tables(known_customers))
    taken = (_product_table(), customers_table(keys), *_business_tables(), *derived)
    return tuple(_dated(without_erased(with_merges(table))) for table in taken)


def _product_table() -> BulkTable:
    key = ("product_id",)
    return BulkTable("products", PRODUCTS, key, default_upsert(tables.products, key, PRODUCTS.names))


def _business_tables() -> Sequence[BulkTable]:
    """What customers have, and how they belong together."""
    account_told, loan_told = ("customer_id", "branch_id"), ("customer_id", "close_date", "state")
    relation_key = ("customer_id", "related_customer_id", "kind")
    holding_key = ("customer_id", "branch_id", "product_code", "open_date")
    relations = default_upsert(tables.relations, relation_key, RELATIONS.names)
    accounts = business_upsert(tables.accounts, "account_id", ACCOUNTS.names, account_told)
    loans = business_upsert(tables.loans, "loan_id", LOANS.names, loan_told)
    cards = default_upsert(tables.cards, ("card_id",), CARDS.names)
    holdings = default_upsert(tables.holdings, holding_key, HOLDINGS.names)
    return (
        BulkTable("relations", RELATIONS, relation_key, relations, _known_people),
        BulkTable("accounts", ACCOUNTS, ("account_id",), accounts, known_customers),
        BulkTable("loans", LOANS, ("loan_id",), loans, known_customers),
        BulkTable("cards", CARDS, ("card_id",), cards, known_customers),
        BulkTable("holdings", HOLDINGS, holding_key, holdings, known_customers),
    )
