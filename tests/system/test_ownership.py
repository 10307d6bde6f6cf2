"""Who looks after a customer and how that changes, as heads and managers do it through the gateway."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from chassis import clock
from tests.system.conftest import Banyan, Staff, day, refusal, until

TODAY = clock.bank_date(clock.now())
# Far from the first business date, and within the twelve months of a lock.
LOCKED_UNTIL = {"year": 2026, "month": 12, "day": 31}


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def free(bank: Banyan) -> Iterator[str]:
    """Customers whom B0002 owns alone by their deposits and nobody manages: each is given out once."""
    owned = list(bank.pages("/v1/branches/B0002/ownerships", "ownerships", bank.service_token()))
    return iter(
        [
            one["name"].removesuffix("/ownership")
            for one in owned
            if one["state"] == "STATE_LIVE"
            and [(row["rule"], row["manager"]) for row in one["owners"]] == [("ALLOCATION_RULE_DEPOSIT", "")]
        ]
    )


def level(bank: Banyan, customer: str, token: str) -> str:
    """What somebody is to a customer; empty if the customer does not exist for him."""
    answer = bank.get(f"/v1/{customer}", token)
    return answer.json["viewLevel"].removeprefix("VIEW_LEVEL_") if answer.status == 200 else ""


def free_with_alerts(bank: Banyan, head: str) -> tuple[str, str]:
    """A customer of B0002 by his deposits whom nobody manages and of whom there are alerts, and his row's etag."""
    alerted = {one["customer"] for one in bank.pages("/v1/alerts", "alerts", head)}
    owned = bank.pages("/v1/branches/B0002/ownerships", "ownerships", head)
    return next(
        (one["name"].removesuffix("/ownership"), one["owners"][0]["etag"])
        for one in owned
        if one["name"].removesuffix("/ownership") in alerted
        and [(row["rule"], row["manager"]) for row in one["owners"]] == [("ALLOCATION_RULE_DEPOSIT", "")]
    )


def test_a_head_names_a_manager_and_takes_it_back(bank: Banyan, staff: Staff, free: Iterator[str]) -> None:
    customer, head, manager = next(free), staff("head-B0002"), "manager1-B0002"
    assert level(bank, customer, staff(manager)) == "EXISTENCE"
    ownership = bank.get(f"/v1/{customer}/ownership", head).json
    assign = f"/v1/{customer}/ownership:assignManager"
    given = {"manager": staff.names[manager], "reason": "同村"}
    assert refusal(bank.attempt(assign, head, **given, etag=ownership["etag"]))[:2] == (409, "ETAG_OLD")
    etag = ownership["owners"][0]["etag"]
    teller = {**given, "manager": staff.names["teller-B0002"], "etag": etag}
    assert refusal(bank.attempt(assign, head, **teller))[:2] == (400, "MANAGER_UNFIT")
    stranger = refusal(bank.attempt(assign, staff("head-B0004"), **given, etag=etag))
    assert stranger[:2] == (404, "NOT_FOUND")
    named = bank.done(assign, head, **given, etag=etag)
    assert named["ownership"]["owners"][0]["manager"] == staff.names[manager]
    until(
        lambda: bank.get(f"/v1/{customer}", staff(manager)),
        lambda answer: answer.json.get("viewLevel") == "VIEW_LEVEL_PRIMARY",
    )
    bank.done(f"/v1/{named['manualChange']}:undo", head, reason="点错了")
    assert bank.get(f"/v1/{customer}/ownership", head).json["owners"][0]["manager"] == ""
    changes = bank.get(f"/v1/{customer}/manualChanges", head).json["manualChanges"]
    assert [one["kind"] for one in changes[:2]] == ["KIND_UNDO", "KIND_ASSIGN"]
    assert changes[1]["undoneBy"] == changes[0]["name"]


def test_of_two_managers_who_claim_at_once_one_wins_and_the_other_is_told_by_whom_and_when(
    bank: Banyan, staff: Staff
) -> None:
    logins = ("manager1-B0002", "manager2-B0002")
    offered = bank.get("/v1/branches/B0002/claimableCustomers", staff(logins[0]), pageSize=20).json
    assert not offered["tagsMissing"]
    assert [len(one["tags"]) for one in offered["claimableCustomers"]] == sorted(
        (len(one["tags"]) for one in offered["claimableCustomers"]), reverse=True
    )
    customer = offered["claimableCustomers"][0]["customer"]
    claim = f"/v1/{customer}/ownership:claim"
    with ThreadPoolExecutor(2) as both:
        answers = dict(
            zip(logins, both.map(lambda one: bank.attempt(claim, staff(one), reason="常来网点"), logins), strict=True)
        )
    [winner] = [login for login, answer in answers.items() if answer.status == 200]
    [loser] = set(logins) - {winner}
    status, reason, told = refusal(answers[loser])
    assert (status, reason, told["manager"]) == (409, "ALREADY_CLAIMED", staff.names[winner])
    [change] = bank.get(f"/v1/{customer}/manualChanges", staff(winner)).json["manualChanges"]
    assert change["createTime"].startswith(told["claim_time"][:23])
    left = bank.pages("/v1/branches/B0002/claimableCustomers", "claimableCustomers", staff(loser))
    assert customer not in {one["customer"] for one in left}
    said = bank.get(f"/v1/{customer}/ownership:explain", staff(winner)).json["ownerExplanations"][0]
    who = staff.names[winner].removeprefix("staff/")
    assert f"客户经理{who}于{TODAY.year}年{TODAY.month}月{TODAY.day}日认领" in said["chinese"]
    assert f"The manager {who} claimed the customer on {TODAY.day} " in said["english"]


def test_a_push_across_branches_waits_for_both_heads_and_then_the_customer_is_the_takers(
    bank: Banyan, staff: Staff
) -> None:
    giver, giving_head, taking_head = staff("manager1-B0002"), staff("head-B0002"), staff("head-B0004")
    taker = "manager1-B0004"
    customer, etag = free_with_alerts(bank, giving_head)
    assert level(bank, customer, staff(taker)) == level(bank, customer, taking_head) == ""
    given = {"manager": staff.names["manager1-B0002"], "reason": "先由您照看", "etag": etag}
    bank.done(f"/v1/{customer}/ownership:assignManager", giving_head, **given)
    push = {
        "kind": "KIND_PUSH",
        "customer": customer,
        "toBranch": "branches/B0004",
        "toManager": staff.names[taker],
        "reason": "客户搬家",
    }
    request = bank.done("/v1/ownershipRequests", giver, ownershipRequest=push)
    assert request["state"] == "STATE_PENDING"
    assert level(bank, customer, taking_head) == "", "a request shows nobody a customer"
    lock = {"kind": "KIND_LOCK", "customer": customer, "endDate": LOCKED_UNTIL, "reason": "再想想"}
    again = refusal(bank.attempt("/v1/ownershipRequests", giving_head, ownershipRequest=lock))
    assert again[:2] == (409, "REQUEST_PENDING")
    approve = f"/v1/{request['name']}:approve"
    assert refusal(bank.attempt(approve, giver))[:2] == (403, "OWN_REQUEST")
    for head in (giving_head, taking_head):
        waiting = list(bank.pages("/v1/ownershipRequests", "ownershipRequests", head, inbox="INBOX_WAITING_FOR_ME"))
        assert request["name"] in {one["name"] for one in waiting}
        answered = bank.done(approve, head)
    assert answered["state"] == "STATE_APPROVED"
    assert [one["event"] for one in answered["transitions"]] == ["EVENT_CREATE", "EVENT_APPROVE", "EVENT_CARRY_OUT"]
    taken = until(
        lambda: bank.get(f"/v1/{customer}", staff(taker)),
        lambda answer: answer.json.get("viewLevel") == "VIEW_LEVEL_PRIMARY",
    ).json
    assert taken["total"]["depositBalance"]
    left = until(
        lambda: bank.get(f"/v1/{customer}", giving_head),
        lambda answer: answer.json["viewLevel"] == "VIEW_LEVEL_SECONDARY",
    ).json
    assert "total" not in left
    assert "*" in left["mobile"]
    assert level(bank, customer, giver) == "SECONDARY", "his branch keeps its own manager"
    until(
        lambda: bank.get("/v1/alerts", staff(taker), customer=customer),
        lambda answer: staff.names[taker] in {one["manager"] for one in answer.json["alerts"]},
    )
    seen = {one["branch"] for one in bank.pages("/v1/alerts", "alerts", giver) if one["customer"] == customer}
    assert seen <= {"branches/B0002"}


def test_a_lock_needs_two_and_refuses_transfers_until_it_ends(bank: Banyan, staff: Staff, free: Iterator[str]) -> None:
    customer, head, above = next(free), staff("head-B0002"), staff("head-R002")
    lock = {"kind": "KIND_LOCK", "customer": customer, "endDate": LOCKED_UNTIL, "reason": "重点维护"}
    late = {**lock, "endDate": {"year": 2028, "month": 1, "day": 1}}
    assert bank.attempt("/v1/ownershipRequests", head, ownershipRequest=late).status == 400
    request = bank.done("/v1/ownershipRequests", head, ownershipRequest=lock)
    own = refusal(bank.attempt(f"/v1/{request['name']}:approve", head))
    assert own[:2] == (403, "OWN_REQUEST")
    explain = f"/v1/{customer}/ownership:explain"
    assert "锁定" not in bank.get(explain, head).json["ownerExplanations"][0]["chinese"]
    assert bank.done(f"/v1/{request['name']}:approve", above)["state"] == "STATE_APPROVED"
    said = bank.get(explain, head).json["ownerExplanations"][0]
    assert said["chinese"].startswith("规则7：主办网点已锁定。于2026年12月31日结束")
    assert "a lock holds the primary branch. That ends on 31 December 2026" in said["english"]
    push = {"kind": "KIND_PUSH", "customer": customer, "toBranch": "branches/B0004", "reason": "搬家"}
    refused = refusal(bank.attempt("/v1/ownershipRequests", head, ownershipRequest=push))
    assert refused[:2] == (400, "PROTECTED")
    unlock = {"kind": "KIND_UNLOCK", "customer": customer, "reason": "客户要求"}
    ending = bank.done("/v1/ownershipRequests", head, ownershipRequest=unlock)
    bank.done(f"/v1/{ending['name']}:approve", above)
    assert bank.get(explain, head).json["ownerExplanations"][0]["chinese"].startswith("规则4")


def test_a_file_with_a_bad_line_changes_nothing_and_a_good_one_everything(
    bank: Banyan, staff: Staff, free: Iterator[str]
) -> None:
    head, customers = staff("head-B0002"), [next(free) for _ in range(3)]
    manager = staff.names["manager2-B0002"]
    lines = [f"{one.removeprefix('customers/')},{manager.removeprefix('staff/')}" for one in customers]

    def sent(*given: str, **body: Any) -> Any:
        content = base64.b64encode("\n".join(("customer_id,to_manager_id", *given)).encode()).decode()
        return bank.worked("/v1/bulkTransfers", head, content=content, reason="分户", **body)

    def managers() -> set[str]:
        return {bank.get(f"/v1/{one}/ownership", head).json["owners"][0]["manager"] for one in customers}

    told = sent(lines[0], "C99999999,S1", *lines[1:])
    assert "bulkTransfer" not in told
    assert [(one["line"], one["field"], one["reason"]) for one in told["faults"]] == [("3", "customer_id", "NOT_FOUND")]
    assert sent(*lines, validateOnly=True)["faults"] == []
    assert managers() == {""}
    told = sent(*lines)
    assert (told["faults"], told["bulkTransfer"]["approvedCount"]) == ([], "3")
    assert managers() == {manager}
    requests = bank.pages(f"/v1/{told['bulkTransfer']['name']}/ownershipRequests", "ownershipRequests", head)
    assert [one["customer"] for one in requests] == customers


def test_an_acting_manager_sees_customers_and_alerts_of_whom_he_covers_within_seconds_and_until_it_ends(
    bank: Banyan, staff: Staff
) -> None:
    covered, acting, head = "manager1-B0001", "manager1-B0005", staff("head-B0001")
    hers = list(bank.pages("/v1/alerts", "alerts", staff(covered)))
    customer = next(one["customer"] for one in hers if level(bank, one["customer"], staff(acting)) != "PRIMARY")
    before = level(bank, customer, staff(acting)), len(list(bank.pages("/v1/alerts", "alerts", staff(acting))))
    arranged = {
        "acting": staff.names[acting],
        "covered": staff.names[covered],
        "role": "ROLE_MANAGER",
        "fromDate": day(TODAY),
        "untilDate": day(TODAY + timedelta(days=7)),
        "reason": "培训一周",
    }
    path = "/v1/branches/B0001/actingManagers"
    assert refusal(bank.attempt(path, staff("head-B0005"), actingManager=arranged))[:2] == (403, "NOT_BRANCH_HEAD")
    made = bank.done(path, head, actingManager=arranged)
    until(
        lambda: bank.get(f"/v1/{customer}", staff(acting)),
        lambda answer: answer.json.get("viewLevel") == "VIEW_LEVEL_PRIMARY",
        seconds=5,
    )
    names = {one["name"] for one in hers}
    until(
        lambda: bank.get("/v1/alerts", staff(acting), pageSize=1000),
        lambda answer: names <= {one["name"] for one in answer.json["alerts"]},
        seconds=5,
    )
    assert bank.get(f"/v1/{customer}/ownership", head).json["owners"][0]["manager"] == staff.names[covered]
    bank.done(f"/v1/{made['name']}:end", head, reason="提前回来")
    until(
        lambda: bank.get("/v1/alerts", staff(acting), pageSize=1000),
        lambda answer: len(answer.json["alerts"]) == before[1],
        seconds=5,
    )
    until(
        lambda: bank.get("/v1/sessions/-", staff(acting)),
        lambda _: level(bank, customer, staff(acting)) == before[0],
        seconds=5,
    )
