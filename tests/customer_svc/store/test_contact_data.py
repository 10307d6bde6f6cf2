import pytest
from sqlalchemy import text

from chassis.data_keys import SealedUnreadable
from services.customer_svc.domain.contact_data import ContactData
from services.customer_svc.store import contact_data
from services.customer_svc.store.contact_data import reveal

ROWS = [{"customer_id": f"c{number}", "mobile": f"1380000000{number}"} for number in range(5)]


@pytest.mark.parametrize("most", [1_000, 2], ids=["at once", "in a thread"])
async def test_everybody_asked_for_is_revealed_and_nobody_else(bank, monkeypatch, most):
    monkeypatch.setattr(contact_data, "_LOOP_ROWS_MAX", most)
    await bank.load("customers", [*ROWS, {"customer_id": "d"}])
    async with bank.database.read() as conn:
        found = await reveal(conn, bank.keys, ["c1", "c2", "c3", "d", "nobody"])
    known = {row["customer_id"]: ContactData(None, row["mobile"]) for row in ROWS[1:4]}
    assert found == known | {"d": ContactData(), "nobody": ContactData()}


async def test_what_was_put_under_another_customer_is_not_revealed(bank):
    await bank.load("customers", ROWS)
    async with bank.database.begin() as tx:
        swap = "UPDATE customer_contacts SET mobile_cipher = (SELECT mobile_cipher FROM customer_contacts"
        await tx.execute(text(f"{swap} WHERE customer_id = 'c1') WHERE customer_id = 'c2'"))
    async with bank.database.read() as conn:
        with pytest.raises(SealedUnreadable) as raised:
            await reveal(conn, bank.keys, ["c2"])
    assert "13800000001" not in str(raised.value)
