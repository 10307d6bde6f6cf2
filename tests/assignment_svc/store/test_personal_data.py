"""That nothing of a person is forgotten here: in what he is shown, and in what is erased."""

from services.assignment_svc.store.personal_data import TABLES
from services.assignment_svc.store.schema import METADATA

NAMING = {"customer_id", "survivor_id"}


def test_every_table_of_customers_is_told_or_left_out_and_kept_or_erased_on_purpose() -> None:
    personal = {table.name for table in METADATA.tables.values() if "customer_id" in table.columns}
    assert personal - {"audit"} == {plan.name for plan in TABLES}
    for plan in TABLES:
        assert NAMING & set(METADATA.tables[plan.name].columns.keys()) == set(plan.owners), plan.name
