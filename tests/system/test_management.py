"""What managers owe and achieve, and what heads and administrators plan and try, through the gateway."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from chassis import clock
from tests.system.conftest import Banyan, Staff, day, refusal, until

TODAY = clock.bank_date(clock.now())
JUNE = {"year": 2026, "month": 6, "day": 1}
NIGHT = {"year": 2026, "month": 6, "day": 30}
PARAMETERS = {
    "graceDays": 90,
    "runOffDays": 90,
    "challengePercent": 120,
    "returnMonths": 12,
    "protectionIdleDays": 30,
    "leadDays": 15,
}


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


def homes_of(bank: Banyan) -> dict[str, tuple[float, float]]:
    """Where customers live, as the bank's source says."""
    file = bank.home / "feed" / "customer_locations.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT customer_id, latitude, longitude FROM '{file}'").fetchall()
    return {customer: (latitude, longitude) for customer, latitude, longitude in rows}


def visit(latitude: float, longitude: float) -> dict[str, Any]:
    return {
        "kind": "VISIT_KIND_VISIT",
        "content": "上门走访，谈到装修贷款",
        "deviceTime": datetime.now(UTC).isoformat(),
        "location": {"latitude": latitude, "longitude": longitude, "accuracyM": 12},
    }


def test_a_visit_at_the_customers_place_is_done_duty_and_only_the_head_sees_where(bank: Banyan, staff: Staff) -> None:
    manager, head = "manager1-B0002", staff("head-B0002")
    due = f"/v1/{staff.names[manager]}/dueVisits"
    homes = homes_of(bank)
    owed = next(
        one
        for one in bank.pages(due, "dueVisits", staff(manager))
        if one["customer"].removeprefix("customers/") in homes and one["donePercent"] == 0
    )
    customer = owed["customer"]
    latitude, longitude = homes[customer.removeprefix("customers/")]
    path = f"/v1/{customer}/visits"
    wrong = bank.attempt(path, staff(manager), visit=visit(latitude + 180, longitude))
    assert (wrong.status, "visit.location.latitude" in wrong.text) == (400, True)
    assert refusal(bank.attempt(path, staff("manager1-B0005"), visit=visit(latitude, longitude)))[0] == 404
    made = bank.done(path, staff(manager), visit=visit(latitude + 0.001, longitude))
    assert (made["state"], made["author"]) == ("VISIT_STATE_VALID", staff.names[manager])
    assert 110 < made["distanceM"] < 112, "a thousandth of a degree along the meridian"
    assert "location" not in made
    assert bank.get(f"/v1/{made['name']}", head).json["location"]["accuracyM"] == 12
    [done] = [one for one in bank.pages(due, "dueVisits", staff(manager), showDone=True) if one["customer"] == customer]
    assert (done["donePercent"], done["lastVisitDate"]) == (100, day(TODAY))
    assert done["openPercent"] == 100 * done["dueCount"] - 100
    # An hour's drive in a second: neither counts any more.
    far = bank.done(path, staff(manager), visit=visit(latitude + 1, longitude))
    assert far["state"] == "VISIT_STATE_SUSPICIOUS"
    states = {one["name"]: one["state"] for one in bank.pages(path, "visits", head)}
    assert states[made["name"]] == "VISIT_STATE_SUSPICIOUS"
    bank.done(f"/v1/{far['name']}:withdraw", staff(manager), reason="定位漂移")
    assert bank.get(f"/v1/{made['name']}", staff(manager)).json["state"] == "VISIT_STATE_VALID"
    summaries = bank.get("/v1/branches/B0002/visitSummaries", head).json["visitSummaries"]
    [mine] = [one for one in summaries if one["manager"] == staff.names[manager]]
    assert {"state": "VISIT_STATE_VALID", "visitCount": 1} in mine["stateCounts"]


def test_a_merger_is_tried_before_anybody_moves(bank: Banyan, staff: Staff) -> None:
    planned = {
        "kind": "KIND_MERGER",
        "branch": "branches/B0006",
        "target": "branches/B0002",
        "effectiveDate": day(TODAY),
        "reason": "网点优化",
    }
    token = bank.service_token()
    before = list(bank.pages("/v1/branches/B0006/ownerships", "ownerships", token))
    change = bank.done("/v1/branchChanges", staff("admin"), branchChange=planned)
    path = f"/v1/{change['name']}"
    try:
        assert refusal(bank.attempt(f"{path}:apply", staff("admin")))[:2] == (403, "OWN_BRANCH_CHANGE")
        counts = bank.worked(f"{path}:apply", staff("approver"), validateOnly=True)["counts"]
        assert int(counts["customerCount"]) >= len(before), "whose row ended there may have facts yet"
        at_both = [one for one in before if "branches/B0002" in {row["branch"] for row in one["owners"]}]
        assert int(counts["unitedCustomerCount"]) == len(at_both) > 0
        primary = [one for one in before if one["owners"][0]["branch"] == "branches/B0006"]
        assert int(counts["primaryCustomerCount"]) == len(primary) > 0
        assert list(bank.pages("/v1/branches/B0006/ownerships", "ownerships", token)) == before
        assert "closeDate" not in bank.get("/v1/branches/B0006", token).json
    finally:
        cancelled = bank.done(f"{path}:cancel", staff("admin"))
    assert (cancelled["state"], cancelled["counts"]["customerCount"]) == ("STATE_CANCELLED", "0")


def test_other_parameters_are_tried_and_proposed_by_one_and_approved_by_another(bank: Banyan, staff: Staff) -> None:
    wrong = bank.attempt("/v1/policyTrials", staff("admin"), parameters={**PARAMETERS, "challengePercent": 99})
    assert (wrong.status, "parameters.challenge_percent" in wrong.text) == (400, True)
    trial = bank.worked("/v1/policyTrials", staff("admin"), parameters={**PARAMETERS, "graceDays": 0})
    gained, lost = (sum(int(one[name]) for one in trial["branchCounts"]) for name in _GAINED_AND_LOST)
    assert gained == lost, "a customer has one primary branch before and after"
    rows = sum(int(one["changedRowCount"]) for one in trial["branchCounts"])
    assert rows >= int(trial["changedCustomerCount"]) > 0
    changes = list(bank.pages(f"/v1/{trial['name']}/changes", "policyTrialChanges", staff("head-B0001")))
    assert any(one["chinese"].startswith("现行：规则2：客户最后一笔贷款已结清，宽限期内") for one in changes)
    for one in changes:
        assert "试行：" in one["chinese"]
        assert "Then: " in one["english"]
        now = bank.get(f"/v1/{one['customer']}/ownership", staff("head-B0001")).json["owners"]
        rules = {(row["branch"], row["rule"]) for row in now}
        assert (one["branch"], one["before"]["rule"]) in rules, "nothing of ownership changed"
    start = {"year": 2027, "month": 1, "day": 1}
    given = {"parameters": {**PARAMETERS, "graceDays": 60}, "startDate": start, "reason": "与总行一致"}
    policy = bank.done("/v1/ownershipPolicies", staff("admin"), ownershipPolicy=given)
    assert policy["chinese"].startswith("自2027年1月1日起：最后一笔贷款结清后，贷款网点继续主办60天")
    path = f"/v1/{policy['name']}"
    assert refusal(bank.attempt(f"{path}:approve", staff("admin")))[:2] == (403, "POLICY_OWN")
    approved = bank.done(f"{path}:approve", staff("approver"))["ownershipPolicy"]
    assert approved["state"] == "STATE_APPROVED"
    bank.done(f"{path}:withdraw", staff("approver"), reason="推迟")


_GAINED_AND_LOST = ("primaryGainedCount", "primaryLostCount")


def test_a_score_card_of_the_month_adds_up_to_the_customers_behind_it(bank: Banyan, staff: Staff) -> None:
    head, manager = staff("head-B0004"), "manager1-B0004"
    target = {
        "branch": "branches/B0004",
        "manager": staff.names[manager],
        "indicator": "SCORE_INDICATOR_LOAN",
        "period": "TARGET_PERIOD_MONTH",
        "periodDate": JUNE,
        "value": "1000000000",
    }
    bad = bank.attempt("/v1/targets:set", head, targets=[target, {**target, "value": "-1"}])
    assert (bad.status, "targets[1].value" in bad.text) == (400, True)
    bank.done("/v1/targets:set", head, targets=[target])
    bank.worked("/v1/scoreMonths:build", staff("admin"), businessDate=NIGHT)

    whole = bank.get("/v1/branches/B0004/staff/-/scoreCards/2026-06", head).json
    month = {f"monthDate.{part}": value for part, value in JUNE.items()}
    cards = list(bank.pages("/v1/branches/B0004/scoreCards", "scoreCards", head, kind="KIND_MANAGER", **month))
    for indicator in ("SCORE_INDICATOR_DEPOSIT_AVERAGE", "SCORE_INDICATOR_LOAN"):
        behind = f"/v1/{whole['name']}/customers"
        first = bank.get(behind, head, indicator=indicator, pageSize=1000).json
        shown = sum(int(one["value"]) for one in first["customerCredits"] if "value" in one)
        assert first["nextPageToken"] == ""
        assert shown + int(first["hiddenValue"]) == int(first["wholeValue"]) == figure(whole, indicator)["value"]
        assert all(0 < one["shareBasisPoints"] <= 10_000 for one in first["customerCredits"])
        by_managers = sum(figure(one["scoreCard"], indicator)["value"] for one in cards)
        assert 0 < by_managers <= int(first["wholeValue"]), "the rest is the virtual manager's"

    mine = bank.get(f"/v1/branches/B0004/{staff.names[manager]}/scoreCards/2026-06", staff(manager)).json
    loan = figure(mine, "SCORE_INDICATOR_LOAN")
    assert loan["achievedBasisPoints"] == min(loan["value"] * 10_000 // 1_000_000_000, 15_000)
    assert (mine["rank"], mine["scoreBasisPoints"]) == (1, loan["achievedBasisPoints"])
    above = bank.get("/v1/branches/B0004/staff/-/scoreCards/2026-06", staff("manager1-B0005"))
    assert above.status == 404


def figure(card: Any, indicator: str) -> Any:
    [found] = [one for one in card["figures"] if one["indicator"] == indicator]
    return {**found, "value": int(found["value"])}


def test_days_off_are_asked_for_by_oneself_and_approved_by_the_head(bank: Banyan, staff: Staff) -> None:
    manager, head = "manager2-B0004", staff("head-B0004")
    first = TODAY + timedelta(days=30)
    asked = {
        "staff": staff.names[manager],
        "kind": "KIND_ANNUAL",
        "fromDate": day(first),
        "untilDate": day(first + timedelta(days=4)),
        "substitute": staff.names["manager1-B0004"],
    }
    turned = {**asked, "untilDate": day(first - timedelta(days=1))}
    assert "leave.until_date" in bank.attempt("/v1/leaves", staff(manager), leave=turned).text
    leave = bank.done("/v1/leaves", staff(manager), leave=asked)
    path = f"/v1/{leave['name']}"
    overlap = refusal(bank.attempt("/v1/leaves", staff(manager), leave=asked))
    assert overlap[:2] == (400, "LEAVE_OVERLAP")
    assert refusal(bank.attempt(f"{path}:approve", staff(manager)))[:2] == (403, "NOT_LEAVE_HEAD")
    assert bank.done(f"{path}:approve", head)["leave"]["state"] == "STATE_APPROVED"
    listed = bank.pages("/v1/leaves", "leaves", head, branch="branches/B0004")
    assert leave["name"] in {one["name"] for one in listed}
    assert bank.done(f"{path}:cancel", staff(manager), reason="不去了")["leave"]["state"] == "STATE_CANCELLED"


def test_a_password_of_an_administrator_serves_for_choosing_another_and_ends_all_sessions(
    bank: Banyan, staff: Staff
) -> None:
    login, token = "lobby-B0006", staff("lobby-B0006")
    kept = (bank.home / "secrets" / "staff_password").read_text().strip()
    given, weak = f"一次性-{uuid.uuid4()}", "password12345"

    def sign_in(password: str) -> Any:
        return bank.call("POST", "/v1/sessions", {"login": login, "password": password})

    def change(old: str, new: str) -> Any:
        body = {"login": login, "oldPassword": old, "newPassword": new}
        return bank.call("POST", "/v1/sessions:changePassword", body)

    path = f"/v1/{staff.names[login]}:setPassword"
    bank.done(path, staff("admin"), password=given, reason="本人遗忘")
    try:
        until(lambda: bank.get("/v1/branches", token), lambda answer: answer.status == 401, seconds=5)
        assert sign_in(kept).status == 401
        assert refusal(sign_in(given))[:2] == (400, "PASSWORD_ONCE")
        assert refusal(change(given, weak))[:2] == (400, "PASSWORD_WEAK")
    finally:
        changed = change(given, kept)
    assert changed.status == 200, changed.text
    assert sign_in(given).status == 401
    assert bank.get("/v1/branches", sign_in(kept).json["accessToken"]).status == 200
