"""Sign-ins, and whom a login belongs to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.organisation import RevokedSession
from services.assignment_svc.domain.sessions import Session
from services.assignment_svc.store.tables import session, staff

# A login that nobody has is checked against somebody's hash all the same: the time it takes tells nothing.
_LOGIN = text(
    """
SELECT bank_now() AS now, s.staff_id, coalesce(s.password_hash, decoy.password_hash) AS password_hash,
  coalesce(s.password_once, false) AS password_once
FROM (SELECT 1) one
LEFT JOIN staff s ON s.login = :login AND s.password_hash IS NOT NULL AND NOT s.gone
LEFT JOIN (SELECT password_hash FROM staff WHERE password_hash IS NOT NULL ORDER BY staff_id LIMIT 1) decoy ON true
"""
)
_END = text(
    "UPDATE session SET ended = true, rev = pg_current_xact_id() WHERE session_id = :session_id AND NOT ended"
    " RETURNING access_expire_time"
)
_END_ALL = text(
    "UPDATE session SET ended = true, rev = pg_current_xact_id()"
    " WHERE staff_id = ANY (CAST(:staff_ids AS text[])) AND NOT ended"
)
_REVOKED = text("SELECT session_id, access_expire_time FROM session WHERE ended AND access_expire_time > bank_now()")
_FORGET = text(
    "DELETE FROM session WHERE session_id IN (SELECT session_id FROM session"
    " WHERE expire_time < bank_now() - interval '1 day' LIMIT 10000)"
)


@dataclass(frozen=True)
class Credentials:
    """What to check a password against; nobody's if the login is unknown."""

    staff_id: str | None
    password_hash: str | None
    now: datetime
    password_once: bool = False
    """An administrator set the password: it serves for changing it, and nothing else."""


async def credentials(conn: AsyncConnection, login: str) -> Credentials:
    """The credentials of a login; for an unknown one a decoy's hash, if anybody has a hash."""
    row = (await conn.execute(_LOGIN, {"login": login})).one()
    return Credentials(row.staff_id, row.password_hash, row.now, row.password_once)


async def lock_credentials(tx: AsyncConnection, staff_id: str) -> str | None:
    """What a staff member's password is checked against, kept from others until `tx` ends."""
    query = select(staff.c.password_hash).where(staff.c.staff_id == staff_id, ~staff.c.gone).with_for_update()
    return (await tx.execute(query)).scalar_one_or_none()


async def now(conn: AsyncConnection) -> datetime:
    """The bank's clock."""
    return (await conn.execute(text("SELECT bank_now()"))).scalar_one()


async def add_session(tx: AsyncConnection, begun: Session) -> None:
    """Stores a new session."""
    await tx.execute(insert(session).values(**_values(begun)))


async def get_session(conn: AsyncConnection, session_id: str) -> Session | None:
    """One session."""
    row = (await conn.execute(select(session).where(session.c.session_id == session_id))).one_or_none()
    return _session(row) if row else None


async def lock_session(tx: AsyncConnection, session_id: str) -> Session | None:
    """One session, kept from others until `tx` ends: of two refreshes with one token, one comes second."""
    row = (await tx.execute(select(session).where(session.c.session_id == session_id).with_for_update())).one_or_none()
    return _session(row) if row else None


async def put_session(tx: AsyncConnection, renewed: Session) -> None:
    """Stores a session that was refreshed."""
    await tx.execute(update(session).where(session.c.session_id == renewed.session_id).values(**_values(renewed)))


async def end_session(tx: AsyncConnection, session_id: str) -> datetime | None:
    """Ends a session, for the org feed to tell; returns when its last access token expires, None if it had ended."""
    return (await tx.execute(_END, {"session_id": session_id})).scalar_one_or_none()


async def end_sessions(tx: AsyncConnection, staff_ids: Collection[str]) -> int:
    """Ends all sessions of staff members, for the org feed to tell; returns how many."""
    return (await tx.execute(_END_ALL, {"staff_ids": sorted(staff_ids)})).rowcount


async def revoked(conn: AsyncConnection) -> list[RevokedSession]:
    """Ended sessions of which an access token may still be about."""
    return [RevokedSession(row.session_id, row.access_expire_time) for row in await conn.execute(_REVOKED)]


async def forget_expired(tx: AsyncConnection) -> int:
    """Deletes sessions that ended by themselves more than a day ago, some at a time."""
    return (await tx.execute(_FORGET)).rowcount


def _values(of: Session) -> dict[str, object]:
    limit = None if of.role_limit is None else list(of.role_limit)
    return {**vars(of), "used_hashes": list(of.used_hashes), "role_limit": limit}


def _session(row: Row[Any]) -> Session:
    return Session(
        session_id=row.session_id,
        staff_id=row.staff_id,
        refresh_hash=row.refresh_hash,
        used_hashes=tuple(row.used_hashes),
        access_expire_time=row.access_expire_time,
        expire_time=row.expire_time,
        ended=row.ended,
        create_time=row.create_time,
        role_limit=None if row.role_limit is None else tuple(row.role_limit),
    )
