"""Requests that nobody answers: the next level, then an end; each once, whoever is killed meanwhile."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from banyan.assignment.v1 import ownership_request_pb2 as rp

from services.assignment_svc.jobs.escalations import run_once

R, A, T = rp.OwnershipRequest, rp.Approval, rp.RequestTransition
# A process that does what the leader's does, over and over, and may be killed at any time.
INSTANCE = """
import asyncio, sys
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.jobs.escalations import run_once
from services.assignment_svc.usecases import escalations
escalations.AT_ONCE = 7
async def main():
    database, wakeups = Database(sys.argv[1], application="test"), Wakeups(None)
    print("ready", flush=True)
    while True:
        await run_once(database, wakeups)
asyncio.run(main())
"""


async def run(bank) -> None:
    await run_once(bank.database, bank.service.parts.wakeups)


async def test_it_is_due_after_five_working_days_and_over_after_ten_more(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    [(created, due, expire)] = await bank.rows("SELECT create_time, due_time, expire_time FROM ownership_request")
    assert (due - created).days in {6, 7, 8}
    assert (expire - created).days in {20, 21, 22}
    assert due == datetime.fromtimestamp(made.due_time.seconds, UTC)


async def test_holidays_are_no_working_days(bank) -> None:
    first = await bank.as_("nm").create("PUSH", "c2", to_manager="staff/nm2")
    await bank.run(
        "INSERT INTO bank_holiday (day, is_working, display_name) SELECT CAST(bank_now() AS date) + n, false, 'h'"
        " FROM generate_series(1, 7) AS n"
    )
    second = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    assert (second.due_time.seconds - first.due_time.seconds) // 86_400 >= 7


async def test_nobodys_answer_goes_one_level_up_and_then_is_a_no(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    await run(bank)
    assert (await bank.as_("nm").get(made.name)).level == 0, "not due yet"
    await bank.as_("sh").approve(made.name)
    await bank.later(made.name)
    await run(bank)
    raised = await bank.as_("rh").get(made.name)
    assert (raised.level, raised.waits_for_caller) == (1, True)
    assert [one.desk_branch for one in raised.approvals] == ["branches/region", "branches/south"]
    assert raised.transitions[-1].actor == "escalation"
    assert await bank.as_("nh").inbox() == []
    assert (await refusal_of(bank.as_("nh").approve(made.name)))[1] == "NOT_APPROVER"
    await bank.later(made.name)
    await run(bank)
    over = await bank.as_("nm").get(made.name)
    assert (over.state, over.transitions[-1].event) == (R.STATE_EXPIRED, T.EVENT_TIME_OUT)
    assert [one.state for one in over.approvals] == [A.STATE_VOID, A.STATE_APPROVED]
    assert (await bank.holds(), (await bank.owners())[0]) == ([], ("PRIMARY", "north", "nm"))
    await run(bank)
    assert await bank.rows("SELECT count(*) FROM request_transition") == [(4,)]
    assert (await refusal_of(bank.as_("rh").approve(made.name)))[1] == "REQUEST_DECIDED"


async def test_the_next_level_approves_in_the_heads_place(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    await bank.later(made.name)
    await run(bank)
    assert (await bank.as_("rh").approve(made.name)).state == R.STATE_APPROVED


async def test_who_answers_is_found_anew_when_a_head_leaves_or_comes(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    await bank.run("UPDATE staff SET active_until_date = '2026-06-29' WHERE staff_id = 'nh'")
    await run(bank)
    assert await bank.as_("rh").inbox() == [made.name]
    await bank.run("UPDATE staff SET active_until_date = NULL WHERE staff_id = 'nh'")
    await run(bank)
    assert (await bank.as_("rh").inbox(), await bank.as_("nh").inbox()) == ([], [made.name])


async def test_nothing_expires_while_facts_are_imported_and_the_rest_goes_on(bank) -> None:
    last = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    first = await bank.as_("nm").create("PUSH", "c2", to_manager="staff/nm2")
    await bank.later(last.name)
    await run(bank)
    for name in (first.name, last.name):
        await bank.later(name)
    await bank.run("UPDATE allocation_day SET facts_date = NULL")
    await run(bank)
    states = "SELECT state, level FROM ownership_request ORDER BY customer_id"
    assert await bank.rows(states) == [("PENDING", 1), ("PENDING", 1)]
    await bank.run("UPDATE allocation_day SET facts_date = business_date")
    await run(bank)
    assert await bank.rows(states) == [("EXPIRED", 1), ("PENDING", 1)]


async def fill(bank, count: int) -> None:
    """Due transfers of as many customers, half of them at the last level."""
    await bank.run(
        "INSERT INTO ownership (customer_id, state, business_date)"
        " SELECT 'e' || n, 'LIVE', '2026-06-30' FROM generate_series(1, :count) AS n",
        count=count,
    )
    await bank.run(
        "INSERT INTO ownership_request (customer_id, request_id, kind, state, exclusive, from_branch_id, to_branch_id,"
        " reason, level, due_time, expire_time, creator)"
        " SELECT 'e' || n, 'r' || n, 'PUSH', 'PENDING', true, 'north', 'south', 'r', n % 2,"
        " bank_now() - interval '1 h', CASE n % 2 WHEN 0 THEN bank_now() + interval '1 d' ELSE bank_now() END, 'nm'"
        " FROM generate_series(1, :count) AS n",
        count=count,
    )
    await bank.run(
        "INSERT INTO request_approval (customer_id, request_id, side, branch_id, level)"
        " SELECT customer_id, request_id, side, from_branch_id, level FROM ownership_request,"
        " (VALUES ('GIVER'), ('TAKER')) AS sides (side)"
    )
    await bank.run(
        "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, reason)"
        " SELECT customer_id, request_id, 'TRANSFER', 'north', '2026-06-30', 'r' FROM ownership_request"
    )


async def test_of_two_instances_one_is_killed_and_each_request_goes_on_once(bank, assignment_url) -> None:
    await fill(bank, 300)
    root = Path.cwd()
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root}/gen"}
    instances = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", INSTANCE, assignment_url, env=environment, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    for one in instances:
        assert one.stdout is not None
        await one.stdout.readline()
    begun = "SELECT count(*) > 20 FROM request_transition"
    async with asyncio.timeout(30):
        while await bank.rows(begun) == [(False,)]:  # noqa: ASYNC110 -- of another process only the database tells
            await asyncio.sleep(0.005)
    instances[0].send_signal(signal.SIGKILL)
    due = "SELECT count(*) FROM ownership_request WHERE state = 'PENDING' AND due_time <= bank_now()"
    async with asyncio.timeout(30):
        while await bank.rows(due) != [(0,)]:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.05)
    instances[1].send_signal(signal.SIGKILL)
    for one in instances:
        await one.wait()
    counts = "SELECT event, count(*), count(DISTINCT request_id) FROM request_transition GROUP BY 1 ORDER BY 1"
    assert await bank.rows(counts) == [("ESCALATE", 150, 150), ("TIME_OUT", 150, 150)]
    assert await bank.rows("SELECT count(*) FROM ownership_hold") == [(150,)]
    desks = "SELECT desk_branch_id, level, count(*) FROM request_approval WHERE answer = 'WAITING' GROUP BY 1, 2"
    assert await bank.rows(desks) == [("region", 1, 300)]
