import pytest

from chassis.errors import Kind, Refused
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.relations import NewRelation
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.usecases.relations import create_relation


async def test_nobody_sees_more_of_a_person_by_telling_that_a_customer_is_related_to_him(bank) -> None:
    """To a branch's other staff a customer exists only: no name, and not even a masked number."""
    await bank.load("customers", [{"customer_id": "mine"}, {"customer_id": "other", "mobile": "13812345678"}])
    await bank.own({"mine": [Owner("b1", "PRIMARY", "m1", None)], "other": [Owner("b1", "PRIMARY", "m2", None)]})
    reading = Reading(Viewer("m1", "b1", frozenset({"MANAGER"})), "r", "CreateRelation", bank.keys)
    new = NewRelation("mine", "other", "household", "said so", "m1", "b1")
    with pytest.raises(Refused) as raised:
        async with bank.database.begin() as tx:
            await create_relation(tx, reading, "mine", new, b"secret")
    assert raised.value.kind is Kind.NOT_FOUND
