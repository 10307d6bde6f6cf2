"""Who sees what at the demo bank, through the gateway, for customers with several branches."""

import random
import time
from typing import Any

import pytest

from tests.system.conftest import Banyan

# A sign-out travels by feed to every service and is looked up by every instance once a second.
REVOKED_SECONDS = 5.0


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def ownerships(bank: Banyan) -> dict[str, dict[str, Any]]:
    """Every customer's owners, as a service sees them."""
    token = bank.service_token()
    return {
        ownership["name"].split("/")[1]: ownership
        for branch in bank.pages("/v1/branches", "branches", token)
        for ownership in bank.pages(f"/v1/{branch['name']}/ownerships", "ownerships", token)
    }


@pytest.fixture(scope="module")
def heads(bank: Banyan) -> dict[str, str]:
    """The token of each branch's head who signs in."""
    return {
        member["branch"]: bank.sign_in(member["login"])
        for member in bank.pages("/v1/staff", "staff", bank.service_token())
        if "ROLE_BRANCH_HEAD" in member["roles"] and member["login"]
    }


def shared(ownerships: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Live customers with more than one branch, in an order of chance that is the same every time."""
    several = [one for one in ownerships.values() if one["state"] == "STATE_LIVE" and len(one["owners"]) > 1]
    random.Random(1).shuffle(several)
    return several


def test_a_fifth_of_the_customers_or_more_have_several_branches(ownerships: dict[str, dict[str, Any]]) -> None:
    live = [one for one in ownerships.values() if one["state"] == "STATE_LIVE"]
    assert all(sum(owner["side"] == "SIDE_PRIMARY" for owner in one["owners"]) == 1 for one in live)
    assert len(shared(ownerships)) >= 0.2 * len(live)


def test_the_primary_head_sees_the_whole_bank_and_the_secondary_only_his_branch(
    bank: Banyan, ownerships: dict[str, dict[str, Any]], heads: dict[str, str]
) -> None:
    looked = 0
    for ownership in shared(ownerships)[:40]:
        customer = ownership["name"].removesuffix("/ownership")
        primary, secondary = (owner["branch"] for owner in ownership["owners"][:2])
        if primary not in heads or secondary not in heads:
            continue
        looked += 1
        by_primary = bank.get(f"/v1/{customer}", heads[primary]).json
        assert by_primary["viewLevel"] == "VIEW_LEVEL_PRIMARY"
        assert by_primary["total"]["accountCount"] >= by_primary["own"]["totals"]["accountCount"]
        assert {one["branch"] for one in by_primary["otherBranches"]} >= {secondary}
        assert "total" not in by_primary["maskedFields"]
        by_secondary = bank.get(f"/v1/{customer}", heads[secondary]).json
        assert by_secondary["viewLevel"] == "VIEW_LEVEL_SECONDARY"
        assert by_secondary.get("total") is None
        assert by_secondary["otherBranches"] == []
        assert by_secondary["own"]["branch"] == secondary
        assert {"total", "other_branches", "mobile"} <= set(by_secondary["maskedFields"])
        assert {one["branch"] for one in by_secondary["owners"]} <= {primary, secondary}
    assert looked >= 10


def test_another_branchs_head_gets_the_same_404_as_for_an_id_that_does_not_exist(
    bank: Banyan, ownerships: dict[str, dict[str, Any]], heads: dict[str, str]
) -> None:
    outlets = {branch for branch in heads if branch.startswith("branches/B")}
    for ownership in shared(ownerships)[:20]:
        customer = ownership["name"].removesuffix("/ownership")
        stranger = min(outlets - {owner["branch"] for owner in ownership["owners"]})
        hidden = bank.get(f"/v1/{customer}", heads[stranger])
        absent = bank.get("/v1/customers/no-such-customer", heads[stranger])
        assert hidden.status == absent.status == 404
        assert hidden.text == absent.text
        assert hidden.headers.keys() == absent.headers.keys()
        for path in ("ownership", "ownershipPeriods", "contacts"):
            assert bank.get(f"/v1/{customer}/{path}", heads[stranger]).status == 404


def test_search_and_count_agree_with_get_for_a_head_of_each_level(
    bank: Banyan, ownerships: dict[str, dict[str, Any]], heads: dict[str, str]
) -> None:
    for branch in [min(heads), max(heads)]:
        found: list[Any] = []
        token = ""
        while True:
            body = {"pageSize": 500, "pageToken": token}
            page = bank.call("POST", "/v1/customers:search", body, token=heads[branch]).json
            found += page["customers"]
            token = page["nextPageToken"]
            if not token:
                break
        counted = bank.call("POST", "/v1/customers:count", {}, token=heads[branch]).json
        assert int(counted["customerCount"]) == len(found)
        names = {one["name"] for one in found}
        assert len(names) == len(found)
        sample = random.Random(2).sample(sorted(ownerships), 60)
        for customer in sample:
            got = bank.get(f"/v1/customers/{customer}", heads[branch])
            assert (got.status == 200) == (f"customers/{customer}" in names)


def test_a_signed_out_session_is_refused_by_every_service_within_seconds(bank: Banyan) -> None:
    member = next(
        one
        for one in bank.pages("/v1/staff", "staff", bank.service_token())
        if "ROLE_BRANCH_HEAD" in one["roles"] and one["login"]
    )
    token = bank.sign_in(member["login"])
    assert bank.call("POST", "/v1/customers:count", {}, token=token).status == 200
    assert bank.call("DELETE", "/v1/sessions/-", token=token).status == 200
    paths = ("/v1/alerts", "/v1/products", "/v1/branches", "/v1/customers/nobody")
    end = time.monotonic() + REVOKED_SECONDS
    while not all((refused := {path: bank.get(path, token).status == 401 for path in paths}).values()):
        assert time.monotonic() < end, refused
        time.sleep(0.05)
