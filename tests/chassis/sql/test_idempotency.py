import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.sql.idempotency import Asked, answer_given, forget_answers, remember


def asked(request_id, caller="staff1", method="Assign", request=b"c1 to staff2"):
    return Asked(request_id, caller, method, request)


async def test_sixteen_identical_calls_have_one_effect_and_one_answer(database):
    request_id = str(uuid.uuid4())
    effects = []

    async def call(number):
        async def work(tx):
            given = await answer_given(tx, asked(request_id))
            if given is not None:
                return given
            effects.append(number)
            answer = f"answer {number}".encode()
            await remember(tx, asked(request_id), answer)
            return answer

        return await database.repeat(work)

    answers = await asyncio.gather(*(call(number) for number in range(16)))
    assert len(effects) == 1
    assert set(answers) == {f"answer {effects[0]}".encode()}


async def test_another_caller_and_another_method_are_other_requests(database):
    request_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await remember(tx, asked(request_id), b"yes")
        assert await answer_given(tx, asked(request_id, caller="staff2")) is None
        assert await answer_given(tx, asked(request_id, method="Release")) is None
        assert await answer_given(tx, asked(request_id)) == b"yes"


async def test_an_id_that_was_given_to_another_request_is_refused(database):
    request_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await remember(tx, asked(request_id), b"yes")
        with pytest.raises(Refused) as refused:
            await answer_given(tx, asked(request_id, request=b"c2 to staff2"))
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert [violation.field for violation in refused.value.violations] == ["request_id"]


async def test_an_id_that_is_no_uuid_is_refused(database):
    async with database.begin() as tx:
        with pytest.raises(Refused) as refused:
            await answer_given(tx, asked("again"))
    assert refused.value.reason == "FIELD_INVALID"
    assert [violation.field for violation in refused.value.violations] == ["request_id"]


async def test_old_answers_are_forgotten_and_young_ones_kept(database):
    old, young = str(uuid.uuid4()), str(uuid.uuid4())
    async with database.begin() as tx:
        await remember(tx, asked(old), b"old")
        await tx.execute(
            text("UPDATE idempotency SET create_time = bank_now() - interval '8 days' WHERE request_id = :id"),
            {"id": old},
        )
        await remember(tx, asked(young), b"young")
    assert await forget_answers(database, timedelta(days=7)) == 1
    async with database.begin() as tx:
        assert await answer_given(tx, asked(old)) is None
        assert await answer_given(tx, asked(young)) == b"young"
