"""Pulls: whoever makes one learns nothing of the customer before the giver's side says yes."""

from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import ownership_request_pb2 as rp

from services.assignment_svc.jobs.escalations import run_once

R, A, T = rp.OwnershipRequest, rp.Approval, rp.RequestTransition
PERSON = ("王小明", "110101199003077758")
SECRETS = ("name", "create_time", "due_time", "etag")


def seen(request) -> rp.OwnershipRequest:
    """What a request tells, but for what differs from one to the next."""
    copy = rp.OwnershipRequest()
    copy.CopyFrom(request)
    for field in (*SECRETS, "display_name", "masked_id_number"):
        copy.ClearField(field)
    for one in copy.approvals:
        one.ClearField("answer_time")
    for one in copy.transitions:
        one.ClearField("create_time")
    return copy


async def protect(bank) -> None:
    await bank.run(
        "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, until_date, reason)"
        " VALUES ('c1', 'p', 'PROTECTION', 'north', '2026-06-30', '2026-09-01', 'new')"
    )


async def freeze(bank) -> None:
    await bank.run("UPDATE ownership SET state = 'FROZEN' WHERE customer_id = 'c1'")


async def ask_for(bank) -> None:
    await bank.as_("nm").create("PUSH", to_manager="staff/nm2")


async def nothing(_bank) -> None:
    """The customer may be pulled."""


async def test_a_pull_moves_the_customer_once_both_heads_said_yes(bank) -> None:
    made = await bank.as_("sm").pull()
    assert (made.state, made.customer, made.from_branch, made.to_manager) == (R.STATE_PENDING, "", "", "staff/sm")
    assert (made.display_name, made.masked_id_number) == ("王小明", "110*************58")
    assert [one.side for one in made.approvals] == [A.SIDE_TAKER]
    giver = await bank.as_("nh").get(made.name)
    assert (giver.customer, giver.from_manager, giver.display_name) == ("customers/c1", "staff/nm", "")
    first = await bank.as_("nh").approve(made.name)
    assert first.state == R.STATE_PENDING
    assert seen(await bank.as_("sm").get(made.name)) == seen(made), "the giver's yes alone tells nothing"
    done = await bank.as_("sh").approve(made.name)
    assert (done.state, done.customer) == (R.STATE_APPROVED, "customers/c1")
    assert (await bank.as_("sm").get(made.name)).customer == "customers/c1"
    assert (await bank.owners())[0] == ("PRIMARY", "south", "sm")


@pytest.mark.parametrize("refused", [False, True])
async def test_another_request_of_the_takers_branch_does_not_tell_whether_the_giver_refused(
    bank, refusal_of, refused
) -> None:
    made = await bank.as_("sm").pull()
    if refused:
        await bank.as_("nh").refuse(made.name)
    code, reason, told = await refusal_of(bank.as_("sh").create("LOCK", end_date=date(2026, 12, 31)))
    assert (code, reason) == (grpc.StatusCode.ABORTED, "REQUEST_PENDING")
    assert f"ownershipRequests/{told['request']}" == made.name
    if refused:
        await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
        assert (await refusal_of(bank.as_("sh").create("LOCK", end_date=date(2026, 12, 31))))[2] == told


@pytest.mark.parametrize("before", [protect, freeze, ask_for, nothing])
@pytest.mark.parametrize("staff", ["sm", "sh"])
async def test_who_exists_who_does_not_and_who_may_not_be_pulled_look_alike(bank, before, staff) -> None:
    asker = bank.as_(staff)
    absent = await asker.pull("张三", "110101199003070000")
    await before(bank)
    real = await asker.pull()
    assert seen(absent) == seen(real)
    assert seen(await asker.get(absent.name)) == seen(await asker.get(real.name))
    listed = (await asker.page("MADE_BY_ME")).ownership_requests
    assert {seen(one).SerializeToString(deterministic=True) for one in listed} == {
        seen(listed[0]).SerializeToString(deterministic=True)
    }
    if staff == "sm":
        assert sorted(await bank.as_("sh").inbox()) == sorted([absent.name, real.name])
        for name in (absent.name, real.name):
            await bank.as_("sh").approve(name)
        assert seen(await asker.get(absent.name)) == seen(await asker.get(real.name))
        assert seen(await bank.as_("sh").get(absent.name)) == seen(await bank.as_("sh").get(real.name))
    taken_back = [seen(await asker.withdraw(name)) for name in (absent.name, real.name)]
    assert taken_back[0] == taken_back[1]
    assert (await bank.owners())[0] == ("PRIMARY", "north", "nm")


async def test_the_givers_no_is_told_to_the_taker_only_as_a_time_out(bank, refusal_of) -> None:
    made = await bank.as_("sm").pull()
    no = await bank.as_("nh").refuse(made.name, "he is ours")
    assert (no.state, [one.state for one in no.approvals]) == (R.STATE_REFUSED, [A.STATE_REFUSED, A.STATE_WAITING])
    assert no.transitions[-1].event == T.EVENT_REFUSE
    assert await bank.holds() == []
    assert seen(await bank.as_("sm").get(made.name)) == seen(made)
    assert (await bank.as_("sh").approve(made.name)).state == R.STATE_PENDING
    absent = await bank.as_("sm").pull("张三", "110101199003070000")
    await bank.as_("sh").approve(absent.name)
    for name in (made.name, absent.name):
        await bank.later(name)
    await run_once(bank.database, bank.service.parts.wakeups)
    assert seen(await bank.as_("sm").get(made.name)) == seen(await bank.as_("sm").get(absent.name))
    for name in (made.name, absent.name):
        await bank.later(name)
    await run_once(bank.database, bank.service.parts.wakeups)
    told = [seen(await bank.as_("sm").get(name)) for name in (made.name, absent.name)]
    assert told[0] == told[1]
    assert told[0].state == R.STATE_EXPIRED
    assert (await refusal_of(bank.as_("sm").withdraw(made.name)))[1] == "REQUEST_DECIDED"
    assert (await bank.as_("nm").create("PUSH", to_manager="staff/nm2")).state == R.STATE_PENDING


async def test_the_giver_is_told_of_a_pull_that_the_rules_refuse_and_answers_nothing(bank, refusal_of) -> None:
    await protect(bank)
    made = await bank.as_("sm").pull()
    told = await bank.as_("nh").get(made.name)
    assert (told.state, told.customer, told.waits_for_caller) == (R.STATE_REFUSED, "customers/c1", False)
    assert told.transitions[-1].actor == "system"
    assert (await refusal_of(bank.as_("nh").approve(made.name)))[1] == "REQUEST_DECIDED"
    assert await bank.as_("nh").inbox() == []
    assert await bank.as_("nh").inbox("OF_BRANCH") == [made.name]


async def test_a_pull_within_the_branch_waits_for_its_head(bank) -> None:
    made = await bank.as_("nm2").pull()
    assert (made.customer, [one.side for one in made.approvals]) == ("", [A.SIDE_TAKER])
    done = await bank.as_("nh").approve(made.name)
    assert (done.state, (await bank.owners())[0]) == (R.STATE_APPROVED, ("PRIMARY", "north", "nm2"))


async def test_nobody_is_asked_while_nobody_can_say_who_is_meant(bank, refusal_of) -> None:
    bank.service.identities.reachable = False
    code, reason, _ = await refusal_of(bank.as_("sm").pull())
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "CUSTOMERS_UNREACHABLE")
    assert await bank.rows("SELECT count(*) FROM ownership_request") == [(0,)]


async def test_the_number_itself_is_kept_nowhere(bank) -> None:
    made = await bank.as_("sm").pull()
    assert made.id_number == ""
    for table in ("ownership_request", "request_transition", "idempotency", "audit"):
        kept = await bank.rows(f"SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text LIKE '%110101199003077758%'")
        assert kept == [(0,)], table


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"display_name": ""}, "display_name"),
        ({"id_number": " "}, "id_number"),
        ({"id_number": "1" * 65}, "id_number"),
        ({"display_name": "王" * 101}, "display_name"),
        ({"customer": "customers/c1"}, "customer"),
        ({"loan": "l"}, "loan"),
        ({"to_branch": "branches/north"}, "to_branch"),
        ({"reason": " "}, "reason"),
        ({"reason": "r" * 401}, "reason"),
        ({"to_manager": "nobody"}, "to_manager"),
    ],
)
async def test_what_is_wrong_with_a_pull_is_said_by_field(bank, more, field) -> None:
    given = {"display_name": "王小明", "id_number": "110101199003077758", **more}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bank.as_("sm").create("PULL", given.pop("customer", "").removeprefix("customers/"), **given)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"ownership_request.{field}" in str(caught.value.details())


async def test_whom_a_pull_named_in_vain_is_forgotten_after_ninety_days(bank) -> None:
    real, absent = await bank.as_("sm").pull(), await bank.as_("sm").pull("张三", "110101199003070000")
    await bank.as_("sm").withdraw(absent.name)
    names = "SELECT display_name, masked_id_number FROM ownership_request ORDER BY state"
    for days, kept in ((89, ("张三", "110*************00")), (91, ("", ""))):
        await bank.run(f"UPDATE ownership_request SET expire_time = bank_now() - interval '{days} d'")
        await run_once(bank.database, bank.service.parts.wakeups)
        assert await bank.rows(names) == [("王小明", "110*************58"), kept]
    assert (await bank.as_("sm").get(real.name)).state == R.STATE_PENDING


async def test_who_pulls_himself_or_a_relative_is_answered_as_for_anybody(bank) -> None:
    bank.service.identities.of[("我", "1")] = "nh"
    await bank.add("nh", "north")
    await bank.allocate("nh")
    await bank.run("INSERT INTO staff_relation (customer_id, staff_id, kind, actor) VALUES ('c1', 'nh', 'CHILD', 'nh')")
    absent, *others = [await bank.as_("nh").pull(*named) for named in (("张三", "2"), ("我", "1"), PERSON)]
    assert [seen(one) for one in others] == [seen(absent)] * 2
