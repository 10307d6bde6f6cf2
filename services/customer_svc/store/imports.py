"""The tables of the feed that customer_svc takes (docs/feed.md)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.bulk import BulkTable, RowError, default_upsert, unknown_references
from chassis.sql.business_day import business_day, set_business_day
from services.customer_svc.store import tables
from services.customer_svc.store.upserts import business_upsert, customers_upsert, figures_finish, figures_upsert


def _text(name: str, codes: str = "", *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=not required, metadata={b"codes": codes.encode()} if codes else None)


def _id(name: str) -> pa.Field:
    return _text(name, required=True)


def _day(name: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.date32(), nullable=not required)


def _amount(name: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.int64(), nullable=not required)


def _flag(name: str) -> pa.Field:
    return pa.field(name, pa.bool_(), nullable=False)


CUSTOMERS = pa.schema(
    [
        _id("customer_id"),
        _text("customer_type", "INDIVIDUAL,CORPORATE", required=True),
        _text("display_name"),
        _text("sex", "FEMALE,MALE"),
        _day("birth_date"),
        _text("id_type"),
        _text("id_number"),
        _day("id_expiry_date"),
        _text("mobile"),
        _text("occupation"),
        _text("residence_district"),
        _day("customer_since_date"),
        _text("state", "ACTIVE,DECEASED,FROZEN", required=True),
    ]
)
RELATIONS = pa.schema(
    [
        _id("customer_id"),
        _id("related_customer_id"),
        _text("kind", "disponent,guarantor,guardian,company_owner,household", required=True),
    ]
)
ACCOUNTS = pa.schema(
    [
        _id("account_id"),
        _id("customer_id"),
        _id("branch_id"),
        _text("kind", "DEMAND,TIME", required=True),
        _day("open_date", required=True),
        _day("close_date"),
        _day("maturity_date"),
        _amount("balance_minor"),
    ]
)
LOANS = pa.schema(
    [
        _id("loan_id"),
        _id("customer_id"),
        _id("branch_id"),
        _text("product"),
        _amount("principal_minor", required=True),
        _amount("outstanding_minor"),
        _flag("outstanding_estimated"),
        _day("disburse_date", required=True),
        _day("due_date"),
        _day("close_date"),
        _text("state", "LIVE,SETTLED,WRITTEN_OFF", required=True),
        _flag("in_arrears"),
        _text("officer_id"),
    ]
)
CARDS = pa.schema(
    [
        _id("card_id"),
        _id("customer_id"),
        _id("branch_id"),
        _text("product"),
        _amount("limit_minor"),
        _day("open_date", required=True),
        _day("close_date"),
        _text("manager_id"),
    ]
)
HOLDINGS = pa.schema(
    [_id("customer_id"), _id("branch_id"), _id("product_code"), _day("open_date", required=True), _day("close_date")]
)
FIGURES = pa.schema(
    [_id("customer_id"), _id("branch_id"), _amount("deposit_balance_minor"), _amount("deposit_average_minor")]
)


async def _known_customers(tx: AsyncConnection, staging: str) -> list[RowError]:
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


async def _keep_day(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Moves the business date before an older import, which may be waiting for the table, gets its turn."""
    del staging
    await set_business_day(tx, business_date)


async def _finish_figures(tx: AsyncConnection, staging: str, business_date: date) -> None:
    await figures_finish(tx, staging)
    await _keep_day(tx, staging, business_date)


def bulk_tables() -> Sequence[BulkTable]:
    """Every table that ImportRows takes here."""
    account_told, loan_told = ("customer_id", "branch_id"), ("customer_id", "close_date", "state")
    relation_key = ("customer_id", "related_customer_id", "kind")
    holding_key = ("customer_id", "branch_id", "product_code", "open_date")
    figure_key = ("customer_id", "branch_id")
    customers = customers_upsert(tables.customers, "customer_id", CUSTOMERS.names)
    relations = default_upsert(tables.relations, relation_key, RELATIONS.names)
    accounts = business_upsert(tables.accounts, "account_id", ACCOUNTS.names, account_told)
    loans = business_upsert(tables.loans, "loan_id", LOANS.names, loan_told)
    cards = default_upsert(tables.cards, ("card_id",), CARDS.names)
    holdings = default_upsert(tables.holdings, holding_key, HOLDINGS.names)
    figures = figures_upsert(FIGURES.names)
    taken = (
        BulkTable("customers", CUSTOMERS, ("customer_id",), customers),
        BulkTable("relations", RELATIONS, relation_key, relations, _known_people),
        BulkTable("accounts", ACCOUNTS, ("account_id",), accounts, _known_customers),
        BulkTable("loans", LOANS, ("loan_id",), loans, _known_customers),
        BulkTable("cards", CARDS, ("card_id",), cards, _known_customers),
        BulkTable("holdings", HOLDINGS, holding_key, holdings, _known_customers),
    )
    whole = BulkTable("customer_branch_figures", FIGURES, figure_key, figures, _known_customers, finish=_finish_figures)
    dated = (*(replace(table, finish=_keep_day) for table in taken), whole)
    return tuple(replace(table, start=_refuse_past) for table in dated)
