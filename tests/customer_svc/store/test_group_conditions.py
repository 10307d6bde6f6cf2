"""Members of a group are those of the generation that counts."""

import pytest
from sqlalchemy import select, text

from services.customer_svc.domain.conditions import GroupCondition
from services.customer_svc.store.group_conditions import groups_hold
from services.customer_svc.store.tables_search import customer_search

GROUP = text(
    "INSERT INTO customer_groups (group_id, display_name, description, owner_id, sharing, kind, refresh_nightly,"
    " live_generation, least_level, member_count, last_build_time, last_build_micros, built_date)"
    " VALUES (:group, 'g', '', 's0', 'BANK', 'LIST', false, 2, 1, 0, bank_now(), 1, current_date)"
)
MEMBER = text("INSERT INTO group_members (customer_id, group_id, generation) VALUES (:customer, :group, :generation)")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (GroupCondition(any_of=("g1",)), ["c1"]),
        (GroupCondition(any_of=("g1", "g2")), ["c1", "c2"]),
        (GroupCondition(none_of=("g1", "g2")), ["c3", "c4"]),
        (GroupCondition(any_of=("g2",), none_of=("g1",)), ["c2"]),
    ],
)
async def test_only_members_of_the_live_generation_are_in_a_group(bank, condition, expected) -> None:
    await bank.load("customers", [{"customer_id": f"c{number}"} for number in range(1, 5)])
    members = [("c1", "g1", 2), ("c2", "g2", 2), ("c3", "g1", 1), ("c3", "g2", 3)]
    async with bank.database.begin() as tx:
        for group in ("g1", "g2"):
            await tx.execute(GROUP, {"group": group})
        for customer, group, generation in members:
            await tx.execute(MEMBER, {"customer": customer, "group": group, "generation": generation})
        rows = await tx.execute(select(customer_search.c.customer_id).where(groups_hold(condition)))
        assert sorted(rows.scalars()) == expected
