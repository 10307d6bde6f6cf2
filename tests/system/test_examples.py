"""What the readmes and docs/api.md show is what the running system answers: each example is tried as it stands."""

import json
import re
import shlex
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Answer, Banyan

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
CURL = re.compile(r"curl (?:[^'\"\n]|'[^']*'|\"(?:[^\"\\]|\\.)*\")*")
# A condition of the table of the ten classes.
CONDITION = re.compile(r"`(\{\"\w+\": \{.*?\})`")


def commands(page: str) -> list[str]:
    """The calls of a page, in their order; those of a sign-in, which need a password, aside."""
    shown = "\n".join(FENCED.findall((ROOT / page).read_text()))
    return [command for command in CURL.findall(shown) if "authorization: " in command]


def called(bank: Banyan, command: str, known: dict[str, str]) -> Answer:
    """Does what a shell would do with a curl command whose variables are known."""
    for name, value in known.items():
        command = command.replace(f"${name}", value)
    command = command.replace("$(uuidgen)", str(uuid.uuid4()))
    words = shlex.split(command)
    path = next(word for word in words if word.startswith("localhost:8080")).removeprefix("localhost:8080")
    token = words[words.index("-H") + 1].removeprefix("authorization: Bearer ")
    assert token in known.values(), command
    if "-d" not in words:
        return bank.get(path, token)
    return bank.call("POST", path, json.loads(words[words.index("-d") + 1]), token=token)


# What a reader takes from an answer for the calls that follow, by the last part of the path.
TAKEN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "customerGroups": ("GROUP", lambda answer: answer["customerGroup"]["name"]),
    "customers:export": ("OPERATION", lambda answer: answer["name"]),
    "customer/$OPERATION:wait": ("EXPORT", lambda answer: ended(answer)["name"]),
    "branches/B0001/claimableCustomers": (
        "CUSTOMER",
        lambda answer: next(one["customer"] for one in answer["claimableCustomers"] if one["side"] == "SIDE_PRIMARY"),
    ),
    "branches/B0001/managerLoads": ("MANAGER", lambda answer: answer["managerLoads"][0]["manager"]),
    "$CUSTOMER/ownership": ("ETAG", lambda answer: row_of("branches/B0001", answer)["etag"]),
    "ownershipRequests -d": ("REQUEST", lambda answer: answer["name"]),
    "policyTrials": ("OPERATION", lambda answer: answer["name"]),
}


def row_of(branch: str, ownership: Any) -> Any:
    return next(one for one in ownership["owners"] if one["branch"] == branch)


def path_of(command: str) -> str:
    """The path that a command calls, without its query; marked if the same path is both read and written."""
    path = command.partition("localhost:8080/v1/")[2].split()[0].strip('"').partition("?")[0]
    return f"{path} -d" if path == "ownershipRequests" and " -d " in command else path


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_a_readme_can_be_followed(demo_bank: Banyan, page: str) -> None:
    known = {
        name: demo_bank.sign_in(login)
        for name, login in {"TOKEN": "head-B0001", "OTHER": "head-B0005", "ADMIN": "admin"}.items()
    }
    known["NOW"] = datetime.now(UTC).isoformat(timespec="seconds")
    found: dict[str, Answer] = {}
    for command in commands(page):
        path, answer = path_of(command), called(demo_bank, command, known)
        assert answer.status == 200, f"{command}\n{answer.text}"
        found[path] = answer
        if path in TAKEN:
            name, take = TAKEN[path]
            known[name] = take(answer.json)
        elif ":build" in command:
            operation = answer.json["name"]
            ended(demo_bank.post(f"/v1/customer/{operation}:wait", known["TOKEN"], timeout="20s").json)
    assert len(commands(page)) == 23
    check_customers(found)
    check_owners(found, known)


def check_customers(found: dict[str, Answer]) -> None:
    assert found["customers:search"].json["customers"]
    assert len(found["customers:facet"].json["facets"]) == 4
    assert found["customers:explain"].json["english"]
    assert int(found["customers:count"].json["customerCount"]) > 0
    assert found["$EXPORT:download"].text.splitlines()[0].endswith("exported_by")


def check_owners(found: dict[str, Answer], known: dict[str, str]) -> None:
    named = found["$CUSTOMER/ownership:assignManager"].json["ownership"]
    assert row_of("branches/B0001", named)["manager"] == known["MANAGER"]
    assert known["MANAGER"].removeprefix("staff/") in found["$CUSTOMER/ownership:explain"].text
    assert found["staff/-/dueVisits"].json["dueVisits"]
    assert found["$CUSTOMER/visits"].json["state"] not in {"VISIT_STATE_UNSPECIFIED", "VISIT_STATE_LATE"}
    assert found["branches/B0001/staff/-/scoreCards/2026-06"].json["figures"]
    assert found["branches/B0001/staff/-/scoreCards/2026-06/customers"].json["customerCredits"]
    waiting = {one["name"] for one in found["ownershipRequests"].json["ownershipRequests"]}
    assert known["REQUEST"] in waiting
    assert found["$REQUEST:approve"].json["state"] == "STATE_APPROVED"
    assert ended(found["assignment/$OPERATION:wait"].json)["branchCounts"]


def ended(operation: Any) -> Any:
    assert operation["done"], operation
    return operation["response"]


def test_the_examples_of_all_ten_classes_find_somebody(demo_bank: Banyan) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    examples = [json.loads(text) for text in CONDITION.findall(page)]
    assert len({name for example in examples for name in example}) >= 10
    token = demo_bank.sign_in("head-HQ")
    for example in examples:
        if "group" in example:
            continue  # it names a group of the reader's own
        answer = demo_bank.post("/v1/customers:count", token, conditions=[example])
        assert answer.status == 200, f"{example}\n{answer.text}"
        assert int(answer.json["customerCount"]) > 0, example
        assert demo_bank.post("/v1/customers:explain", token, conditions=[example]).status == 200
