"""Names and ends private managers of key customers (domain.md 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import audit_reads
from policy.visibility import Level
from services.assignment_svc.domain.ownership import Side, State
from services.assignment_svc.store import accounts, org, ownerships, private_managers
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.store.private_managers import PrivateManagerPeriod
from services.assignment_svc.usecases.read_ownership import Reader, View, level_of, scope_of_caller, view_of


@dataclass(frozen=True)
class Naming:
    """Whom the head of the primary branch wants, and what he saw; of an ending, who is to go (None: whoever it is)."""

    customer_id: str
    staff_id: str | None
    reason: str
    etag: str


async def check_head(conn: AsyncConnection, caller: Caller, customer_id: str) -> Ownership:
    """Refuses whoever does not head the customer's primary branch; one who does not see him learns nothing else."""
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, caller)
    if not found or level_of(found[0], scope) < Level.SECONDARY:
        raise not_found()
    primary = next((row.branch_id for row in found[0].owners if row.side is Side.PRIMARY), None)
    if Role.BRANCH_HEAD not in caller.roles or caller.branch_id != primary:
        raise Refused(Kind.FORBIDDEN, "NOT_PRIMARY_HEAD", "only the head of the primary branch may do this")
    return found[0]


async def assign(tx: AsyncConnection, caller: Caller, naming: Naming, *, is_key_customer: bool) -> View:
    """Names a private manager in place of whoever is there.

    The customer and then the private manager are locked: the count of his customers stays true until this is stored.
    """
    assert naming.staff_id is not None, "somebody is named"
    await private_managers.lock_ownership(tx, naming.customer_id)
    ownership = await check_head(tx, caller, naming.customer_id)
    _check_etag(ownership, naming.etag)
    if ownership.state is not State.LIVE:
        given = {"state": ownership.state.value}
        raise Refused(Kind.PRECONDITION, "OWNERSHIP_NOT_LIVE", "the customer has no live ownership", given)
    if not is_key_customer:
        raise Refused(Kind.PRECONDITION, "CUSTOMER_NOT_KEY", "only key customers have a private manager")
    await private_managers.lock_staff(tx, naming.staff_id)
    await _check_fit(tx, naming.customer_id, naming.staff_id)
    if ownership.private_manager_id != naming.staff_id:
        await _check_room(tx, naming.staff_id)
        await private_managers.replace(tx, naming.customer_id, naming.staff_id, caller.staff_id, naming.reason)
    return await _seen(tx, caller, naming.customer_id)


async def remove(tx: AsyncConnection, caller: Caller, naming: Naming) -> View:
    """Ends a private manager's care; without one, or with another than the one named, nothing happens."""
    await private_managers.lock_ownership(tx, naming.customer_id)
    ownership = await check_remover(tx, caller, naming.customer_id)
    if naming.etag or not caller.is_service:
        _check_etag(ownership, naming.etag)
    there = ownership.private_manager_id
    if there is not None and naming.staff_id in {None, there}:
        await private_managers.replace(tx, naming.customer_id, None, caller.staff_id, naming.reason)
    return await _seen(tx, caller, naming.customer_id)


async def check_remover(conn: AsyncConnection, caller: Caller, customer_id: str) -> Ownership:
    """As `check_head`, but a service may too: it ends what a key mark's end takes the ground from."""
    if not caller.is_service:
        return await check_head(conn, caller, customer_id)
    found = await ownerships.of_customers(conn, [customer_id])
    if not found:
        raise not_found()
    return found[0]


async def list_periods(
    conn: AsyncConnection, customer_id: str, reader: Reader, before: int | None, size: int
) -> Sequence[PrivateManagerPeriod]:
    """A customer's private managers for his primary side, the youngest first: a page, and one more if there is one."""
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, reader.caller)
    if not found or level_of(found[0], scope) < Level.PRIMARY:
        raise not_found()
    await audit_reads(conn, reader.entry, [customer_id])
    return await private_managers.periods(conn, customer_id, before, size + 1)


def _check_etag(ownership: Ownership, etag: str) -> None:
    if etag != ownership.etag:
        raise Refused(Kind.CONFLICT, "ETAG_OLD", "somebody changed the ownership: read it again", {"etag": etag})


async def _check_fit(tx: AsyncConnection, customer_id: str, staff_id: str) -> None:
    """Active, with the role, and neither the customer himself nor a declared relative of his."""
    staff = await org.get_staff(tx, staff_id)
    day = await business_day(tx)
    is_fit = staff is not None and staff.is_active(day) and Role.PRIVATE_MANAGER.value in staff.roles
    if not is_fit or customer_id in await accounts.conflicts(tx, staff_id):
        message = "no active staff member with the role of a private manager, or the customer himself or a relative"
        raise Refused(Kind.PRECONDITION, "PRIVATE_MANAGER_UNFIT", message, {"staff": staff_id})


async def _check_room(tx: AsyncConnection, staff_id: str) -> None:
    most = await private_managers.customers_max(tx)
    if await private_managers.customer_count(tx, staff_id) >= most:
        given = {"staff": staff_id, "limit": str(most)}
        raise Refused(Kind.EXHAUSTED, "CAPACITY", f"the private manager has {most} customers already", given)


async def _seen(tx: AsyncConnection, caller: Caller, customer_id: str) -> View:
    (ownership,) = await ownerships.of_customers(tx, [customer_id])
    view = view_of(ownership, await scope_of_caller(tx, caller))
    assert view is not None, "who may change it sees it"
    return view
