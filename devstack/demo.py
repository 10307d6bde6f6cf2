"""The demo bank: a feed that looks like a regional bank's, the same for the same seed, written in whole columns."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from acrm.tables import FEED
from devstack import demo_contacts, demo_org
from devstack.demo_balances import make_balances
from devstack.demo_bookings import make_bookings, transactions_table
from devstack.demo_business import Business
from devstack.demo_cards import cards_table
from devstack.demo_holdings import draw_holdings, holdings_table
from devstack.demo_loans import draw_loans, loans_table
from devstack.demo_people import make_people
from devstack.demo_places import places_table
from devstack.demo_relations import relations_table
from devstack.demo_said import said_tables

BUSINESS_DATE = date(2026, 6, 30)
# Up to so many customers each has all of his transactions and contacts; of more, a part, so that a feed stays handy.
FULL_TRAFFIC_CUSTOMERS = 100_000
CUSTOMERS_MIN = 100


def generate(target: Path, *, customers: int, seed: int, password_hash: str, traffic: float | None = None) -> date:
    """Writes the demo bank's feed to `target` and returns its business date.

    `traffic` is the share of transactions per account, and of customers that were contacted; by default all for up to
    100,000 customers and the same total for more. Every login has the password of `password_hash`.
    """
    if customers < CUSTOMERS_MIN:
        raise ValueError(f"a demo bank has at least {CUSTOMERS_MIN} customers")
    share = min(1.0, FULL_TRAFFIC_CUSTOMERS / customers) if traffic is None else traffic
    target.mkdir(parents=True, exist_ok=True)
    org = demo_org.make_org(customers, seed, BUSINESS_DATE, password_hash)
    # Arrow works outside the interpreter's lock, so that a table is written while the next one is drawn.
    with ThreadPoolExecutor(max_workers=2) as pool:
        writes: list[Future[None]] = []

        def write(name: str, table: pa.Table) -> None:
            writes.append(pool.submit(_write, target, name, table))

        for name, listed in (("branches", org.branches), ("staff", org.staff), ("products", demo_org.products())):
            write(name, pa.Table.from_pylist(listed, schema=pa.schema([(c.name, c.type) for c in FEED[name].columns])))
        _draw(write, org, (customers, seed, share))
        for done in writes:
            done.result()
    (target / "feed.json").write_text(json.dumps({"business_date": BUSINESS_DATE.isoformat()}) + "\n")
    return BUSINESS_DATE


def _draw(write: Callable[[str, pa.Table], None], org: demo_org.Org, size: tuple[int, int, float]) -> None:
    """Draws the large tables, the slowest to write first."""
    customers, seed, share = size
    people = make_people(customers, seed, BUSINESS_DATE)
    business = Business(people, org, seed, BUSINESS_DATE)
    accounts = business.accounts()
    holdings = draw_holdings(business)
    booked = make_bookings(business, accounts, holdings, share)
    write("transactions", transactions_table(business, accounts, holdings, booked))
    balances = make_balances(business, accounts, booked, share)
    write("balances", balances.table)
    write("accounts", business.accounts_table(accounts, balances.ending, balances.unknown))
    write("contacts", demo_contacts.contacts_table(people, seed, BUSINESS_DATE, share))
    write("customers", people.customers)
    write("customer_locations", places_table(people, seed))
    write("holdings", holdings_table(business, holdings))
    loans = draw_loans(business)
    write("loans", loans_table(business, loans))
    write("cards", cards_table(business))
    write("relations", relations_table(business, loans))
    for name, table in said_tables(business):
        write(name, table)


def _write(target: Path, name: str, table: pa.Table) -> None:
    pq.write_table(table, target / f"{name}.parquet", compression="zstd", compression_level=1)
