"""The served OpenAPI document tells the truth: schemathesis finds no 5xx and no answer outside of it."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.system.conftest import Banyan

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def tokens(bank: Banyan) -> dict[str, str]:
    return {"head": bank.sign_in("head-B0001"), "service": bank.service_token()}


@pytest.fixture(scope="module")
def document(bank: Banyan) -> BaseSchema:
    return schemathesis.openapi.from_dict(bank.get("/openapi.json").json)


# A watch does not end by itself; its answers are tested where watches are.
api = schemathesis.pytest.from_fixture("document").exclude(path_regex=":watch$")


@api.parametrize()
@pytest.mark.parametrize("who", ["head", "service"])
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_every_answer_is_one_that_the_document_tells(case: Any, bank: Banyan, tokens: dict[str, str], who: str) -> None:
    case.call_and_validate(base_url=bank.url, headers={"authorization": f"Bearer {tokens[who]}"}, checks=CHECKS)
