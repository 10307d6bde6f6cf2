from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chassis import clock
from chassis.data_keys import DataKeys, KeyPurpose, make_data_key, make_missing_data_keys
from chassis.errors import Refused
from services.customer_svc.store.contact_data import reveal
from services.customer_svc.store.tables import METADATA

MOBILE, ID_NUMBER = "13812345678", "110101199001011234"
WANG = {"customer_id": "c1", "display_name": "王一", "mobile": MOBILE, "id_number": ID_NUMBER}
NOBODY = {"customer_id": "c2"}


async def contacts(bank, keys: DataKeys | None = None) -> dict[str, tuple[str | None, str | None]]:
    async with bank.database.read() as conn:
        ids = (await conn.execute(text("SELECT customer_id FROM customers"))).scalars().all()
        found = await reveal(conn, keys or bank.keys, ids)
        return {customer_id: (data.id_number, data.mobile) for customer_id, data in found.items()}


async def stored(bank) -> list[Any]:
    query = """
SELECT c.customer_id, c.ctid, c.rev, c.id_number_hash, c.mobile_hash, s.*
FROM customers AS c LEFT JOIN customer_contacts AS s USING (customer_id) ORDER BY 1"""
    async with bank.database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def everything(bank) -> list[Any]:
    """Every row of every table, as texts."""
    async with bank.database.read() as conn:
        found = []
        for table in METADATA.tables.values():
            found += [tuple(row) for row in await conn.execute(text(f"SELECT t::text FROM {table.name} AS t"))]
        return found


@pytest.fixture
async def rotating(customer_database, bank_of, tmp_path):
    """A bank with keys of its own, which the test may change."""
    make_missing_data_keys(tmp_path, clock.now() - timedelta(days=2))
    bank = bank_of(customer_database, DataKeys(tmp_path))
    await bank.empty()
    return bank


async def test_nothing_is_stored_in_clear_and_all_of_it_is_shown(bank):
    await bank.load("customers", [WANG, NOBODY])
    assert await contacts(bank) == {"c1": (ID_NUMBER, MOBILE), "c2": (None, None)}
    kept = str(await everything(bank))
    assert MOBILE not in kept
    assert ID_NUMBER not in kept


async def test_who_is_imported_again_unchanged_is_not_written(bank):
    await bank.load("customers", [WANG, NOBODY])
    before = await stored(bank)
    counts = await bank.load("customers", [WANG | {"mobile": "+86 138 1234 5678"}, NOBODY])
    assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, 2)
    assert await stored(bank) == before


async def test_a_change_of_anything_else_leaves_what_is_sealed(bank):
    await bank.load("customers", [WANG])
    [before] = await stored(bank)
    counts = await bank.load("customers", [WANG | {"display_name": "王三"}])
    assert counts.updated == 1
    [after] = await stored(bank)
    assert after[1] != before[1]
    assert after[3:] == before[3:]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"mobile": "139"}, (ID_NUMBER, "139")),
        ({"id_number": None}, (None, MOBILE)),
        ({"id_number": None, "mobile": None}, (None, None)),
        ({"mobile": "", "id_number": "-"}, ("-", "")),
    ],
)
async def test_a_number_that_changed_is_shown_anew(bank, change, shown):
    await bank.load("customers", [WANG])
    [before] = await stored(bank)
    assert (await bank.load("customers", [WANG | change])).updated == 1
    assert (await contacts(bank))["c1"] == shown
    [after] = await stored(bank)
    assert after[2] > before[2], "others are told"
    counts = await bank.load("customers", [WANG | change])
    assert counts.unchanged == 1
    await bank.load("customers", [WANG])
    assert (await contacts(bank))["c1"] == (ID_NUMBER, MOBILE)


async def test_after_new_keys_an_unchanged_import_still_writes_nothing(rotating, bank_of):
    await rotating.load("customers", [WANG, NOBODY])
    before = await stored(rotating)
    for purpose in KeyPurpose:
        make_data_key(rotating.keys.folder, purpose, clock.now() - timedelta(days=1))
    newer = bank_of(rotating.database, DataKeys(rotating.keys.folder))
    assert newer.keys.writing() != rotating.keys.writing()
    assert (await newer.load("customers", [WANG, NOBODY])).unchanged == 2
    assert await stored(newer) == before
    assert (await newer.load("customers", [WANG | {"mobile": "139"}])).updated == 1
    [wang, _] = await stored(newer)
    assert wang[-2:] == (newer.keys.writing().cipher_key_id, newer.keys.writing().hash_key_id)
    assert wang[3] != before[0][3], "one row's hashes are of one key"
    assert (await contacts(newer))["c1"] == (ID_NUMBER, "139")


@pytest.mark.parametrize("field", ["id_number", "mobile"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1" * 65, "is longer than 64 characters"),
        ("138\t123", "holds a control character"),
        ("138\x00123", "holds a NUL character"),
        ("138\x85123", "holds a control character"),
    ],
)
async def test_what_no_number_can_be_is_refused_and_not_repeated(bank, field, value, problem):
    with pytest.raises(Refused) as refused:
        await bank.load("customers", [NOBODY, WANG | {field: value}])
    violations = {(each.field, each.description) for each in refused.value.violations}
    assert (f"rows[1].{field}", problem) in violations
    assert refused.value.metadata["value"] == ""
    assert value not in str(refused.value)
    assert await stored(bank) == []
