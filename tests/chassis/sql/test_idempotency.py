import asyncio
import uuid
from datetime import timedelta

from sqlalchemy import text

from chassis.sql.idempotency import answer_given, forget_answers, remember


async def test_sixteen_identical_calls_have_one_effect_and_one_answer(database):
    request_id = str(uuid.uuid4())
    effects = []

    async def call(number):
        async def work(tx):
            given = await answer_given(tx, request_id, "staff1", "Assign")
            if given is not None:
                return given
            effects.append(number)
            answer = f"answer {number}".encode()
            await remember(tx, request_id, "staff1", "Assign", answer)
            return answer

        return await database.repeat(work)

    answers = await asyncio.gather(*(call(number) for number in range(16)))
    assert len(effects) == 1
    assert set(answers) == {f"answer {effects[0]}".encode()}


async def test_another_caller_and_another_method_are_other_requests(database):
    request_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await remember(tx, request_id, "staff1", "Assign", b"yes")
        assert await answer_given(tx, request_id, "staff2", "Assign") is None
        assert await answer_given(tx, request_id, "staff1", "Release") is None
        assert await answer_given(tx, request_id, "staff1", "Assign") == b"yes"


async def test_old_answers_are_forgotten_and_young_ones_kept(database):
    old, young = str(uuid.uuid4()), str(uuid.uuid4())
    async with database.begin() as tx:
        await remember(tx, old, "staff1", "Assign", b"old")
        await tx.execute(
            text("UPDATE idempotency SET create_time = bank_now() - interval '8 days' WHERE request_id = :id"),
            {"id": old},
        )
        await remember(tx, young, "staff1", "Assign", b"young")
    assert await forget_answers(database, timedelta(days=7)) == 1
    async with database.begin() as tx:
        assert await answer_given(tx, old, "staff1", "Assign") is None
        assert await answer_given(tx, young, "staff1", "Assign") == b"young"
