"""How many members groups have, when two of them become one or are two again."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.merging import Merging

# Members are counted while they are added, so locked before their group's rows move, as a build does.
_LOCK = text("""
SELECT FROM customer_groups WHERE group_id IN (
  SELECT group_id FROM group_members WHERE customer_id IN (:survivor_id, :merged_id)
  UNION SELECT row_key ->> 0 FROM merge_rows
  WHERE customer_id = :survivor_id AND merge_id = :merge_id AND label = 'group_members'
) ORDER BY group_id FOR UPDATE""")
_COUNT = text("""
SELECT group_id, generation, count(*) FROM group_members WHERE customer_id IN (:survivor_id, :merged_id)
GROUP BY group_id, generation""")
_SETTLE = text("""
UPDATE customer_groups SET
  member_count = CASE WHEN live_generation = :generation THEN member_count + :more ELSE member_count END,
  build_member_count = build_member_count
    + CASE WHEN build_id IS NOT NULL AND build_generation = :generation THEN :more ELSE 0 END
WHERE group_id = :group_id""")

# By group and generation: how many of the two are members.
Memberships = Mapping[tuple[str, int], int]


async def hold_memberships(tx: AsyncConnection, merging: Merging) -> Memberships:
    """What the two are members of; nobody else counts in these groups until `tx` ends."""
    await tx.execute(_LOCK, vars(merging))
    return await _memberships(tx, merging)


async def settle_member_counts(tx: AsyncConnection, merging: Merging, before: Memberships) -> None:
    """Lets groups count a person once who was a member twice, and twice who is two again."""
    after = await _memberships(tx, merging)
    for place in sorted(before.keys() | after.keys()):
        more = after.get(place, 0) - before.get(place, 0)
        if more:
            await tx.execute(_SETTLE, {"group_id": place[0], "generation": place[1], "more": more})


async def _memberships(tx: AsyncConnection, merging: Merging) -> Memberships:
    rows = await tx.execute(_COUNT, vars(merging))
    return {(group_id, generation): count for group_id, generation, count in rows}
