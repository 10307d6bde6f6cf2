"""Heads name managers, and managers give customers back (domain.md 3, rule 4)."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Kind, Refused, not_found
from policy.visibility import Level
from services.assignment_svc.domain.changes import ChangeKind, row_etag
from services.assignment_svc.domain.ownership import Owner
from services.assignment_svc.store import ownerships
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.usecases import manual_changes
from services.assignment_svc.usecases.heads import acts_as_head, check_acts_as_head
from services.assignment_svc.usecases.manual_changes import Changed, Locked, Naming, Who, row_at, rule_decides
from services.assignment_svc.usecases.read_ownership import level_of, scope_of_caller, view_of


@dataclass(frozen=True)
class Asked:
    """Whose row of which branch somebody wants changed, and what he saw of it."""

    customer_id: str
    branch_id: str
    reason: str
    etag: str


async def check_visible(conn: AsyncConnection, caller: Caller, customer_id: str) -> None:
    """Refuses whoever does not see the customer by more than his existence, as if there were none."""
    found = await ownerships.of_customers(conn, [customer_id])
    await _check_sees(conn, caller, found[0] if found else None, Level.SECONDARY)


async def check_exists(conn: AsyncConnection, caller: Caller, customer_id: str) -> None:
    """Refuses whoever does not even see that the customer exists."""
    found = await ownerships.of_customers(conn, [customer_id])
    await _check_sees(conn, caller, found[0] if found else None, Level.EXISTENCE)


async def lock_as_seen(tx: AsyncConnection, caller: Caller, customer_id: str) -> Locked:
    """Locks a customer; who is absent takes as long as one whom the caller does not see."""
    try:
        return await manual_changes.lock(tx, customer_id)
    except Refused:
        await scope_of_caller(tx, caller)
        raise


async def assign(tx: AsyncConnection, caller: Caller, who: Who, asked: Asked, staff_id: str | None) -> Changed:
    """Names the manager of a branch's row, or takes him away (None): by the head of that branch."""
    locked = await lock_as_seen(tx, caller, asked.customer_id)
    await _check_sees(tx, caller, locked.ownership, Level.SECONDARY)
    row = row_at(locked.ownership, asked.branch_id)
    await _check_sees_row(tx, caller, locked.ownership, asked.branch_id)
    await check_acts_as_head(tx, caller, asked.branch_id, locked.day)
    _check_etag(row, asked.etag)
    kind = ChangeKind.ASSIGN if staff_id else ChangeKind.UNASSIGN
    if staff_id is None and row.named_manager_id is None:
        manual_changes.check_changeable(locked.ownership)
        if row.manager_id is not None:
            raise rule_decides()
        return Changed(locked.ownership, None)
    naming = Naming(asked.branch_id, staff_id, asked.reason, kind)
    return await manual_changes.name_manager(tx, who, locked, naming)


async def release(tx: AsyncConnection, caller: Caller, who: Who, asked: Asked) -> Changed:
    """Gives a customer back to the branch's virtual manager: by the manager himself or the head of the branch."""
    locked = await lock_as_seen(tx, caller, asked.customer_id)
    await _check_sees(tx, caller, locked.ownership, Level.EXISTENCE)
    row = row_at(locked.ownership, asked.branch_id)
    is_his = row.manager_id == caller.staff_id and row.branch_id == caller.branch_id
    if not (is_his or await acts_as_head(tx, caller, asked.branch_id, locked.day)):
        # Who sees existence only learns nothing of managers.
        await _check_sees_row(tx, caller, locked.ownership, asked.branch_id)
        message = "only the manager himself or the head of the branch may do this"
        raise Refused(Kind.FORBIDDEN, "NOT_MANAGER", message, {"branch": asked.branch_id})
    _check_etag(row, asked.etag)
    manual_changes.check_changeable(locked.ownership)
    if row.manager_id is None:
        raise Refused(Kind.PRECONDITION, "NOT_MANAGED", "the virtual manager looks after the customer already")
    naming = Naming(asked.branch_id, None, asked.reason, ChangeKind.RELEASE)
    return await manual_changes.name_manager(tx, who, locked, naming)


async def _check_sees(conn: AsyncConnection, caller: Caller, ownership: Ownership | None, least: Level) -> None:
    # Looked up for absent customers too, so that the time of the answer tells nothing.
    scope = await scope_of_caller(conn, caller)
    if ownership is None or level_of(ownership, scope) < least:
        raise not_found()


async def _check_sees_row(conn: AsyncConnection, caller: Caller, ownership: Ownership, branch_id: str) -> None:
    """Refuses as for a branch without a row whoever is not told of this one: a secondary side of another such."""
    view = view_of(ownership, await scope_of_caller(conn, caller))
    known = {row.branch_id for row in view.owners} | {view.primary_branch_id} if view else set[str | None]()
    if branch_id not in known:
        raise not_found()


def _check_etag(row: Owner, etag: str) -> None:
    if etag != row_etag(row):
        message = "the row has another etag in `owners`: somebody changed it, or this is not a row's"
        raise Refused(Kind.CONFLICT, "ETAG_OLD", message, {"etag": etag})
