"""Sign-ins that fail too often: counted together through Valkey, alone without it."""

import asyncio
import uuid

import pytest

from chassis.cache import Cache
from chassis.errors import Kind, Refused
from services.assignment_svc.store.throttle import Throttle


async def wrong_password() -> None:
    await asyncio.sleep(0)
    raise Refused(Kind.UNAUTHENTICATED, "SIGN_IN_REFUSED", "wrong")


async def fail(throttle: Throttle, login: str) -> str:
    """The reason of a try whose password is wrong."""
    try:
        async with throttle.trying(login):
            await wrong_password()
    except Refused as refused:
        return refused.reason
    return "admitted"


async def succeed(throttle: Throttle, login: str) -> None:
    async with throttle.trying(login):
        pass


@pytest.fixture
async def caches(valkey_url: str):
    opened = [Cache(valkey_url), Cache(valkey_url)]
    yield opened
    for cache in opened:
        await cache.close()


async def test_ten_failures_on_whatever_instance_are_enough(caches) -> None:
    login = str(uuid.uuid4())
    one, other = (Throttle(cache) for cache in caches)
    reasons = [await fail(throttle, login) for throttle in (one, other) * 5]
    assert set(reasons) == {"SIGN_IN_REFUSED"}
    assert {await fail(one, login), await fail(other, login)} == {"SIGN_IN_THROTTLED"}
    await succeed(one, str(uuid.uuid4()))


async def test_successes_cost_nothing(caches) -> None:
    throttle = Throttle(caches[0])
    for _ in range(15):
        await succeed(throttle, "busy")


async def test_many_tries_at_once_get_no_more_than_one_after_the_other(caches) -> None:
    throttle, login = Throttle(caches[0]), str(uuid.uuid4())
    reasons = await asyncio.gather(*(fail(throttle, login) for _ in range(40)))
    assert reasons.count("SIGN_IN_REFUSED") == 10
    assert throttle._locks == throttle._waiting == {}


async def test_an_instance_without_valkey_allows_a_tenth() -> None:
    throttle = Throttle(Cache(None))
    assert [await fail(throttle, "anna") for _ in range(2)] == ["SIGN_IN_REFUSED", "SIGN_IN_THROTTLED"]
    with pytest.raises(Refused) as caught:
        await succeed(throttle, "anna")
    assert 0 < int(caught.value.metadata["retry_after_seconds"]) <= 900


async def test_an_instance_remembers_a_limited_number_of_logins() -> None:
    throttle = Throttle(Cache(None))
    for number in range(10_010):
        await throttle._add_failure(str(number))
    assert len(throttle._uncounted) == 10_000
