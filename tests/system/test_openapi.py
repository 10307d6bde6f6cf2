"""The served OpenAPI document tells the truth: schemathesis finds no 5xx and no answer outside of it."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.descriptors import Protos
from gateway.openapi import document
from tests.system.conftest import Banyan

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = document(Protos())


def _takes_something(operation: Any) -> bool:
    return bool(operation.body or list(operation.iter_parameters()))


# A watch does not end by itself; its answers are tested where watches are.
FOUND: Any = schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
OPERATIONS: list[Any] = [found.ok() for found in FOUND]
# What takes nothing cannot be asked wrongly.
ASKED = [
    pytest.param(one, mode, id=f"{mode.value}-{one.label}")
    for one in OPERATIONS
    for mode in GenerationMode
    if not one.path.endswith(":watch") and (mode is GenerationMode.POSITIVE or _takes_something(one))
]


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def tokens(bank: Banyan) -> dict[str, str]:
    return {"head": bank.sign_in("head-B0001"), "service": bank.service_token()}


def test_what_is_served_is_the_document_that_is_tested(bank: Banyan) -> None:
    assert bank.get("/openapi.json").json == DOCUMENT
    assert len(OPERATIONS) > 30


@pytest.mark.parametrize(("operation", "mode"), ASKED)
def test_every_answer_is_one_that_the_document_tells(
    bank: Banyan, tokens: dict[str, str], operation: Any, mode: GenerationMode
) -> None:
    # Signing out would leave nothing to test for those who follow.
    head = bank.sign_in("head-B0001") if operation.method == "delete" else tokens["head"]

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Any) -> None:
        # Making up a request costs more than asking: both ask the same.
        for token in (head, tokens["service"]):
            response = case.call(base_url=bank.url, headers={"authorization": f"Bearer {token}"}, timeout=20)
            case.validate_response(response, checks=CHECKS)

    answers()
