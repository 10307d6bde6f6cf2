"""What is derived for who was merged: the same as if sources had told the survivor's id all along."""

from datetime import date

DAY = date(2026, 6, 30)
MERGED = {"c1": "c0", "c3": "c0", "c5": "c4"}


def renamed(bank):
    """The same bank, told under the ids of survivors; of what both signed up for alike the survivor's own counts."""
    told = {name: [dict(row) for row in rows] for name, rows in bank.items()}
    told["customers"] = [row for row in told["customers"] if row["customer_id"] not in MERGED]
    for name, rows in told.items():
        if not rows or "customer_id" not in rows[0] or name == "customers":
            continue
        rows.sort(key=lambda row: (row["customer_id"] in MERGED, row["customer_id"]))
        for row in rows:
            row["customer_id"] = MERGED.get(row["customer_id"], row["customer_id"])
    key = ("customer_id", "branch_id", "product_code", "open_date")
    first = {tuple(row[column] for column in key): row for row in reversed(told["holdings"])}
    told["holdings"] = list(first.values())
    key = ("customer_id", "channel", "category")
    told["opt_outs"] = list({tuple(row[c] for c in key): row for row in reversed(told["opt_outs"])}.values())
    return told


def test_everything_is_derived_as_if_the_survivor_had_had_it_all_along(derive_rows, random_bank):
    bank = random_bank(1, DAY, 12)
    assert derive_rows(bank, DAY, merged=tuple(MERGED.items())) == derive_rows(renamed(bank), DAY)
