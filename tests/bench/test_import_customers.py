"""The benchmark of imports runs to its end."""

from bench import import_customers


def test_new_and_unchanged_rows_are_measured():
    found = {each.name: each for each in import_customers.measure(rounds=1, customers=500)}
    whole = {"import_customers", "import_customers.unchanged"}
    parts = {f"import_customers.{part}" for part in ("encrypt", "hash", "seal", "csv", "copy", "upsert")}
    assert set(found) == whole | parts
    assert all(each.value > 0 for each in found.values())
    assert all(found[name].limit and found[name].ratio for name in whole)
