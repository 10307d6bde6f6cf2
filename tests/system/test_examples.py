"""What the readmes and docs/api.md show is what the running system answers: each example is tried as it stands."""

import json
import re
import shlex
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
    return [command for command in CURL.findall(shown) if "$TOKEN" in command]


def called(bank: Banyan, command: str, known: dict[str, str]) -> Answer:
    """Does what a shell would do with a curl command whose variables are known."""
    for name, value in known.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command)
    path = next(word for word in words if word.startswith("localhost:8080")).removeprefix("localhost:8080")
    assert words[words.index("-H") + 1] == f"authorization: Bearer {known['TOKEN']}"
    if "-d" not in words:
        return bank.get(path, known["TOKEN"])
    return bank.call("POST", path, json.loads(words[words.index("-d") + 1]), token=known["TOKEN"])


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_a_readme_can_be_followed(demo_bank: Banyan, page: str) -> None:
    token = demo_bank.sign_in("head-B0001")
    known = {"TOKEN": token}
    answers: list[tuple[str, Answer]] = []
    for command in commands(page):
        answer = called(demo_bank, command, known)
        assert answer.status == 200, f"{command}\n{answer.text}"
        answers.append((command, answer))
        if "customerGroups -H" in command:
            known["GROUP"] = answer.json["customerGroup"]["name"]
        elif ":export" in command:
            known["OPERATION"] = answer.json["name"]
        elif "$OPERATION" in command:
            known["EXPORT"] = ended(answer)["name"]
        elif ":build" in command:
            operation = answer.json["name"]
            ended(demo_bank.post(f"/v1/customer/{operation}:wait", token, timeout="20s"))
    assert len(answers) == 9
    found = {command.partition(" -H")[0].rpartition(":")[2]: answer for command, answer in answers}
    assert found["search"].json["customers"]
    assert len(found["facet"].json["facets"]) == 4
    assert found["explain"].json["english"]
    assert int(found["count"].json["customerCount"]) > 0
    assert found["download"].text.splitlines()[0].endswith("exported_by")


def ended(answer: Answer) -> Any:
    assert answer.json["done"], answer.text
    return answer.json["response"]


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
