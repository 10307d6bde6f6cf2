"""How often a sign-in may fail (design.md 4.4): counted in Valkey for the whole system, else by this instance alone."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chassis import clock
from chassis.cache import Cache
from chassis.errors import Kind, Refused

WINDOW_SECONDS = 900
FAILURES_MAX = 10
# An instance that counts alone allows a tenth: others may allow as many.
FAILURES_ALONE_MAX = 1
_LOGINS_MAX = 10_000


class Throttle:
    """Admits tries for a login, one at a time, until too many failed; a success costs nothing."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        # When failures happened that Valkey could not count.
        self._uncounted: OrderedDict[str, list[float]] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def trying(self, login: str) -> AsyncGenerator[None]:
        """One try; a block that refuses has failed. Refuses without trying when the login has no tries left."""
        key = hashlib.sha256(login.encode()).hexdigest()
        async with self._alone(key):
            left = await self._seconds_left(key)
            if left > 0:
                raise _throttled(left)
            try:
                yield
            except Refused:
                await self._add_failure(key)
                raise

    async def _seconds_left(self, key: str) -> float:
        """How long the login must wait; 0 if it need not."""
        until = await self._cache.get(f"sign_in_blocked:{key}")
        left = float(until) - clock.now().timestamp() if until else 0.0
        recent = self._recent(key)
        if len(recent) >= FAILURES_ALONE_MAX:
            left = max(left, recent[0] + WINDOW_SECONDS - clock.monotonic_seconds())
        return left

    async def _add_failure(self, key: str) -> None:
        count = await self._cache.count_in_window(f"sign_in_failures:{key}", WINDOW_SECONDS)
        if count is None:
            self._uncounted[key] = [*self._recent(key), clock.monotonic_seconds()][-FAILURES_MAX:]
            self._uncounted.move_to_end(key)
            if len(self._uncounted) > _LOGINS_MAX:
                self._uncounted.popitem(last=False)
        elif count >= FAILURES_MAX:
            until = str(clock.now().timestamp() + WINDOW_SECONDS).encode()
            await self._cache.set(f"sign_in_blocked:{key}", until, WINDOW_SECONDS)

    def _recent(self, key: str) -> list[float]:
        since = clock.monotonic_seconds() - WINDOW_SECONDS
        return [at for at in self._uncounted.get(key, ()) if at > since]

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncGenerator[None]:
        """Lets one try of a login go on at a time: many at once would all pass before the first is known to fail."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]


def _throttled(seconds_left: float) -> Refused:
    seconds = str(max(1, round(seconds_left)))
    message = f"too many sign-ins failed; try again in {seconds} s"
    return Refused(Kind.EXHAUSTED, "SIGN_IN_THROTTLED", message, {"retry_after_seconds": seconds})
