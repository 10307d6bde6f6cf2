"""What may be forgotten: costly results that name nobody, and counts for throttles, in Valkey (design 4.8).

Losing Valkey loses no data and fails no call: an absent answer is worked out, an absent count is None.
"""

from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis import clock

T = TypeVar("T")
log = structlog.get_logger(__name__)

_PREFIX = "banyan:cache:"
_SECONDS = 0.25
# After a failure Valkey is left alone for this long, so that its absence costs callers nothing.
_PAUSE_SECONDS = 1.0
_VALUE_BYTES_MAX = 1 << 20

# The first hit of a window sets its end, so that a window that is hit for ever ends too.
_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class Cache:
    """Valkey, or nothing: without a URL, and while Valkey is gone, nothing is found and nothing kept."""

    def __init__(self, valkey_url: str | None) -> None:
        self._client = (
            Redis.from_url(
                valkey_url,
                socket_timeout=_SECONDS,
                socket_connect_timeout=_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            if valkey_url
            else None
        )
        self._paused_until = 0.0

    async def get(self, key: str) -> bytes | None:
        """What was kept under the key, or None."""
        return None if self._rests() else await self._tried(self._valkey().get(_PREFIX + key))

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keeps a value for `ttl` seconds at most; one above 1 MiB is not kept."""
        if len(value) <= _VALUE_BYTES_MAX and not self._rests():
            await self._tried(self._valkey().set(_PREFIX + key, value, px=max(1, round(ttl * 1000))))

    async def delete(self, key: str) -> None:
        """Forgets a value; without Valkey, others may go on finding it until its time is over."""
        if not self._rests():
            await self._tried(self._valkey().delete(_PREFIX + key))

    async def count_in_window(self, key: str, window_seconds: float) -> int | None:
        """Counts this call and returns how many there were in the key's window so far; None if nobody can tell.

        The window begins with its first call. Who throttles by it falls back on a count of his own, ten times stricter.
        """
        if self._rests():
            return None
        milliseconds = max(1, round(window_seconds * 1000))
        return await self._tried(self._valkey().eval(_COUNT, 1, f"{_PREFIX}count:{key}", milliseconds))

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _rests(self) -> bool:
        return self._client is None or clock.monotonic_seconds() < self._paused_until

    def _valkey(self) -> Any:  # noqa: ANN401 - redis-py types each command for both its colours
        assert self._client is not None
        return self._client

    async def _tried(self, command: Awaitable[T]) -> T | None:
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = clock.monotonic_seconds() + _PAUSE_SECONDS
            log.warning("cache_failed", error=repr(error))
            return None
