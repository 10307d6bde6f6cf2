"""A saved group is built, streamed and exported through the gateway, while two instances share the work."""

import csv
import io
import json
from typing import Any

import pytest

from tests.system.conftest import Banyan


@pytest.fixture(scope="module")
def heads(demo_bank: Banyan) -> dict[str, str]:
    """The token of each branch's head who signs in."""
    return {
        member["branch"]: demo_bank.sign_in(member["login"])
        for member in demo_bank.pages("/v1/staff", "staff", demo_bank.service_token())
        if "ROLE_BRANCH_HEAD" in member["roles"] and member["login"]
    }


def streamed(bank: Banyan, group: str, token: str) -> list[str]:
    """The members of a group, from a stream that says that they are all."""
    answer = bank.get(f"/v1/{group}:stream", token)
    assert answer.status == 200
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event.strip()]
    assert events[-1]["complete"]
    return [customer for event in events for customer in event["customers"]]


def counted(bank: Banyan, token: str, *conditions: Any) -> int:
    return int(bank.post("/v1/customers:count", token, conditions=conditions).json["customerCount"])


def test_a_group_is_built_streamed_and_exported(demo_bank: Banyan, heads: dict[str, str]) -> None:
    token = heads[min(heads)]
    conditions = [{"identity": {"ageMin": 30, "ageMax": 60}}]
    group = demo_bank.done(
        "/v1/customerGroups",
        token,
        customerGroup={"displayName": "中年客户", "kind": "KIND_QUERY", "query": {"conditions": conditions}},
    )["customerGroup"]
    built = demo_bank.finished(f"/v1/{group['name']}:build", token)
    assert int(built["memberCount"]) == counted(demo_bank, token, *conditions) > 0
    members = streamed(demo_bank, group["name"], token)
    assert len(members) == int(built["memberCount"])
    assert streamed(demo_bank, group["name"], demo_bank.service_token()) == members

    order = {
        "customerGroup": group["name"],
        "columns": ["customer", "mobile"],
        "format": "FORMAT_CSV",
        "purpose": "回访",
    }
    export = demo_bank.finished("/v1/customers:export", token, **order)
    file = demo_bank.get(f"/v1/{export['name']}:download", token)
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == f'attachment; filename="{export["fileName"]}"'
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"), newline="")))
    assert [f"customers/{row['customer']}" for row in rows] == members
    assert demo_bank.get(f"/v1/{export['name']}:download", heads[max(heads)]).status == 404


def test_a_group_is_a_condition_is_shared_and_is_frozen(demo_bank: Banyan, heads: dict[str, str]) -> None:
    owner, other = heads["branches/B0001"], heads["branches/B0003"]
    women = {"identity": {"sex": "SEX_FEMALE"}}
    wanted = {
        "displayName": "女性客户",
        "kind": "KIND_QUERY",
        "query": {"conditions": [women]},
        "sharing": "SHARING_BRANCH",
        "sharedBranch": "branches/B0001",
    }
    group = demo_bank.done("/v1/customerGroups", owner, customerGroup=wanted)["customerGroup"]["name"]
    member, young = {"group": {"anyOf": [group]}}, {"identity": {"ageMax": 40}}
    unbuilt = demo_bank.post("/v1/customers:count", owner, conditions=[member])
    assert unbuilt.status == 400
    assert "GROUP_NOT_BUILT" in unbuilt.text
    size = int(demo_bank.finished(f"/v1/{group}:build", owner)["memberCount"])

    assert counted(demo_bank, owner, member) == size
    assert counted(demo_bank, owner, member, young) == counted(demo_bank, owner, women, young)
    assert counted(demo_bank, owner, {"group": {"noneOf": [group]}}, women) == 0
    # A colleague finds those of its members whom he sees; who is not told of the group does not know it.
    manager = demo_bank.sign_in("manager1-B0001")
    assert counted(demo_bank, manager, member) == counted(demo_bank, manager, women) < size
    assert "memberCount" not in demo_bank.get(f"/v1/{group}", manager).json
    assert demo_bank.post("/v1/customers:count", other, conditions=[member]).status == 404

    freeze = {"query": {"conditions": [member, young]}, "displayName": "女性客户，六月底"}
    frozen = demo_bank.finished("/v1/customerGroups:freeze", owner, **freeze)
    assert frozen["kind"] == "KIND_LIST"
    members = streamed(demo_bank, frozen["name"], owner)
    assert len(members) == int(frozen["memberCount"]) == counted(demo_bank, owner, women, young)
    demo_bank.done(f"/v1/{frozen['name']}:removeMembers", owner, customers=members[:3])
    assert streamed(demo_bank, frozen["name"], owner) == members[3:]
