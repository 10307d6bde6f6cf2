"""Keeps this process's list of ended sessions."""

from chassis import clock
from chassis.sql.engine import Database
from chassis.tokens import Revocations
from chassis.wakeups import Wakeups
from services.assignment_svc.store import org, sessions

_LOOK_SECONDS = 1.0


async def watch_revocations(database: Database, revocations: Revocations, wakeups: Wakeups) -> None:
    """Reads which sessions were ended on whatever instance: after a wake-up, else every second."""
    with wakeups.listening(org.FEED) as listener:
        while True:
            async with database.read() as conn:
                ended = await sessions.revoked(conn)
            revocations.forget(clock.now())
            for one in ended:
                revocations.add(one.session_id, one.expire_time)
            await listener.wait(_LOOK_SECONDS)
