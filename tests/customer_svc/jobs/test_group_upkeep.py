from sqlalchemy import text

from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.groups import Draft, Kind
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.jobs.group_upkeep import clear_once
from services.customer_svc.usecases import keep_groups, list_members

HEAD = Reading(Viewer("h1", "b1", frozenset({"BRANCH_HEAD"})), "r1", "AddMembers")


async def test_a_deleted_group_is_forgotten_after_its_time_and_no_other(bank) -> None:
    await bank.load("customers", [{"customer_id": "c1"}])
    await bank.own({"c1": [Owner("b1", "PRIMARY", None, None)]})
    await bank.grow({"b1": None})
    names: list[str] = []
    for days in (None, 29, 31):
        async with bank.database.begin() as tx:
            group = await keep_groups.create_group(tx, Draft("g", kind=Kind.LIST), None, HEAD.viewer)
            await list_members.add_members(tx, group.group_id, ["c1"], HEAD)
            await tx.execute(
                text(
                    "UPDATE customer_groups SET delete_time = bank_now() - make_interval(days => :days)"
                    " WHERE group_id = :group_id AND CAST(:days AS integer) IS NOT NULL"
                ),
                {"days": days, "group_id": group.group_id},
            )
        names.append(group.group_id)
    await clear_once(bank.database)
    async with bank.database.read() as conn:
        for table in ("customer_groups", "group_members"):
            left = await conn.execute(text(f"SELECT group_id FROM {table} ORDER BY group_id"))
            assert list(left.scalars()) == sorted(names[:2])
