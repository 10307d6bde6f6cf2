"""Tags, key customers, private managers, a customer's page and merges, through the gateway and across services."""

import os
import signal
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.system.conftest import Banyan, until

NIGHT = {"year": 2026, "month": 6, "day": 30}
LATER = {"year": 2026, "month": 8, "day": 1}


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def head(bank: Banyan) -> str:
    return bank.sign_in("head-B0001")


@pytest.fixture(scope="module")
def shared(bank: Banyan) -> list[str]:
    """Customers of B0001 who are customers of B0005 too."""
    owned = bank.pages("/v1/branches/B0001/ownerships", "ownerships", bank.service_token(), side="SIDE_PRIMARY")
    return [
        one["name"].removesuffix("/ownership")
        for one in owned
        if "branches/B0005" in {owner["branch"] for owner in one["owners"]}
    ]


def count(bank: Banyan, token: str, *conditions: Any) -> int:
    return int(bank.post("/v1/customers:count", token, conditions=conditions).json["customerCount"])


def test_a_potential_tag_says_why_and_yields_to_a_hand_until_that_is_taken_back(bank: Banyan, head: str) -> None:
    carried = {"tag": {"anyOf": ["CHURN_RISK"]}}
    before = count(bank, head, carried)
    customer = bank.post("/v1/customers:search", head, conditions=[carried], pageSize=1).json["customers"][0]["name"]
    tag = f"/v1/{customer}/tags/CHURN_RISK"
    told = bank.get(tag, head).json
    assert told["live"]
    assert told["confirmation"]["asOfDate"] == NIGHT
    assert told["confirmation"]["evidence"]
    assert len(told["confirmation"]["evidence"]) == len(told["confirmation"]["evidenceEn"])
    removed = bank.done(f"{tag}:remove", head, reason="已挽留", endDate=LATER)["customerTag"]
    assert not removed["live"]
    assert removed["override"]["reason"] == "已挽留"
    assert count(bank, head, carried) == before - 1
    assert bank.done(f"{tag}:clearOverride", head, reason="点错了")["customerTag"]["live"]
    assert count(bank, head, carried) == before
    changes = bank.get(f"/v1/{customer}/tagChanges", head, tag="tags/CHURN_RISK").json["tagChanges"]
    assert [change["kind"] for change in changes[:2]] == ["KIND_CLEARED", "KIND_REMOVED"]
    assert (changes[-1]["kind"], changes[-1]["actor"]) == ("KIND_GIVEN", "batch")


def test_tags_do_not_exist_for_the_secondary_side(bank: Banyan, shared: list[str]) -> None:
    secondary = bank.sign_in("head-B0005")
    assert bank.get(f"/v1/{shared[0]}", secondary).json["viewLevel"] == "VIEW_LEVEL_SECONDARY"
    assert bank.get(f"/v1/{shared[0]}/tags", secondary).status == 404
    assert bank.get(f"/v1/{shared[0]}/keyMark", secondary).status == 404


def test_a_key_mark_is_proposed_and_approved_by_two_and_a_private_manager_sees_his_customer(
    bank: Banyan, head: str, shared: list[str]
) -> None:
    private = bank.sign_in("private_manager-B0003")
    customer = next(
        one
        for one in shared
        if bank.get(f"/v1/{one}", private).status == 404
        and not bank.get(f"/v1/{one}/keyMark", head).json["keyCustomer"]
    )
    mark = {"reason": "本地龙头企业主", "endDate": {"year": 2027, "month": 1, "day": 31}}
    proposal = bank.done(f"/v1/{customer}/keyMarkProposals", head, keyMarkProposal=mark)
    own = bank.post(f"/v1/{proposal['name']}:approve", head, requestId="6ba7b810-9dad-41d1-80b4-00c04fd430c8")
    assert own.status == 403
    assert "FOUR_EYES" in own.text
    above = bank.sign_in("head-R001")
    waiting = bank.pages("/v1/keyMarkApprovals", "keyMarkProposals", above)
    assert proposal["name"] in {one["name"] for one in waiting}
    bank.done(f"/v1/{proposal['name']}:approve", above, reason="同意")
    told = bank.get(f"/v1/{customer}/keyMark", head).json
    assert (told["keyCustomer"], told["reason"]) == (True, "KEY_REASON_MANUAL")

    me = next(one for one in bank.pages("/v1/staff", "staff", private) if one["login"] == "private_manager-B0003")
    ownership = bank.get(f"/v1/{customer}/ownership", head).json
    assign = f"/v1/{customer}/ownership:assignPrivateManager"
    given = {"privateManager": me["name"], "reason": "重点客户", "etag": ownership["etag"]}
    assert bank.done(assign, head, **given)["ownership"]["privateManager"] == me["name"]
    seen = until(lambda: bank.get(f"/v1/{customer}", private), lambda answer: answer.status == 200).json
    assert seen["viewLevel"] == "VIEW_LEVEL_PRIMARY"
    assert seen["owners"][0]["privateManager"] == me["name"]
    found = bank.post("/v1/customers:search", private, conditions=[{"value": {"key": True}}], pageSize=500).json
    assert customer in {one["name"] for one in found["customers"]}
    etag = bank.get(f"/v1/{customer}/ownership", head).json["etag"]
    bank.done(f"/v1/{customer}/ownership:removePrivateManager", head, reason="另行安排", etag=etag)
    hidden = until(lambda: bank.get(f"/v1/{customer}", private), lambda answer: answer.status == 404)
    assert hidden.json["message"] == "it does not exist, or you may not see it"
    bank.done(f"/v1/{proposal['name']}:end", above, reason="不再需要")
    assert not bank.get(f"/v1/{customer}/keyMark", head).json["keyCustomer"]


def test_a_page_shows_what_other_services_know_and_stays_when_one_does_not_answer(
    bank: Banyan, head: str, shared: list[str]
) -> None:
    alerts = bank.pages("/v1/alerts", "alerts", head, state="STATE_UNREAD")
    customer = next(one["customer"] for one in alerts if one["customer"] in set(shared))
    contact = {
        "channel": "CHANNEL_CALL",
        "messageClass": "MESSAGE_CLASS_SERVICE",
        "contactTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "outcome": "interested",
    }
    recorded = bank.done(f"/v1/{customer}/contacts:record", head, contact=contact)
    me = next(one for one in bank.pages("/v1/staff", "staff", head) if one["login"] == "head-B0001")
    task = bank.done("/v1/tasks", head, task={"customer": customer, "title": "回访", "assignee": me["name"]})

    page = until(
        lambda: bank.get(f"/v1/{customer}", head), lambda answer: answer.status == 200 and answer.json["contacts"]
    ).json
    assert page["missingParts"] == []
    assert page["contacts"][0]["contact"] == recorded["name"]
    assert task["name"] in {one["task"] for one in page["tasks"]}
    assert page["alerts"]
    assert page["ownershipPeriods"]
    assert page["total"]["indicators"]
    by_secondary = bank.get(f"/v1/{customer}", bank.sign_in("head-B0005")).json
    assert by_secondary["contacts"][0].get("outcome", "") == ""
    assert "tags" in by_secondary["maskedFields"]

    pids = [bank.processes()[f"alert-{number}"]["pid"] for number in (1, 2)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        answer = bank.get(f"/v1/{customer}", head)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert answer.status == 200
    assert [one["part"] for one in answer.json["missingParts"]] == ["alerts"]
    assert answer.json["contacts"] == page["contacts"]
    assert answer.json["total"] == page["total"]
    whole = until(lambda: bank.get(f"/v1/{customer}", head), lambda answer: not answer.json["missingParts"])
    assert whole.json["alerts"] == page["alerts"]


def test_notes_are_for_the_side_that_wrote_them_and_the_one_that_leads(
    bank: Banyan, head: str, shared: list[str]
) -> None:
    path, secondary = f"/v1/{shared[1]}", bank.sign_in("head-B0005")
    own = bank.done(f"{path}/notes", head, note={"text": "喜欢下午来电"})
    other = bank.done(f"{path}/notes", secondary, note={"text": "经常来网点"})

    def read(token: str) -> list[str]:
        return [one["name"] for one in bank.pages(f"{path}/notes", "notes", token)]

    assert {own["name"], other["name"]} <= set(read(head))
    assert other["name"] in read(secondary)
    assert own["name"] not in read(secondary)
    assert bank.get(f"{path}/notes", bank.sign_in("teller-B0001")).status == 404
    note = f"/v1/{own['name']}"
    change = {"note": {"text": "喜欢上午来电", "etag": own["etag"]}, "requestId": str(uuid.uuid4())}
    assert bank.call("PATCH", note, change, token=head).json["text"] == "喜欢上午来电"
    again = bank.call("PATCH", note, {**change, "requestId": str(uuid.uuid4())}, token=head)
    assert again.status == 409, "somebody has changed it meanwhile"
    assert bank.call("DELETE", note, token=head).status == 200
    assert own["name"] not in read(head)
    bank.done(f"{note}:undelete", head)
    assert own["name"] in read(head)


def test_a_timeline_and_the_balances_of_months_tell_each_side_its_own(
    bank: Banyan, head: str, shared: list[str]
) -> None:
    path, secondary = f"/v1/{shared[1]}", bank.sign_in("head-B0005")
    entries = list(bank.pages(f"{path}/timelineEntries", "timelineEntries", head))
    kinds = {entry["kind"].removeprefix("TIMELINE_KIND_") for entry in entries}
    assert kinds >= {"ACCOUNT_OPENED", "OWNER_STARTED", "CONTACT"}
    days = [(one["eventDate"]["year"], one["eventDate"]["month"], one["eventDate"]["day"]) for one in entries]
    assert days == sorted(days, reverse=True)
    other = list(bank.pages(f"{path}/timelineEntries", "timelineEntries", secondary))
    accounts = {one["branch"] for one in other if one["kind"] == "TIMELINE_KIND_ACCOUNT_OPENED"}
    assert accounts <= {"branches/B0005"}

    series = bank.get(f"{path}/balanceSeries", head).json
    assert len(series["total"]) == 13
    assert series["total"][-1]["endBalance"] == bank.get(path, head).json["total"]["depositBalance"]
    masked = bank.get(f"{path}/balanceSeries", secondary).json
    assert masked["total"] == []
    assert "total" in masked["maskedFields"]
    assert masked["ownBranch"] == "branches/B0005"


def test_duplicates_are_merged_by_those_who_own_them_and_taken_apart_again(bank: Banyan) -> None:
    proposer = bank.sign_in("head-R002")
    found = [one for one in bank.pages("/v1/duplicates", "duplicates", proposer) if one["score"] >= 95]
    survivor, merged = next(
        [person["customer"] for person in one["customers"]]
        for one in found
        if {person["primaryBranch"] for person in one["customers"]} == {"branches/B0002", "branches/B0006"}
    )
    service = bank.service_token()

    def contacts(customer: str) -> set[str]:
        listed = bank.pages(f"/v1/{customer}/contacts", "contacts", service)
        return {one["name"].rpartition("/")[2] for one in listed}

    def branches(customer: str) -> set[str]:
        return {owner["branch"] for owner in bank.get(f"/v1/{customer}/ownership", service).json["owners"]}

    before = [(contacts(one), branches(one)) for one in (survivor, merged)]
    wanted = {"survivor": survivor, "mergedCustomer": merged, "reason": "同一人，证件号相同"}
    preview = bank.done("/v1/merges:propose", proposer, merge=wanted, validateOnly=True)["preview"]
    assert int(preview["contactCount"]) == len(before[1][0])
    merge = bank.done("/v1/merges:propose", proposer, merge=wanted)["merge"]["name"]
    assert set(bank.get(f"/v1/{merge}", proposer).json["waitingBranches"]) == {"branches/B0002", "branches/B0006"}
    heads = [bank.sign_in(f"head-{branch}") for branch in ("B0002", "B0006")]
    for token in heads:
        bank.done(f"/v1/{merge}:approve", token)
    until(lambda: bank.get(f"/v1/{merge}", proposer), lambda answer: answer.json["state"] == "STATE_DONE")

    assert contacts(survivor) == before[0][0] | before[1][0]
    assert branches(survivor) == before[0][1] | before[1][1]
    gone = until(lambda: bank.get(f"/v1/{merged}", heads[1]), lambda answer: answer.status == 404)
    assert survivor in gone.text, "who knew him is told where he went"
    page = until(lambda: bank.get(f"/v1/{survivor}", service), lambda answer: answer.json["total"]["accountCount"] > 0)
    assert page.status == 200

    for token in heads:
        bank.done(f"/v1/{merge}:undo", token, reason="弄错了")
    until(lambda: bank.get(f"/v1/{merge}", proposer), lambda answer: answer.json["state"] == "STATE_UNDONE")
    assert [(contacts(one), branches(one)) for one in (survivor, merged)] == before
