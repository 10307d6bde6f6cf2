"""What was followed of other services. Rows of an older generation go once the newer one is complete."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.acting import Acting
from chassis.sql.acting_managers import covered_today, drop_acting, put_acting
from chassis.sql.rows import put_rows
from services.alert_svc.domain.followed import CustomerFact, OrgFact, OwnershipFact
from services.alert_svc.domain.viewing import Covered, OwnerRow
from services.alert_svc.store import merges
from services.alert_svc.store.tables import accounts, acting_managers, branches, customers, owners, revoked_sessions


async def store_customers(tx: AsyncConnection, facts: Sequence[CustomerFact], generation: int) -> None:
    """Replaces what is known of these customers and their accounts; of those who were merged the alerts follow."""
    await merges.follow(tx, facts)
    gone = [fact.customer_id for fact in facts if fact.gone]
    here = [fact for fact in facts if not fact.gone]
    if gone:
        await tx.execute(delete(customers).where(customers.c.customer_id.in_(gone)))
    known = [
        {"customer_id": fact.customer_id, "customer_type": fact.customer_type, "generation": generation}
        for fact in here
    ]
    await put_rows(tx, customers, known)
    await tx.execute(delete(accounts).where(accounts.c.customer_id.in_([fact.customer_id for fact in here])))
    held = [
        {"customer_id": fact.customer_id, "account_id": account_id, "branch_id": branch_id}
        for fact in here
        for account_id, branch_id in fact.accounts
    ]
    await put_rows(tx, accounts, held)


async def store_ownerships(tx: AsyncConnection, facts: Sequence[OwnershipFact], generation: int) -> None:
    """Replaces the owners of these customers."""
    await tx.execute(delete(owners).where(owners.c.customer_id.in_([fact.customer_id for fact in facts])))
    await put_rows(
        tx,
        owners,
        [
            {
                "customer_id": fact.customer_id,
                "branch_id": row.branch_id,
                "side": row.side,
                "manager_id": row.manager_id,
                "private_manager_id": row.private_manager_id,
                "generation": generation,
            }
            for fact in facts
            for row in fact.owners
        ],
    )


async def store_org(tx: AsyncConnection, changes: Sequence[OrgFact | Acting], generation: int) -> None:
    """Stores branches, revoked sessions and who covers whom; of staff nothing is needed here."""
    acting = [change for change in changes if isinstance(change, Acting)]
    await put_acting(tx, acting_managers, acting, generation)
    facts = [change for change in changes if isinstance(change, OrgFact)]
    gone = [fact.branch_id for fact in facts if fact.branch_id and fact.gone]
    if gone:
        await tx.execute(delete(branches).where(branches.c.branch_id.in_(gone)))
    await put_rows(
        tx,
        branches,
        [
            {"branch_id": fact.branch_id, "parent_id": fact.parent_id, "generation": generation}
            for fact in facts
            if fact.branch_id and not fact.gone
        ],
    )
    await put_rows(
        tx,
        revoked_sessions,
        [
            {"session_id": fact.session_id, "expire_time": fact.expire_time, "generation": generation}
            for fact in facts
            if fact.session_id
        ],
    )


async def drop_customers(tx: AsyncConnection, generation: int) -> None:
    """Forgets customers that the source no longer has."""
    await tx.execute(delete(customers).where(customers.c.generation < generation))


async def drop_ownerships(tx: AsyncConnection, generation: int) -> None:
    """Forgets owners that the source no longer has."""
    await tx.execute(delete(owners).where(owners.c.generation < generation))


async def drop_org(tx: AsyncConnection, generation: int) -> None:
    """Forgets branches and who covers whom, if the source has them no more. Revoked sessions expire by themselves."""
    await tx.execute(delete(branches).where(branches.c.generation < generation))
    await drop_acting(tx, generation)


async def subtree(tx: AsyncConnection, branch_id: str) -> frozenset[str]:
    """The branch with all branches below it."""
    rows = await tx.execute(_SUBTREE, {"top": branch_id})
    return frozenset(rows.scalars()) | {branch_id}


async def covered(tx: AsyncConnection, staff_id: str) -> list[Covered]:
    """The colleagues' roles that a staff member covers today."""
    return [Covered(**vars(role)) for role in await covered_today(tx, staff_id, subtree)]


async def owner_rows(tx: AsyncConnection, customer_id: str) -> list[OwnerRow]:
    """The owners of one customer; none if he is unknown or has none."""
    columns = (owners.c.branch_id, owners.c.side, owners.c.manager_id, owners.c.private_manager_id)
    rows = await tx.execute(select(*columns).where(owners.c.customer_id == customer_id))
    return [OwnerRow(*row) for row in rows]


async def revoked(tx: AsyncConnection, now: datetime) -> list[tuple[str, datetime]]:
    """Sessions that were signed out and whose tokens have not expired yet."""
    rows = await tx.execute(select(revoked_sessions).where(revoked_sessions.c.expire_time > now))
    return [(row.session_id, row.expire_time) for row in rows]


_SUBTREE = text("""
WITH RECURSIVE below (branch_id) AS (
    SELECT CAST(:top AS text)
    UNION
    SELECT branches.branch_id FROM branches JOIN below ON branches.parent_id = below.branch_id
)
SELECT branch_id FROM below
""")
