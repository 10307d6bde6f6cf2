"""A saved group is built, streamed and exported through the gateway, while two instances share the work."""

import csv
import io
import json
import uuid
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


def done(bank: Banyan, operation: dict[str, Any], token: str) -> Any:
    """The response of an operation once it has ended."""
    while not operation["done"]:
        answer = bank.call("POST", f"/v1/customer/{operation['name']}:wait", {"timeout": "4s"}, token=token)
        assert answer.status == 200, answer.text
        operation = answer.json
    assert "error" not in operation, operation
    return operation["response"]


def posted(bank: Banyan, path: str, token: str, **body: Any) -> Any:
    answer = bank.call("POST", path, {**body, "requestId": str(uuid.uuid4())}, token=token)
    assert answer.status == 200, answer.text
    return answer.json


def test_a_group_is_built_streamed_and_exported(demo_bank: Banyan, heads: dict[str, str]) -> None:
    token = heads[min(heads)]
    conditions = [{"identity": {"ageMin": 30, "ageMax": 60}}]
    group = posted(
        demo_bank,
        "/v1/customerGroups",
        token,
        customerGroup={"displayName": "中年客户", "kind": "KIND_QUERY", "query": {"conditions": conditions}},
    )["customerGroup"]
    built = done(demo_bank, posted(demo_bank, f"/v1/{group['name']}:build", token), token)
    counted = demo_bank.call("POST", "/v1/customers:count", {"conditions": conditions}, token=token).json
    assert built["memberCount"] == counted["customerCount"] != "0"

    stream = demo_bank.get(f"/v1/{group['name']}:stream", token)
    events = [json.loads(event.removeprefix("data: ")) for event in stream.text.split("\n\n") if event.strip()]
    members = [customer for event in events for customer in event["customers"]]
    assert events[-1]["complete"]
    assert len(members) == int(built["memberCount"])
    service = demo_bank.get(f"/v1/{group['name']}:stream", demo_bank.service_token())
    assert [
        customer
        for event in service.text.split("\n\n")
        if event.strip()
        for customer in json.loads(event.removeprefix("data: "))["customers"]
    ] == members

    order = {
        "customerGroup": group["name"],
        "columns": ["customer", "mobile"],
        "format": "FORMAT_CSV",
        "purpose": "回访",
    }
    export = done(demo_bank, posted(demo_bank, "/v1/customers:export", token, **order), token)
    file = demo_bank.get(f"/v1/{export['name']}:download", token)
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == f'attachment; filename="{export["fileName"]}"'
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"), newline="")))
    assert [f"customers/{row['customer']}" for row in rows] == members
    assert demo_bank.get(f"/v1/{export['name']}:download", heads[max(heads)]).status == 404
