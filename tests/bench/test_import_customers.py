"""The benchmark of imports runs to its end."""

from bench import import_customers


def test_new_and_unchanged_rows_are_measured():
    found = {each.name: each for each in import_customers.measure(rounds=1, customers=500)}
    assert set(found) == {"import_customers", "import_customers.unchanged"}
    assert all(each.value > 0 and each.limit and each.ratio for each in found.values())
