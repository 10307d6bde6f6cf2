"""Sets, takes away and changes passwords. Whoever had a session by the old one has it no more."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.organisation import Staff
from services.assignment_svc.domain.passwords import password_fault
from services.assignment_svc.store import accounts, org, org_changes, sessions
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.usecases.sessions import Sessions, sign_in_refused


async def check_password(conn: AsyncConnection, actor: str, staff_id: str, password: str | None) -> Staff:
    """Refuses a password (None: that there be none) that the actor may not give this staff member; tells who he is."""
    staff = await org.get_staff(conn, staff_id)
    if staff is None:
        raise not_found()
    if staff_id == actor:
        raise Refused(Kind.FORBIDDEN, "OWN_ACCOUNT", "one's own password is changed by ChangePassword")
    if password is None:
        return staff
    if staff.login is None:
        given = {"staff": staff_id}
        raise Refused(Kind.PRECONDITION, "LOGIN_MISSING", "the staff member has no login: give him one first", given)
    _check_strength("password", password, staff)
    return staff


async def put_password(tx: AsyncConnection, telling: Telling, staff_id: str, password_hash: str | None) -> int:
    """Stores a password that works once, or that there is none; tells how many sessions were ended."""
    await org_changes.tell(tx, telling)
    await accounts.put_password(tx, staff_id, password_hash, once=password_hash is not None)
    return await sessions.end_sessions(tx, [staff_id])


async def change_password(  # noqa: PLR0913, PLR0917 -- three of them are texts that a person gave
    database: Database, signing_in: Sessions, wakeups: Wakeups, login: str, old: str, new: str
) -> None:
    """Changes one's own password, by the old one, and ends all of one's sessions."""
    staff, known = await signing_in.check(login, old)
    _check_strength("new_password", new, staff)
    if new == old:
        raise invalid_field("new_password", "must be another than the old one", "PASSWORD_WEAK")
    password_hash = await signing_in.hash(new)
    async with database.begin() as tx:
        # Somebody set another one, or took it away, since this one was looked at.
        if await sessions.lock_credentials(tx, staff.staff_id) != known.password_hash:
            raise sign_in_refused()
        await org_changes.tell(tx, Telling(staff.staff_id, "ChangePassword"))
        await accounts.put_password(tx, staff.staff_id, password_hash, once=False)
        await sessions.end_sessions(tx, [staff.staff_id])
    await wakeups.notify(org.FEED)


def _check_strength(field: str, password: str, staff: Staff) -> None:
    fault = password_fault(password, staff.login or "", staff.display_name)
    if fault is not None:
        raise invalid_field(field, fault, "PASSWORD_WEAK")
