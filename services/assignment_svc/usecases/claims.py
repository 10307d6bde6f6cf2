"""Managers claim unassigned customers of their own branch, whom they know by bands and tags only (domain.md 3)."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import audit_reads
from services.assignment_svc.domain.changes import ChangeKind
from services.assignment_svc.domain.holds import end_date, is_active
from services.assignment_svc.domain.ownership import Owner, Side
from services.assignment_svc.store import accounts, allocation, claims, ownerships
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.protections import holds_at
from services.assignment_svc.usecases import manual_changes
from services.assignment_svc.usecases.manual_changes import Changed, Locked, Naming, Who
from services.assignment_svc.usecases.read_ownership import Reader

# Of a branch's unassigned customers the largest: more are ordered at each page than anybody reads.
CLAIMABLE_MAX = 5_000

# The potential tags of customers; None if nobody can say now.
TagsOf = Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[str]] | None]]


@dataclass(frozen=True)
class Band:
    """A band of average deposits, counted from the lowest."""

    rank: int
    min_minor: int
    max_minor: int | None


@dataclass(frozen=True)
class Offered:
    """An unassigned customer as he is told to those who may claim him."""

    customer_id: str
    side: Side
    band: Band
    has_loan: bool
    has_card: bool
    tags: tuple[str, ...]

    @property
    def place(self) -> tuple[int, int, str]:
        """Where he stands in the list: most potential first, then the largest."""
        return (-len(self.tags), -self.band.rank, self.customer_id)


async def check_own_row(conn: AsyncConnection, caller: Caller, customer_id: str) -> None:
    """Refuses as for an absent customer whoever's own branch has no row of him."""
    found = await ownerships.of_customers(conn, [customer_id])
    if not found:
        raise not_found()
    manual_changes.row_at(found[0], caller.branch_id)


async def claim(tx: AsyncConnection, caller: Caller, who: Who, customer_id: str, reason: str) -> Changed:
    """Makes the caller manager of his own branch's row if it has none: of several at once the first wins."""
    locked = await manual_changes.lock(tx, customer_id)
    row = manual_changes.row_at(locked.ownership, caller.branch_id)
    manual_changes.check_changeable(locked.ownership)
    if row.manager_id is not None:
        raise await _taken(tx, locked, row, row.manager_id)
    await check_unprotected(tx, locked, row.branch_id)
    naming = Naming(row.branch_id, caller.staff_id, reason, ChangeKind.CLAIM)
    return await manual_changes.name_manager(tx, who, locked, naming)


async def check_unprotected(tx: AsyncConnection, locked: Locked, branch_id: str) -> None:
    """Refuses while the row of a branch is protected, locked or being transferred, and says until when."""
    policy = await allocation.policy_in_force(tx, locked.day)
    active = [h for h in await holds_at(tx, locked.customer_id, branch_id) if is_active(h, locked.day, policy)]
    if not active:
        return
    first = min(active, key=lambda hold: (hold.kind, hold.from_date, hold.hold_id))
    until = end_date(first, policy)
    given = {"kind": first.kind.value, **({"until_date": until.isoformat()} if until else {})}
    raise Refused(Kind.PRECONDITION, "PROTECTED", "the row is protected, locked or being transferred", given)


async def list_claimable(
    conn: AsyncConnection, reader: Reader, tags_of: TagsOf, after: tuple[int, int, str] | None, size: int
) -> tuple[list[Offered], bool, bool]:
    """A page of whom the caller may claim, whether there are more, and whether tags could be asked."""
    caller = reader.caller
    day = await business_day(conn)
    idle_days = (await allocation.policy_in_force(conn, day)).protection_idle_days
    edges = (await claims.claim_policy(conn)).deposit_edges_minor
    near = await accounts.conflicts(conn, caller.staff_id)
    found = await claims.claimable_of(conn, caller.branch_id, near, day, idle_days, CLAIMABLE_MAX)
    tags = await tags_of([one.customer_id for one in found])
    offered = sorted(
        (
            Offered(
                one.customer_id,
                one.side,
                band_of(one.average_minor or 0, edges),
                one.has_loan,
                one.has_card,
                tuple((tags or {}).get(one.customer_id, ())),
            )
            for one in found
        ),
        key=lambda one: one.place,
    )
    left = [one for one in offered if after is None or one.place > after]
    page = left[:size]
    await audit_reads(conn, reader.entry, [one.customer_id for one in page])
    return page, len(left) > size, tags is not None


def band_of(average_minor: int, edges: Sequence[int]) -> Band:
    """The band that an average falls into; each begins at an edge, the lowest at 0."""
    rank = bisect_right(edges, average_minor)
    return Band(rank, edges[rank - 1] if rank else 0, edges[rank] if rank < len(edges) else None)


async def _taken(tx: AsyncConnection, locked: Locked, row: Owner, manager_id: str) -> Refused:
    """Tells by whom and when if he was claimed lately; who manages whom otherwise is not told here."""
    hours = (await claims.claim_policy(tx)).claimed_hours
    claim_time = await claims.last_claim(tx, locked.customer_id, row.branch_id, manager_id, hours)
    if claim_time is None:
        return Refused(Kind.CONFLICT, "ALREADY_MANAGED", "the customer has a manager")
    given = {"manager": f"staff/{manager_id}", "claim_time": claim_time.isoformat()}
    return Refused(Kind.CONFLICT, "ALREADY_CLAIMED", "somebody else claimed the customer before", given)
