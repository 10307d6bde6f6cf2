"""When a staff member may sign in and stay signed in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

ACCESS_LIFE = timedelta(minutes=15)
SESSION_LIFE = timedelta(hours=12)
# Enough for two days of refreshing; a token older than that is refused without ending the session.
USED_HASHES_MAX = 200


@dataclass(frozen=True)
class Session:
    """A sign-in on one device. `refresh_hash` is that of the one refresh token that still works."""

    session_id: str
    staff_id: str
    refresh_hash: bytes
    used_hashes: tuple[bytes, ...]
    access_expire_time: datetime
    expire_time: datetime
    ended: bool
    create_time: datetime
    role_limit: tuple[str, ...] | None = None
    """The roles that an outside identity leaves him of his own; None leaves all."""

    def roles_left(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Those of his roles that he has in this session."""
        return tuple(role for role in roles if self.role_limit is None or role in self.role_limit)


class Refresh(Enum):
    """What a refresh token is worth."""

    GOOD = auto()
    WORTHLESS = auto()
    STOLEN = auto()
    """It worked once already: one of its two users is a thief, and the session must end."""


def judge(session: Session, refresh_hash: bytes, at: datetime) -> Refresh:
    """Says what a refresh token is worth for a session."""
    if session.ended or at >= session.expire_time:
        return Refresh.WORTHLESS
    if refresh_hash == session.refresh_hash:
        return Refresh.GOOD
    return Refresh.STOLEN if refresh_hash in session.used_hashes else Refresh.WORTHLESS


def renewed(session: Session, refresh_hash: bytes, at: datetime) -> Session:
    """The session with its next refresh token, its ends moved on."""
    return replace(
        session,
        refresh_hash=refresh_hash,
        used_hashes=(*session.used_hashes, session.refresh_hash)[-USED_HASHES_MAX:],
        access_expire_time=at + ACCESS_LIFE,
        expire_time=at + SESSION_LIFE,
    )


def begun(
    session_id: str, staff_id: str, refresh_hash: bytes, at: datetime, role_limit: tuple[str, ...] | None = None
) -> Session:
    """A new session."""
    return Session(
        session_id=session_id,
        staff_id=staff_id,
        refresh_hash=refresh_hash,
        used_hashes=(),
        access_expire_time=at + ACCESS_LIFE,
        expire_time=at + SESSION_LIFE,
        ended=False,
        create_time=at,
        role_limit=role_limit,
    )
