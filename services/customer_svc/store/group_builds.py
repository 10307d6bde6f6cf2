"""Builds of groups: where each is, so that another worker goes on after a crash, and only one counts at a time."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Integer, Text, insert, literal, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.query import Asked
from services.customer_svc.domain.viewing import Level
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.stages import Wanted, plain
from services.customer_svc.store.tables_groups import group_members

# A feed reader waits for the oldest transaction of the server (design 4.6).
BATCH_CUSTOMERS = 20_000

# Each range has its own values: a plan for any would look at all customers for each.
_PLAN = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
_RESUME = text(
    "SELECT group_id, build_id, build_generation, build_date, build_start_time, coalesce(build_after, '') AS after,"
    " build_done_count FROM customer_groups WHERE group_id = :group_id AND build_id = :build_id"
    " AND build_query_version = query_version FOR UPDATE"
)
_GIVE_UP = text(
    "INSERT INTO group_generations_ended (group_id, generation)"
    " SELECT group_id, build_generation FROM customer_groups WHERE group_id = :group_id AND build_id IS NOT NULL"
    " ON CONFLICT DO NOTHING"
)
_BEGIN = text(
    "UPDATE customer_groups SET build_id = :build_id, build_generation = build_generation + 1,"
    " build_query_version = query_version, build_date = :day, build_start_time = bank_now(), build_after = NULL,"
    " build_done_count = 0, build_member_count = 0 WHERE group_id = :group_id"
    " RETURNING group_id, build_id, build_generation, build_date, build_start_time, '' AS after, build_done_count"
)
_NEXT = text(
    "SELECT count(*), max(customer_id) FROM (SELECT customer_id FROM customers WHERE customer_id > :after"
    " ORDER BY customer_id LIMIT :limit) AS coming"
)
_MOVE = text(
    "UPDATE customer_groups SET build_after = :after, build_done_count = build_done_count + :looked,"
    " build_member_count = build_member_count + :found WHERE group_id = :group_id AND build_id = :build_id"
    " AND build_query_version = query_version RETURNING build_done_count"
)
_FINISH = text(
    "WITH old AS (SELECT group_id, live_generation FROM customer_groups WHERE group_id = :group_id), ended AS ("
    " INSERT INTO group_generations_ended (group_id, generation)"
    " SELECT group_id, live_generation FROM old WHERE live_generation IS NOT NULL ON CONFLICT DO NOTHING)"
    " UPDATE customer_groups SET live_generation = build_generation, least_level = :least,"
    " least_level_of_others = greatest(:others, (SELECT max(coalesce(g.least_level_of_others, g.least_level))"
    " FROM group_references r JOIN customer_groups g ON g.group_id = r.referred_group_id"
    " WHERE r.group_id = :group_id)),"
    " member_count = build_member_count, last_build_time = bank_now(), built_date = build_date, build_id = NULL,"
    " last_build_micros = CAST(extract(epoch FROM bank_now() - build_start_time) * 1000000 AS bigint)"
    " WHERE group_id = :group_id AND build_id = :build_id AND build_query_version = query_version RETURNING group_id"
)
_STOP = text(
    "UPDATE customer_groups SET build_id = NULL WHERE group_id = :group_id AND build_id = :build_id RETURNING group_id"
)
_END = text(
    "INSERT INTO group_generations_ended (group_id, generation) VALUES (:group_id, :generation) ON CONFLICT DO NOTHING"
)
_TOTAL = text("SELECT count(*) FROM customers")
_REBUILT = text(
    "SELECT EXISTS (SELECT 1 FROM group_references r JOIN customer_groups g ON g.group_id = r.referred_group_id"
    " WHERE r.group_id = :group_id AND g.kind = 'QUERY' AND g.last_build_time > :since)"
)


@dataclass(frozen=True)
class Build:
    """A build under way: everybody up to `after` was looked at."""

    group_id: str
    build_id: str
    generation: int
    day: date
    start_time: datetime
    after: str
    done_count: int


async def resume(tx: AsyncConnection, group_id: str, build_id: str) -> Build | None:
    """The build that a worker left, to go on with; None if there is none, or the query changed since."""
    row = (await tx.execute(_RESUME, {"group_id": group_id, "build_id": build_id})).one_or_none()
    return Build(*row) if row else None


async def begin(tx: AsyncConnection, group_id: str, build_id: str, day: date) -> Build:
    """Starts a build with a generation of its own; another one under way will find that it counts no more."""
    await tx.execute(_GIVE_UP, {"group_id": group_id})
    values = {"group_id": group_id, "build_id": build_id, "day": day}
    return Build(*(await tx.execute(_BEGIN, values)).one())


@dataclass(frozen=True)
class Batch:
    """What was done of a build so far, and up to whom."""

    done_count: int
    after: str
    is_last: bool


async def take_batch(tx: AsyncConnection, build: Build, after: str, asked: Asked) -> Batch | None:
    """Looks at the next customers and takes those who fulfil the query; None if this build counts no more."""
    looked, last = (await tx.execute(_NEXT, {"after": after, "limit": BATCH_CUSTOMERS})).one()
    found = 0
    if looked:
        await tx.execute(_PLAN)
        coming = (KEY > after, KEY <= last)  # noqa: SIM300 -- a column, not a constant
        matching = plain(asked, Wanted(asked.query.conditions, asked.reach.least, coming))
        labels = (literal(build.group_id, Text), literal(build.generation, Integer))
        taken = matching.statement.with_only_columns(matching.key, *labels)
        found = (await tx.execute(insert(group_members).from_select(list(group_members.c), taken))).rowcount
    moved = {"group_id": build.group_id, "build_id": build.build_id, "looked": looked, "found": found}
    done = (await tx.execute(_MOVE, {**moved, "after": last or after})).scalar_one_or_none()
    return None if done is None else Batch(done, last or after, looked < BATCH_CUSTOMERS)


async def finish(tx: AsyncConnection, build: Build, least: Level, others: Level) -> bool:
    """Makes what was built the members that count; False if this build counts no more.

    `least` is what the owner must be to a customer to be told that he is a member, `others` what others must be, as
    far as the query itself says; no less than what they must be for the groups that it names.
    """
    values = {"group_id": build.group_id, "build_id": build.build_id, "least": int(least), "others": int(others)}
    return (await tx.execute(_FINISH, values)).scalar_one_or_none() is not None


async def give_up(tx: AsyncConnection, build: Build) -> None:
    """Ends a build that is told to stop, unless it counts no more anyway; what it took is cleared away later."""
    values = {"group_id": build.group_id, "build_id": build.build_id}
    if (await tx.execute(_STOP, values)).scalar_one_or_none() is not None:
        await tx.execute(_END, {"group_id": build.group_id, "generation": build.generation})


async def total_count(conn: AsyncConnection) -> int:
    """How many customers a build looks at."""
    return (await conn.execute(_TOTAL)).scalar_one()


async def referred_rebuilt(conn: AsyncConnection, build: Build) -> bool:
    """Says whether members of a group that the query names changed since the build began."""
    return (await conn.execute(_REBUILT, {"group_id": build.group_id, "since": build.start_time})).scalar_one()
