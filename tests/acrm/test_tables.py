from pathlib import Path

import pytest

from acrm.derived import DERIVED
from acrm.tables import FEED
from chassis.data_keys import DataKeys
from services.assignment_svc.store import imports as assignment
from services.campaign_svc.store import imports as campaign
from services.customer_svc.store import imports as customer

TAKEN = [*campaign.TABLES, *customer.bulk_tables(DataKeys(Path())), *assignment.bulk_tables()]


def test_every_table_comes_after_those_that_it_refers_to():
    seen = []
    for table in FEED.values():
        seen.append(table.name)
        assert {column.reference for column in table.columns if column.reference} <= set(seen)


@pytest.mark.parametrize("table", TAKEN, ids=[table.name for table in TAKEN])
def test_the_services_take_exactly_the_tables_of_the_feed(table):
    ours = (FEED | DERIVED)[table.name]
    assert [(f.name, f.type) for f in table.schema] == [(f.name, f.type) for f in ours.schema]
    # A service may lead its key with the customer; ours stays unique.
    assert set(ours.key) <= set(table.key)
    for field in table.schema:
        column = ours.column(field.name)
        assert field.nullable == (not column.required)
        codes = (field.metadata or {}).get(b"codes", b"").decode()
        assert set(codes.split(",")) - {""} <= set(column.codes)


def test_every_table_is_taken_but_those_of_the_batch_alone_and_transactions():
    assert {table.name for table in TAKEN} == set(FEED | DERIVED) - {"balances", "complaints", "transactions"}
