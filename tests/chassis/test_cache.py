import asyncio
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from chassis import clock
from chassis.cache import Cache
from chassis.feed import Wakeups
from devstack import valkey as valkey_server
from devstack.home import Home
from devstack.process import start_all, stop_all


@pytest.fixture
async def cache(valkey_url):
    cache = Cache(valkey_url)
    yield cache
    await cache.close()


@pytest.fixture
def key():
    return str(uuid.uuid4())


async def test_what_was_set_is_found_until_its_time_is_over(cache, key):
    assert await cache.get(key) is None
    await cache.set(key, b"\0value", ttl=0.2)
    assert await cache.get(key) == b"\0value"
    await asyncio.sleep(0.25)
    assert await cache.get(key) is None


async def test_what_was_deleted_is_not_found(cache, key):
    await cache.set(key, b"value", ttl=60)
    await cache.delete(key)
    assert await cache.get(key) is None


async def test_calls_are_counted_over_all_instances_until_the_window_ends(cache, valkey_url, key):
    other = Cache(valkey_url)
    counts = [await one.count_in_window(key, 0.3) for one in (cache, other, cache)]
    assert counts == [1, 2, 3]
    await asyncio.sleep(0.35)
    assert await other.count_in_window(key, 0.3) == 1
    await other.close()


async def test_a_huge_value_is_not_kept(cache, key):
    await cache.set(key, b"x" * ((1 << 20) + 1), ttl=60)
    assert await cache.get(key) is None


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1"])
async def test_without_valkey_no_call_fails_or_waits(url, key):
    cache = Cache(url)
    began = clock.monotonic_seconds()
    for _ in range(100):
        await cache.set(key, b"value", ttl=60)
        assert await cache.get(key) is None
        assert await cache.count_in_window(key, 60) is None
    assert clock.monotonic_seconds() - began < 1
    await cache.close()


async def test_valkey_that_is_killed_fails_no_call_and_is_used_again_when_it_is_back(key):
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    spec = valkey_server.spec(Home(folder))
    children = await asyncio.to_thread(start_all, [spec], Home(folder))
    url = valkey_server.url(spec.port)
    cache, wakeups = Cache(url), Wakeups(url)
    await cache.set(key, b"value", ttl=60)
    assert await cache.count_in_window(key, 60) == 1
    await wakeups.wait("feed", 0.2)  # connects

    await asyncio.to_thread(stop_all, children)
    for _ in range(20):
        assert await cache.get(key) is None
        await cache.set(key, b"value", ttl=60)
        await wakeups.notify("feed")

    children = await asyncio.to_thread(start_all, [spec], Home(folder))
    other = Wakeups(url)
    woken = False
    for _ in range(50):
        await other.notify("feed")
        woken = await wakeups.wait("feed", 0.1) or woken
        await cache.set(key, b"again", ttl=60)
        if woken and await cache.get(key) == b"again":
            break
    assert woken
    assert await cache.get(key) == b"again"
    for one in (cache, wakeups, other):
        await one.close()
    await asyncio.to_thread(stop_all, children)
    shutil.rmtree(folder)
