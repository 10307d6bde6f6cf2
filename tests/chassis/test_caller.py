import asyncio
from datetime import UTC, datetime

import pytest

from chassis.caller import (
    ANY_ROLE,
    ANY_STAFF,
    PUBLIC,
    Caller,
    Role,
    caller_or_none,
    calling,
    current_caller,
    current_request_id,
    enter_call,
)

CALLER = Caller(
    "s1", "b1", frozenset({Role.MANAGER}), "x1", "banyan/assignment_svc", datetime(2026, 1, 1, tzinfo=UTC), "t"
)


def test_who_calls_is_known_inside_only():
    with calling(CALLER, "r-1"):
        assert current_caller() is CALLER
        assert current_request_id() == "r-1"
    assert caller_or_none() is None
    assert current_request_id() == ""
    with pytest.raises(AssertionError, match="there is no caller"):
        current_caller()


async def test_a_call_is_entered_for_its_own_task_only():
    async def call() -> Caller:
        enter_call(CALLER, "r-1")
        await asyncio.sleep(0)
        return current_caller()

    assert await asyncio.create_task(call()) is CALLER
    assert caller_or_none() is None


def test_sets_of_roles_are_what_their_names_say():
    assert Role.SERVICE not in ANY_STAFF
    assert {Role.SERVICE} == ANY_ROLE - ANY_STAFF
    assert not PUBLIC
