"""Signs staff in and out (design.md 4.4).

Passwords are checked in threads, two at a time: each takes 64 MiB and 50 ms.
"""

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.errors import Kind, Refused, not_found
from chassis.sql.engine import Database
from services.assignment_svc.domain.organisation import Staff
from services.assignment_svc.domain.passwords import LENGTH_MAX
from services.assignment_svc.domain.sessions import Refresh, Session, begun, judge, renewed
from services.assignment_svc.store import org, sessions
from services.assignment_svc.store.sessions import Credentials
from services.assignment_svc.store.throttle import Throttle

PASSWORD_LENGTH_MAX = LENGTH_MAX
LOGIN_LENGTH_MAX = 64
_SECRET_BYTES = 32
_THREADS = 2

# Told of a session that ended: its tokens are refused from now on.
Ended = Callable[[str, datetime], Awaitable[None]]


@dataclass(frozen=True)
class SignIn:
    """A session with its staff member and the refresh token that only this answer tells."""

    session: Session
    staff: Staff
    refresh_token: str
    now: datetime


class Sessions:
    """The verbs of sessions, with what they need."""

    def __init__(self, database: Database, throttle: Throttle, ended: Ended) -> None:
        self._database = database
        self._throttle = throttle
        self._ended = ended
        self._hasher = PasswordHasher()
        self._decoy = self._hasher.hash(secrets.token_hex(_SECRET_BYTES))
        self._threads = ThreadPoolExecutor(_THREADS, "argon2")

    async def sign_in(self, login: str, password: str) -> SignIn:
        """Begins a session. Refuses unknown logins, wrong passwords and inactive staff alike, and too many tries."""
        staff, known = await self.check(login, password)
        if known.password_once:
            message = "an administrator set this password: change it first"
            raise Refused(Kind.PRECONDITION, "PASSWORD_ONCE", message)
        async with self._database.begin() as tx:
            return await begin_session(tx, staff, known.now)

    async def check(self, login: str, password: str) -> tuple[Staff, Credentials]:
        """Who signs in so; refuses as `sign_in` does, and counts with its failures."""
        async with self._throttle.trying(login):
            return await self._check(login, password)

    async def hash(self, password: str) -> str:
        """What a password is checked against later."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def _check(self, login: str, password: str) -> tuple[Staff, Credentials]:
        async with self._database.read() as conn:
            known = await sessions.credentials(conn, login)
        right = await self._verify(known.password_hash or self._decoy, password)
        async with self._database.read() as conn:
            staff = await org.get_staff(conn, known.staff_id or "")
        if not right or staff is None or not staff.is_active(clock.bank_date(known.now)):
            raise sign_in_refused()
        return staff, known

    async def refresh(self, refresh_token: str) -> SignIn:
        """Renews a session. A token's second use ends the session, which is stored although it is refused."""
        session_id, _, secret = refresh_token.partition(".")
        signed_in, stolen_until = await self._database.repeat(
            lambda tx: self._refresh(tx, session_id, _hash(secret)),
        )
        if stolen_until is not None:
            await self._ended(session_id, stolen_until)
        if signed_in is None:
            raise Refused(Kind.UNAUTHENTICATED, "REFRESH_REFUSED", "the refresh token is not good any more")
        return signed_in

    async def get(self, session_id: str) -> tuple[Session, Staff]:
        """A session that has not ended, with its staff member."""
        async with self._database.read() as conn:
            session = await sessions.get_session(conn, session_id)
            if session is None or session.ended:
                raise not_found()
            staff = await org.get_staff(conn, session.staff_id)
        if staff is None:
            raise not_found()
        return session, replace(staff, roles=session.roles_left(staff.roles))

    async def sign_out(self, session_id: str) -> None:
        """Ends a session: its tokens are refused here at once, everywhere when the org feed has told."""
        async with self._database.begin() as tx:
            until = await sessions.end_session(tx, session_id)
        if until is not None:
            await self._ended(session_id, until)

    async def _refresh(
        self, tx: AsyncConnection, session_id: str, refresh_hash: bytes
    ) -> tuple[SignIn | None, datetime | None]:
        session = await sessions.lock_session(tx, session_id)
        now = await sessions.now(tx)
        worth = judge(session, refresh_hash, now) if session else Refresh.WORTHLESS
        if worth is Refresh.STOLEN:
            return None, await sessions.end_session(tx, session_id)
        staff = await org.get_staff(tx, session.staff_id) if session else None
        if session is None or worth is Refresh.WORTHLESS or staff is None:
            return None, None
        staff = replace(staff, roles=session.roles_left(staff.roles))
        if not staff.is_active(clock.bank_date(now)) or not staff.roles:
            return None, None
        secret, next_hash = _new_secret()
        session = renewed(session, next_hash, now)
        await sessions.put_session(tx, session)
        return SignIn(session, staff, f"{session_id}.{secret}", now), None

    async def _verify(self, password_hash: str, password: str) -> bool:
        """Says whether the password is right; a hash that is none costs as much as a wrong password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _is_right, self._hasher, password_hash, password)


async def begin_session(
    tx: AsyncConnection, staff: Staff, now: datetime, role_limit: tuple[str, ...] | None = None
) -> SignIn:
    """Stores a new session. The sign-in tells the roles that the member has in it."""
    secret, refresh_hash = _new_secret()
    session = begun(uuid.uuid4().hex, staff.staff_id, refresh_hash, now, role_limit)
    await sessions.add_session(tx, session)
    limited = replace(staff, roles=session.roles_left(staff.roles))
    return SignIn(session, limited, f"{session.session_id}.{secret}", now)


def sign_in_refused() -> Refused:
    """The one refusal of a sign-in, whatever is wrong with it."""
    return Refused(Kind.UNAUTHENTICATED, "SIGN_IN_REFUSED", "login or password is wrong")


def _is_right(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _new_secret() -> tuple[str, bytes]:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return secret, _hash(secret)


def _hash(secret: str) -> bytes:
    """What is kept of a refresh token: it is random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
