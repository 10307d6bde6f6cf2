"""Claims over the wire: of one's own branch's unassigned customers, one manager each, and told to who came late."""

import asyncio
import uuid
from collections import Counter
from datetime import date, timedelta

import grpc
from banyan.assignment.v1 import ownership_change_service_pb2 as pb
from banyan.assignment.v1 import ownership_pb2

from chassis.caller import Role

NIGHT = date(2026, 6, 30)


async def test_a_manager_claims_a_customer_whom_he_then_sees_protected_for_ninety_days(by_hand) -> None:
    head = by_hand.asker("head", Role.BRANCH_HEAD)
    m1 = by_hand.asker("m1")
    assert list((await m1.get()).owners) == [], "existence only before"
    told = await m1.claim()
    row = next(one for one in told.ownership.owners if one.branch == "branches/north")
    assert (row.manager, row.rule) == ("staff/m1", ownership_pb2.ALLOCATION_RULE_HELD)
    assert told.ownership == await m1.get()
    [[until, manager]] = await by_hand.run("SELECT until_date, manager_id FROM ownership_hold")
    assert (until, manager) == (NIGHT + timedelta(days=90), None)
    [[actor]] = await by_hand.run("SELECT actor FROM owner WHERE customer_id = 'c0' AND branch_id = 'north'")
    assert actor == "m1"
    assert (await head.row()).manager == "staff/m1"
    [entry] = await by_hand.run(
        "SELECT caller, detail FROM audit WHERE method = 'ClaimCustomer' ORDER BY time DESC LIMIT 1"
    )
    assert (entry[0], entry[1]["kind"]) == ("m1", "CLAIM")
    assert (await by_hand.night()).counts.changed_rows == 0


async def test_sixty_four_claims_at_once_give_one_manager_and_tell_the_others_by_whom_and_when(by_hand) -> None:
    await by_hand.run(
        "INSERT INTO staff (staff_id, display_name, branch_id, roles)"
        " SELECT 'x' || n, 'X', 'north', '{MANAGER}' FROM generate_series(1, 64) AS n",
    )
    askers = [by_hand.asker(f"x{n}") for n in range(1, 65)]
    answers = await asyncio.gather(*(asker.claim() for asker in askers), return_exceptions=True)
    [winner] = [answer for answer in answers if isinstance(answer, pb.ClaimCustomerResponse)]
    by = next(one.manager for one in winner.ownership.owners if one.branch == "branches/north")
    [[claimed]] = await by_hand.run("SELECT create_time FROM ownership_change WHERE customer_id = 'c0'")
    told = Counter()
    for answer in answers:
        if isinstance(answer, grpc.aio.AioRpcError):
            code, why, given = by_hand.told(answer)
            assert (code, why) == (grpc.StatusCode.ABORTED, "ALREADY_CLAIMED")
            told[given["manager"], given["claim_time"]] += 1
    assert told == {(by, claimed.isoformat()): 63}


async def test_a_claim_is_for_ones_own_branch_s_unassigned_live_customers_and_never_oneself(by_hand) -> None:
    head = by_hand.asker("head", Role.BRANCH_HEAD)
    m1, s1 = by_hand.asker("m1"), by_hand.asker("s1", branch="south")
    assert await by_hand.refusal(m1.claim("c99")) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})
    assert await by_hand.refusal(by_hand.asker("e1", branch="east").claim()) == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_FOUND",
        {},
    )
    assert await by_hand.refusal(m1.claim("c8")) == (grpc.StatusCode.ABORTED, "ALREADY_MANAGED", {})
    assert await by_hand.reason(by_hand.asker("c5").claim("c5")) == "MANAGER_UNFIT"
    assert await by_hand.reason(by_hand.asker("left").claim()) == "MANAGER_UNFIT"
    assert await by_hand.reason(by_hand.asker("m1", Role.TELLER).claim()) == "ROLE_FORBIDDEN"
    assert await by_hand.reason(m1.claim("c9")) == "RULE_DECIDES"
    row = next(one for one in (await s1.claim()).ownership.owners if one.branch == "branches/south")
    assert (row.manager, row.side) == ("staff/s1", ownership_pb2.SIDE_SECONDARY)
    assert await by_hand.run("SELECT 1 FROM ownership_hold") == [], (
        "a secondary row's protection holds no branch primary"
    )
    assert (await head.row()).side == ownership_pb2.SIDE_PRIMARY


async def test_frozen_and_former_customers_are_refused_alike(by_hand) -> None:
    head = by_hand.asker("head", Role.BRANCH_HEAD)
    for state in ("FROZEN", "FORMER"):
        await by_hand.run("UPDATE ownership SET state = :state WHERE customer_id = 'c0'", state=state)
        calls = (by_hand.asker("m1").claim(), head.assign())
        for call in calls:
            assert await by_hand.refusal(call) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNERSHIP_UNCHANGEABLE", {})


async def test_a_protected_or_locked_row_is_not_claimed_and_says_until_when(by_hand) -> None:
    await by_hand.run(
        "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, until_date, reason) VALUES"
        " ('c0', 'h', 'LOCK', 'north', '2026-06-01', '2026-09-01', 'r'),"
        " ('c1', 'h', 'PROTECTION', 'north', '2026-06-20', '2026-09-01', 'r'),"
        " ('c2', 'h', 'PROTECTION', 'north', '2026-05-01', '2026-09-01', 'r')",
    )
    m1 = by_hand.asker("m1")
    assert (await by_hand.refusal(m1.claim("c0")))[1:] == ("PROTECTED", {"kind": "LOCK", "until_date": "2026-09-01"})
    assert (await by_hand.refusal(m1.claim("c1")))[1:] == (
        "PROTECTED",
        {"kind": "PROTECTION", "until_date": "2026-07-21"},
    )
    await m1.claim("c2")


async def test_capacity_limits_manual_changes_and_no_rule(by_hand) -> None:
    head = by_hand.asker("head", Role.BRANCH_HEAD)
    await by_hand.run("INSERT INTO capacity_policy (version, customers_max, actor) VALUES (2, 2, 't')")
    m1, m2 = by_hand.asker("m1"), by_hand.asker("m2")
    await m1.claim("c0")
    await m1.claim("c1")
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "CAPACITY", {"staff": "m1", "limit": "2"})
    assert await by_hand.refusal(m1.claim("c2")) == full
    assert await by_hand.refusal(head.assign(customer="c2")) == full
    await m2.claim("c3")
    await by_hand.run("UPDATE branch_facts SET loan_officer_id = 'm2', rev = pg_current_xact_id() WHERE loan_live")
    await by_hand.night(NIGHT + timedelta(days=1))
    loads = (await head.ask("ListManagerLoads", parent="branches/north")).manager_loads
    assert [(one.manager, one.primary_count, one.customers_max, one.over_capacity) for one in loads][:2] == [
        ("staff/m2", 3, 2, True),
        ("staff/m1", 2, 2, False),
    ]
    first = await head.ask("ListManagerLoads", parent="branches/north", page_size=1, over_capacity=True)
    assert [one.manager for one in first.manager_loads] == ["staff/m2"]
    assert first.next_page_token == ""
    seen, token = [], ""
    while True:
        page = await head.ask("ListManagerLoads", parent="branches/north", page_size=1, page_token=token)
        seen += [one.manager for one in page.manager_loads]
        token = page.next_page_token
        if not token:
            break
    assert seen == [one.manager for one in loads]
    assert await by_hand.reason(head.ask("ListManagerLoads", parent="branches/south")) == "NOT_FOUND"


async def test_a_loan_whose_officer_left_is_managed_by_who_claims_it_until_he_releases_it(by_hand) -> None:
    m1 = by_hand.asker("m1")
    told = await m1.claim("c7")
    row = next(one for one in told.ownership.owners if one.branch == "branches/north")
    assert (row.manager, row.rule) == ("staff/m1", ownership_pb2.ALLOCATION_RULE_LOAN)
    assert await by_hand.run("SELECT loan_id, source_officer_id, manager_id FROM officer_override") == [
        ("l1", "left", "m1")
    ]
    released = await m1.release("c7")
    assert list(released.ownership.owners) == [], "existence only again"
    assert await by_hand.run("SELECT 1 FROM officer_override UNION ALL SELECT 1 FROM ownership_hold") == []
    await m1.claim("c7")


async def test_the_same_request_gives_the_same_answer_and_another_one_with_its_id_is_refused(by_hand) -> None:
    m1, request_id = by_hand.asker("m1"), str(uuid.uuid4())
    first = await m1.claim(request_id=request_id)
    assert await m1.claim(request_id=request_id) == first
    assert await by_hand.reason(m1.claim("c1", request_id=request_id)) == "REQUEST_ID_REUSED"
    assert len(await by_hand.run("SELECT 1 FROM ownership_change")) == 1
