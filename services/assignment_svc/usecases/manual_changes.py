"""Changes ownership by hand: who is named, where the primary branch goes (domain.md 3, manual flows).

A change sets inputs of allocation, then lets allocation decide: no person writes a row of ownership himself. Who may
ask for it is decided before, by whoever calls these.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Role
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import AuditEntry, audit
from services.assignment_svc.domain.changes import Change, ChangeKind, Inputs
from services.assignment_svc.domain.ownership import Hold, HoldKind, OfficerOverride, Owner, Side, State
from services.assignment_svc.store import (
    accounts,
    allocation,
    claims,
    gate,
    manual_changes,
    org,
    ownerships,
    private_managers,
)
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.store.claims import Sources
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.store.protections import end_all_protections, end_protection, protect_row

MANAGER_ROLES = (Role.MANAGER.value, Role.PRIVATE_MANAGER.value, Role.BRANCH_HEAD.value)


@dataclass(frozen=True)
class Who:
    """Who changes something, in which request; rows and the audit remember him."""

    actor: str
    branch_id: str
    request_id: str
    method: str


@dataclass(frozen=True)
class Locked:
    """A customer whom nobody else changes until the transaction ends, and the day to decide by."""

    day: date
    ownership: Ownership

    @property
    def customer_id(self) -> str:
        return self.ownership.customer_id


@dataclass(frozen=True)
class Naming:
    """Whom to make manager of a branch's row; None for its virtual one."""

    branch_id: str
    staff_id: str | None
    reason: str
    kind: ChangeKind
    request_id: str | None = None
    """The request that was approved, if there was one."""


@dataclass(frozen=True)
class Move:
    """Which branch is to lead the relation, with which manager (None: its virtual one)."""

    branch_id: str
    staff_id: str | None
    reason: str
    protection_days: int = 90
    hold_id: str | None = None
    """The hold that stood while the transfer was pending: it ends."""
    request_id: str | None = None


@dataclass(frozen=True)
class Changed:
    """A customer's ownership after a change, and the change; None if nothing had to be changed."""

    ownership: Ownership
    change_id: str | None


async def lock(tx: AsyncConnection, customer_id: str) -> Locked:
    """Passes the gate and locks a customer: first of all in a transaction, and once. Refuses who has no ownership."""
    day = await gate.pass_by_hand(tx)
    await gate.lock_customers(tx, [customer_id])
    return Locked(day, await _read(tx, customer_id))


def row_at(ownership: Ownership, branch_id: str) -> Owner:
    """A branch's row; refuses as for an absent customer if it has none."""
    found = next((row for row in ownership.owners if row.branch_id == branch_id), None)
    if found is None:
        raise not_found()
    return found


def check_changeable(ownership: Ownership) -> None:
    """Refuses to change what is frozen or former, without saying which."""
    if ownership.state is not State.LIVE:
        raise Refused(Kind.PRECONDITION, "OWNERSHIP_UNCHANGEABLE", "the ownership cannot be changed by hand now")


async def check_manager(tx: AsyncConnection, locked: Locked, branch_id: str, staff_id: str, has_him: bool) -> None:  # noqa: FBT001 -- a fact, not a switch
    """Refuses whoever is unfit to manage the customer at a branch, or full; he is locked until `tx` ends.

    Nobody manages himself or a declared relative. Who has the customer already needs no room for him.
    """
    await private_managers.lock_staff(tx, staff_id)
    staff = await org.get_staff(tx, staff_id)
    fit = staff is not None and staff.is_active(locked.day) and staff.branch_id == branch_id
    is_near = locked.customer_id in await accounts.conflicts(tx, staff_id)
    if not (fit and staff and set(staff.roles) & set(MANAGER_ROLES)) or is_near:
        message = "no active manager of the branch, or the customer himself or a relative of his"
        raise Refused(Kind.PRECONDITION, "MANAGER_UNFIT", message, {"staff": staff_id})
    most = None if has_him else await claims.full_at(tx, staff_id)
    if most is not None:
        given = {"staff": staff_id, "limit": str(most)}
        raise Refused(Kind.EXHAUSTED, "CAPACITY", f"the manager has {most} customers already", given)


async def name_manager(tx: AsyncConnection, who: Who, locked: Locked, naming: Naming) -> Changed:
    """Names the manager of a row, or takes him away, and lets allocation decide; a new manager is protected.

    A loan's officer who is not there any more gives way to whoever is named; one who is there, and a card's manager,
    go before. Refuses a claim or a release that would change nothing for that reason.
    """
    check_changeable(locked.ownership)
    row = row_at(locked.ownership, naming.branch_id)
    customer_id, staff_id = locked.customer_id, naming.staff_id
    before = (await manual_changes.inputs_of(tx, [customer_id]))[customer_id]
    sources = await claims.sources_at(tx, customer_id, naming.branch_id)
    overriding = _overrides(row, sources, before)
    if naming.kind is ChangeKind.ASSIGN and row.named_manager_id == staff_id and not (overriding and staff_id):
        return Changed(locked.ownership, None)
    change_id = manual_changes.new_change_id()
    if staff_id is None:
        await _take_away(tx, customer_id, row)
    else:
        await check_manager(tx, locked, naming.branch_id, staff_id, row.manager_id == staff_id)
        await manual_changes.put_name(tx, customer_id, naming.branch_id, staff_id)
        if overriding:
            await _override(tx, customer_id, sources, staff_id)
        await end_protection(tx, customer_id, naming.branch_id)
        if overriding or sources == Sources(sources.loan_id):
            days = (await claims.claim_policy(tx)).protection_days
            await protect_row(tx, customer_id, naming.branch_id, row.side, locked.day, days, change_id)
    after = await allocated(tx, who, locked)
    _check_effect(naming, row, after)
    change = Change(
        customer_id,
        naming.kind,
        naming.branch_id,
        naming.reason,
        who.actor,
        before,
        from_manager_id=row.manager_id or row.named_manager_id,
        to_manager_id=staff_id,
        request_id=naming.request_id,
        change_id=change_id,
    )
    return await kept(tx, who, change, after if after.rev != locked.ownership.rev else None)


async def move_primary(tx: AsyncConnection, who: Who, locked: Locked, move: Move) -> Changed:
    """Carries out an approved transfer of the primary side; within one branch only its manager changes.

    Across branches the taker's is protected, which cards and deposits do not break. Of a loan at the branch the manager
    stands in for its officer. Refuses what a loan elsewhere or a lock would undo at once.
    """
    check_changeable(locked.ownership)
    customer_id = locked.customer_id
    giver = next(row for row in locked.ownership.owners if row.side is Side.PRIMARY)
    before = (await manual_changes.inputs_of(tx, [customer_id]))[customer_id]
    change_id = manual_changes.new_change_id()
    if move.staff_id is not None:
        has_him = any(row.manager_id == move.staff_id for row in locked.ownership.owners)
        await check_manager(tx, locked, move.branch_id, move.staff_id, has_him)
    if move.hold_id is not None:
        await manual_changes.end_hold(tx, customer_id, move.hold_id)
    if move.branch_id != giver.branch_id:
        until = locked.day + timedelta(days=move.protection_days)
        await end_all_protections(tx, customer_id)
        hold_id, kind = f"transfer-{change_id}", HoldKind.PROTECTION
        hold = Hold(hold_id, kind, move.branch_id, move.staff_id, locked.day, until)
        await manual_changes.put_hold(tx, customer_id, hold, move.reason)
    sources = await claims.sources_at(tx, customer_id, move.branch_id)
    if move.staff_id is not None and sources.officer_id is not None:
        await _override(tx, customer_id, sources, move.staff_id)
    await manual_changes.put_name(tx, customer_id, move.branch_id, move.staff_id)
    after = await allocated(tx, who, locked)
    taker = next(row for row in after.owners if row.side is Side.PRIMARY)
    if taker.branch_id != move.branch_id or (move.staff_id and taker.manager_id != move.staff_id):
        raise rule_decides()
    # A row that the transfer made could not be named before.
    await manual_changes.put_name(tx, customer_id, move.branch_id, move.staff_id)
    change = Change(
        customer_id,
        ChangeKind.TRANSFER,
        move.branch_id,
        move.reason,
        who.actor,
        before,
        from_manager_id=giver.manager_id,
        to_manager_id=move.staff_id,
        from_branch_id=giver.branch_id,
        to_branch_id=move.branch_id,
        request_id=move.request_id,
        change_id=change_id,
    )
    return await kept(tx, who, change)


async def allocated(tx: AsyncConnection, who: Who, locked: Locked) -> Ownership:
    """The customer's ownership once allocation has looked at what was set."""
    policy = await allocation.policy_in_force(tx, locked.day)
    await allocate_now(tx, [locked.customer_id], locked.day, policy, who.actor)
    return await _read(tx, locked.customer_id)


async def kept(tx: AsyncConnection, who: Who, change: Change, after: Ownership | None = None) -> Changed:
    """Records and audits a change, and tells the ownership after it: `after` if allocation moved it in the feed."""
    change_id = await manual_changes.record_change(tx, change)
    detail = {"change": change_id, "kind": change.kind.value}
    await audit(tx, [AuditEntry(who.actor, who.branch_id, who.request_id, who.method, change.customer_id, detail)])
    return Changed(after or await _read(tx, change.customer_id), change_id)


def rule_decides() -> Refused:
    """Refuses what a rule of allocation would not heed."""
    message = "a loan's officer, a card's manager or a lock goes before whoever is named"
    return Refused(Kind.PRECONDITION, "RULE_DECIDES", message)


def _overrides(row: Owner, sources: Sources, before: Inputs) -> bool:
    """Whether whoever is named stands in for the loan's officer: nobody does now, or somebody else was made to."""
    if sources.officer_id is None:
        return False
    stood_in = any(
        (override["loan_id"], override["source_officer_id"]) == (sources.loan_id, sources.officer_id)
        for override in before["overrides"]
    )
    return stood_in or row.manager_id is None


async def _override(tx: AsyncConnection, customer_id: str, sources: Sources, staff_id: str) -> None:
    assert sources.loan_id is not None, "an officer has a loan"
    await manual_changes.put_override(tx, customer_id, OfficerOverride(sources.loan_id, sources.officer_id, staff_id))


async def _take_away(tx: AsyncConnection, customer_id: str, row: Owner) -> None:
    await manual_changes.put_name(tx, customer_id, row.branch_id, None)
    if row.manager_id is not None:
        await manual_changes.end_overrides(tx, customer_id, row.branch_id, row.manager_id)
    await end_protection(tx, customer_id, row.branch_id)


def _check_effect(naming: Naming, row: Owner, after: Ownership) -> None:
    # A row that only its protection kept is gone with it.
    manager_id = next((one.manager_id for one in after.owners if one.branch_id == row.branch_id), None)
    if naming.kind is ChangeKind.CLAIM and manager_id != naming.staff_id:
        raise rule_decides()
    if naming.kind is ChangeKind.RELEASE and manager_id == row.manager_id:
        raise rule_decides()


async def _read(tx: AsyncConnection, customer_id: str) -> Ownership:
    found = await ownerships.of_customers(tx, [customer_id])
    if not found:
        raise not_found()
    return found[0]
