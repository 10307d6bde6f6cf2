import pytest

from acrm.tables import DERIVED, FEED
from services.assignment_svc.store import imports as assignment
from services.campaign_svc.store import imports as campaign
from services.customer_svc.store import imports as customer


def taken():
    for tables in (campaign.TABLES, customer.bulk_tables(), assignment.bulk_tables()):
        yield from ((table.name, table) for table in tables)


def test_every_table_comes_after_those_that_it_refers_to():
    seen = []
    for table in FEED.values():
        seen.append(table.name)
        assert {column.reference for column in table.columns if column.reference} <= set(seen)


@pytest.mark.parametrize(("name", "table"), taken())
def test_the_services_take_exactly_the_tables_of_the_feed(name, table):
    ours = (FEED | DERIVED)[name]
    assert [(f.name, f.type) for f in table.schema] == [(f.name, f.type) for f in ours.schema]
    theirs = {field.name for field in table.schema if not field.nullable}
    assert theirs == {column.name for column in ours.columns if column.required}


def test_every_table_but_balances_and_transactions_is_taken():
    assert {name for name, _ in taken()} == set(FEED | DERIVED) - {"balances", "transactions"}
