"""Tells who owns a customer, as far as the caller may see it (policy/visibility.py).

The primary side sees every row; of other branches no loan or card number. A secondary side sees the rows that are its
own, without what others have, and which branch is primary. Who sees existence only is told the name and nothing else.
The private manager and the state are for the primary side: a legal freeze is told to nobody who need not know. So is
when, and that, the whole changed: it would tell of a freeze, and of what happens at other branches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import not_found
from chassis.sql.audit import AuditEntry, audit_reads
from policy.visibility import Grant, Level, OwnerRow, Scope, Viewer, scope_of
from services.assignment_svc.domain.ownership import Evidence, Owner, Side, State
from services.assignment_svc.store import accounts, acting_managers, org, ownerships
from services.assignment_svc.store.ownerships import Listed, Opened, Ownership, Period, Place


@dataclass(frozen=True)
class Reader:
    """Who reads, in which request; the audit remembers it."""

    caller: Caller
    request_id: str
    method: str

    @property
    def entry(self) -> AuditEntry:
        return AuditEntry(self.caller.staff_id, self.caller.branch_id, self.request_id, self.method)


@dataclass(frozen=True)
class View:
    """What one caller sees of one customer's ownership; what he does not see is None or left out."""

    customer_id: str
    state: State | None
    owners: tuple[Owner, ...]
    primary_branch_id: str | None
    business_date: date | None
    update_time: datetime | None
    rev: int | None
    private_manager_id: str | None = None


async def scope_of_caller(conn: AsyncConnection, caller: Caller) -> Scope:
    """Whom the caller sees by name."""
    viewer = Viewer(caller.staff_id, caller.branch_id, frozenset(role.value for role in caller.roles))
    if caller.is_service:
        # Nothing is looked up that could not change what it sees.
        return scope_of(viewer, frozenset())
    covered = await acting_managers.covered(conn, viewer.staff_id)
    near = await accounts.conflicts(conn, viewer.staff_id)
    return scope_of(viewer, await org.subtree(conn, viewer.branch_id), covered, near)


async def get_ownership(conn: AsyncConnection, customer_id: str, reader: Reader) -> View:
    """One customer's ownership; the same refusal if there is none and if the caller may not see it."""
    found = await ownerships.of_customers(conn, [customer_id])
    # Looked up for absent customers too, so that the time of the answer tells nothing.
    scope = await scope_of_caller(conn, reader.caller)
    view = view_of(found[0], scope) if found else None
    if view is None:
        raise not_found()
    await audit_reads(conn, reader.entry, [customer_id])
    return view


async def list_ownerships(
    conn: AsyncConnection, listed: Listed, reader: Reader, after: str, size: int
) -> tuple[list[View], str | None]:
    """A page of the customers of a branch, and the last id if there are more.

    A customer is listed by a row of the branch that opens him to the caller by more than his existence.
    """
    scope = await scope_of_caller(conn, reader.caller)
    opened = _rows_of(scope, listed.branch_id)
    if not opened.anything:
        return [], None
    ids = await ownerships.of_branch(conn, listed, opened, after, size + 1)
    page = ids[:size]
    seen = [view_of(one, scope) for one in await ownerships.of_customers(conn, page)]
    views = [view for view in seen if view is not None]
    await audit_reads(conn, reader.entry, [view.customer_id for view in views])
    return views, page[-1] if len(ids) > size else None


async def list_periods(
    conn: AsyncConnection, customer_id: str, reader: Reader, start: Place, size: int
) -> tuple[list[Period], Period | None]:
    """A page of a customer's rows, the youngest first, and the last of them if there are more."""
    scope = await scope_of_caller(conn, reader.caller)
    found = await ownerships.of_customers(conn, [customer_id])
    rows = policy_rows(found[0]) if found else []
    level = scope.level_for(customer_id, rows)
    if not found or level is Level.NONE:
        raise not_found()
    await audit_reads(conn, reader.entry, [customer_id])
    if level is Level.EXISTENCE:
        return [], None
    own = [row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY]
    of = own if level is Level.SECONDARY else None
    periods = await ownerships.periods(conn, customer_id, of, start, size + 1)
    page = [replace(p, owner=_shown(p.owner, level, own)) for p in periods[:size]]
    return page, page[-1] if len(periods) > size else None


def level_of(ownership: Ownership, scope: Scope) -> Level:
    """What a viewer with this scope is to the customer."""
    return scope.level_for(ownership.customer_id, policy_rows(ownership))


def own_branch_ids(ownership: Ownership, scope: Scope) -> list[str]:
    """The branches whose row alone opens the customer to a viewer by more than his existence."""
    rows = policy_rows(ownership)
    return [row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY]


def view_of(ownership: Ownership, scope: Scope) -> View | None:
    """What a scope shows of a customer; None if he does not exist for it."""
    rows = policy_rows(ownership)
    level = scope.level_for(ownership.customer_id, rows)
    if level is Level.NONE:
        return None
    if level is Level.EXISTENCE:
        return View(ownership.customer_id, None, (), None, None, None, None)
    own = [row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY]
    primary = next((row.branch_id for row in ownership.owners if row.side is Side.PRIMARY), None)
    whole = level > Level.SECONDARY
    owners = tuple(_shown(owner, level, own) for owner in ownership.owners if whole or owner.branch_id in own)
    return View(
        customer_id=ownership.customer_id,
        state=ownership.state if whole else None,
        owners=owners,
        primary_branch_id=primary,
        business_date=ownership.business_date if whole else None,
        update_time=ownership.update_time if whole else None,
        rev=ownership.rev if whole else None,
        private_manager_id=ownership.private_manager_id if whole else None,
    )


def shown_row(owner: Owner, ownership: Ownership, scope: Scope) -> Owner | None:
    """A row of the customer, as it is or would be, with what the scope shows of it; None if it shows nothing."""
    rows = policy_rows(ownership)
    level = scope.level_for(ownership.customer_id, rows)
    own = [row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY]
    if level < Level.SECONDARY or (level is Level.SECONDARY and owner.branch_id not in own):
        return None
    return _shown(owner, level, own)


def policy_rows(ownership: Ownership) -> list[OwnerRow]:
    """A customer's rows as the policy of visibility looks at them."""
    private_manager_id = ownership.private_manager_id
    return [
        OwnerRow(
            row.branch_id, row.side.value, row.manager_id, private_manager_id if row.side is Side.PRIMARY else None
        )
        for row in ownership.owners
    ]


def _shown(owner: Owner, level: Level, own: Sequence[str]) -> Owner:
    """A row with the evidence that the level allows."""
    evidence = owner.evidence
    if level is Level.SECONDARY:
        evidence = Evidence(evidence.basis, evidence.amount_minor, None, None, evidence.held_by_margin)
    elif level is Level.PRIMARY and owner.branch_id not in own:
        evidence = replace(evidence, basis=None)
    return replace(owner, evidence=evidence)


def _rows_of(scope: Scope, branch_id: str) -> Opened:
    """Which rows of a branch the scope opens by more than his existence."""
    if scope.everyone:
        return Opened(all_rows=True)
    opening = [grant for grant in scope.grants if _reaches(grant, branch_id)]
    return Opened(
        all_rows=any(grant.manager_id is None and grant.private_manager_id is None for grant in opening),
        manager_ids=frozenset(grant.manager_id for grant in opening if grant.manager_id is not None),
        private_manager_ids=frozenset(g.private_manager_id for g in opening if g.private_manager_id is not None),
    )


def _reaches(grant: Grant, branch_id: str) -> bool:
    return not grant.existence_only and (grant.branch_ids is None or branch_id in grant.branch_ids)
