"""Allocation of all customers: whom to look at, in which batches, and how far the nights are."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, Date, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import begun
from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.store import gate, policies
from services.assignment_svc.store.allocation_sql import ALLOCATE, DUTIES

# "owners": one allocation at a time, in whichever process.
ALLOCATION_LOCK = 0x6F776E657273

# The statement's shape is known better than its estimates: a generic plan or compiled expressions only cost time.
_SETTINGS = text(
    "SELECT set_config('work_mem', '96MB', true), set_config('plan_cache_mode', 'force_custom_plan', true),"
    " set_config('jit', 'off', true), set_config('synchronous_commit', 'off', true)"
)

_REFRESH_DUTIES = text(
    f"""
INSERT INTO staff_duty AS t (staff_id, branch_id, successor_id, successor_branch_id, moved)
SELECT staff_id, branch_id, successor_id, successor_branch_id, true FROM ({DUTIES}) now ORDER BY staff_id
ON CONFLICT (staff_id) DO UPDATE SET branch_id = excluded.branch_id, successor_id = excluded.successor_id,
  successor_branch_id = excluded.successor_branch_id, moved = true
WHERE (t.branch_id, t.successor_id, t.successor_branch_id)
  IS DISTINCT FROM (excluded.branch_id, excluded.successor_id, excluded.successor_branch_id)
"""  # noqa: S608 - our own words
).bindparams(bindparam("day", type_=Date))

# A lock on a bigint stands there in two halves.
_HOLDS_LOCK = text(
    """
SELECT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = :high AND objid::bigint = :low
)
"""
).bindparams(bindparam("high", type_=BigInteger), bindparam("low", type_=BigInteger))

_ADD_ALL = text("INSERT INTO allocation_candidate SELECT DISTINCT customer_id FROM branch_facts ORDER BY customer_id")
_ADD_DUE = text(
    """
INSERT INTO allocation_candidate
SELECT customer_id FROM branch_facts WHERE rev >= CAST(:seen_rev AS xid8)
UNION SELECT customer_id FROM ownership WHERE due_date <= :day
UNION SELECT customer_id FROM ownership_hold WHERE rev >= CAST(:seen_rev AS xid8)
UNION SELECT customer_id FROM officer_override WHERE rev >= CAST(:seen_rev AS xid8)
ORDER BY customer_id
"""
).bindparams(bindparam("day", type_=Date))
_ADD_MOVED = text(
    """
INSERT INTO allocation_candidate
WITH moved AS (SELECT staff_id FROM staff_duty WHERE moved)
SELECT customer_id FROM branch_facts
WHERE loan_officer_id IN (SELECT staff_id FROM moved) OR card_manager_id IN (SELECT staff_id FROM moved)
UNION SELECT customer_id FROM owner WHERE named_manager_id IN (SELECT staff_id FROM moved)
UNION SELECT customer_id FROM ownership_hold WHERE manager_id IN (SELECT staff_id FROM moved)
UNION SELECT customer_id FROM officer_override WHERE manager_id IN (SELECT staff_id FROM moved)
ON CONFLICT DO NOTHING
"""
)
_BOUNDS = text(
    """
SELECT customer_id FROM (
  SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS number, count(*) OVER () AS total
  FROM allocation_candidate
) c WHERE number % :size = 0 OR number = total ORDER BY customer_id
"""
)
_RULE_COUNTS = text(
    """
SELECT o.rule, count(*) AS customer_count FROM owner o JOIN ownership a USING (customer_id)
WHERE o.side = 'PRIMARY' AND a.state <> 'FORMER' GROUP BY o.rule ORDER BY o.rule
"""
)


@dataclass(frozen=True)
class Progress:
    """How far the nights are: whose facts are there, what was allocated last, and what that run had seen.

    `changes_date` is the date of the last facts that came within a day: they count before its night.
    """

    facts_date: date | None
    business_date: date | None
    policy_version: int
    seen_rev: int
    changes_date: date | None = None

    @property
    def decided_date(self) -> date | None:
        """The latest date by which anybody may have been decided: nothing goes back behind it."""
        return max((day for day in (self.business_date, self.changes_date) if day), default=None)

    @property
    def known_date(self) -> date | None:
        """The latest date of which any facts are there."""
        return max((day for day in (self.facts_date, self.decided_date) if day), default=None)


@dataclass(frozen=True)
class Counts:
    """What one batch, or a whole run, looked at and changed."""

    customers: int = 0
    changed_customers: int = 0
    changed_rows: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.customers + other.customers,
            self.changed_customers + other.changed_customers,
            self.changed_rows + other.changed_rows,
        )


async def policy_in_force(tx: AsyncConnection, day: date) -> Policy:
    """The parameters that count on a business date."""
    return await policies.in_force(tx, day)


async def progress(tx: AsyncConnection) -> Progress:
    """How far the nights are."""
    row = (
        await tx.execute(
            text("SELECT facts_date, business_date, policy_version, seen_rev, changes_date FROM allocation_day")
        )
    ).one()
    return Progress(row.facts_date, row.business_date, row.policy_version, row.seen_rev, row.changes_date)


async def hold_progress(tx: AsyncConnection) -> Progress:
    """How far the nights are; until `tx` ends no import can begin to replace the facts."""
    await tx.execute(text("SELECT FROM allocation_day FOR SHARE"))
    return await progress(tx)


async def set_facts_date(tx: AsyncConnection, day: date | None) -> None:
    """Says whose facts are there; None while they are being replaced."""
    await tx.execute(
        text("UPDATE allocation_day SET facts_date = :day").bindparams(bindparam("day", type_=Date)), {"day": day}
    )


async def withdraw_facts(tx: AsyncConnection) -> Progress:
    """Says that facts are being replaced, once no batch reads them any more; returns how far the nights are.

    From then until they are complete, no night is begun or ends, and nobody changes ownership by hand.
    """
    await gate.pass_as_night(tx)
    await tx.execute(text("UPDATE allocation_day SET facts_date = NULL"))
    return await progress(tx)


async def start_run(tx: AsyncConnection, day: date, before: Progress, policy: Policy) -> int:
    """Lists whom the run must look at and returns the rev up to which it sees every change.

    Everybody if it is the first run or the policy is a new one; else whose facts, hold or override changed, whose due
    date has passed, and whom a staff member manages who came, went or moved.
    """
    seen = (await tx.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())"))).scalar_one()
    await tx.execute(_SETTINGS)
    await tx.execute(text("TRUNCATE allocation_candidate"))
    await tx.execute(_REFRESH_DUTIES, {"day": day})
    if before.seen_rev == 0 or before.policy_version != policy.version:
        # The facts may just have come, and nothing is known of them yet.
        await tx.execute(text("ANALYZE branch_facts"))
        await tx.execute(_ADD_ALL)
        return seen
    await tx.execute(_ADD_DUE, {"seen_rev": before.seen_rev, "day": day})
    if (await tx.execute(text("SELECT EXISTS (SELECT FROM staff_duty WHERE moved)"))).scalar_one():
        await tx.execute(_ADD_MOVED)
    return seen


async def add_everybody(tx: AsyncConnection) -> None:
    """Makes the run look at every customer, whatever has changed."""
    await tx.execute(text("TRUNCATE allocation_candidate"))
    await tx.execute(_ADD_ALL)


async def prepare(tx: AsyncConnection) -> None:
    """Lets PostgreSQL plan and work until `tx` ends as a decision over many customers needs."""
    await tx.execute(_SETTINGS)


async def candidate_count(tx: AsyncConnection) -> int:
    """How many customers the run looks at."""
    return (await tx.execute(text("SELECT count(*) FROM allocation_candidate"))).scalar_one()


async def try_lock(connection: AsyncConnection) -> bool:
    """Takes the lock of allocation for the session, if nobody has it."""
    return (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ALLOCATION_LOCK})).scalar_one()


@asynccontextmanager
async def outlived(lock: AsyncConnection) -> AsyncGenerator[AsyncConnection]:
    """A transaction of the very session that took the lock, which tells that PostgreSQL never restarted since.

    A crash empties the list of whom to look at and takes back the last commits of the batches, and neither shows in
    new connections. Its own commit waits for the disk, and so makes those of the batches last.
    """
    try:
        async with begun(lock) as tx:
            if not await _holds_lock(tx):
                raise _lost()
            yield tx
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise _lost() from error


def _lost() -> Refused:
    message = "the database ended the session of this night: run the night again"
    return Refused(Kind.UNAVAILABLE, "DATABASE_UNREACHABLE", message)


async def _holds_lock(tx: AsyncConnection) -> bool:
    """Says whether it is this very session that has the lock of allocation."""
    return (
        await tx.execute(_HOLDS_LOCK, {"high": ALLOCATION_LOCK >> 32, "low": ALLOCATION_LOCK & 0xFFFFFFFF})
    ).scalar_one()


async def batches(tx: AsyncConnection, size: int) -> list[tuple[str, str]]:
    """The run's customers as ranges of ids, lower end excluded, of at most `size` customers each."""
    await tx.execute(text("ANALYZE allocation_candidate"))
    bounds = [row.customer_id for row in await tx.execute(_BOUNDS, {"size": size})]
    return list(zip(["", *bounds], bounds, strict=False))


async def allocate_batch(tx: AsyncConnection, bounds: tuple[str, str], day: date, policy: Policy) -> Counts:
    """Decides over the candidates in a range of ids and stores what changed."""
    await tx.execute(_SETTINGS)
    row = (
        await tx.execute(
            ALLOCATE,
            {
                "day": day,
                "after": bounds[0],
                "until": bounds[1],
                "grace_days": policy.grace_days,
                "run_off_days": policy.run_off_days,
                "challenge_percent": policy.challenge_percent,
                "return_months": policy.return_months,
                "protection_idle_days": policy.protection_idle_days,
            },
        )
    ).one()
    return Counts(row.customer_count, row.changed_customer_count, row.changed_row_count)


async def finish_run(tx: AsyncConnection, day: date, policy: Policy, seen_rev: int) -> None:
    """Makes a run count: the next one looks only at what changed since."""
    await tx.execute(
        text(
            "UPDATE allocation_day SET business_date = :day, policy_version = :version,"
            " seen_rev = CAST(:seen_rev AS xid8)"
        ).bindparams(bindparam("day", type_=Date)),
        {"day": day, "version": policy.version, "seen_rev": seen_rev},
    )
    await tx.execute(text("UPDATE staff_duty SET moved = false WHERE moved"))
    await tx.execute(text("TRUNCATE allocation_candidate"))


async def rule_counts(tx: AsyncConnection) -> dict[str, int]:
    """Customers who are not former, by the rule of their primary row."""
    return {row.rule: row.customer_count for row in await tx.execute(_RULE_COUNTS)}
