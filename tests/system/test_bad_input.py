"""Every kind of bad input, through the gateway: a clear error of one shape, with the right status, and nothing done."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import grpc
import jwt
import pyarrow as pa
import pytest
from banyan.assignment.v1 import import_service_pb2 as assignment_pb
from banyan.assignment.v1 import import_service_pb2_grpc as assignment_grpc
from banyan.customer.v1 import import_service_pb2 as customer_pb
from banyan.customer.v1 import import_service_pb2_grpc as customer_grpc
from cryptography.hazmat.primitives.asymmetric import rsa

from chassis import clock, wire
from chassis.tokens import KeyRing, Signer
from services.assignment_svc.store.imports import BRANCHES_SCHEMA as BRANCHES
from services.customer_svc.store.customer_imports import CUSTOMERS
from services.customer_svc.store.imports import ACCOUNTS
from tests.system.conftest import Answer, Banyan

DAY = date(2020, 1, 1)
CUSTOMER = {"customer_id": "new", "customer_type": "INDIVIDUAL", "state": "ACTIVE", "display_name": "王小明"}
ACCOUNT = {
    "account_id": "new",
    "customer_id": "nobody",
    "branch_id": "B0001",
    "kind": "DEMAND",
    "open_date": DAY,
}


@pytest.fixture(scope="module")
def bank(demo_bank: Banyan) -> Banyan:
    return demo_bank


@pytest.fixture(scope="module")
def head(bank: Banyan) -> str:
    return bank.sign_in("head-B0001")


def refused(answer: Answer, status: int, code: int) -> dict[str, Any]:
    """The one shape of all errors."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    told = answer.json
    assert told["code"] == code
    assert told["message"]
    assert isinstance(told["details"], list)
    assert status != 400 or any(detail.get("reason") for detail in told["details"])
    assert "Traceback" not in answer.text
    return told


def violations(told: dict[str, Any]) -> set[str]:
    return {one["field"] for detail in told["details"] for one in detail.get("fieldViolations", [])}


def test_malformed_json(bank: Banyan, head: str) -> None:
    refused(bank.call("POST", "/v1/customers:search", data=b'{"pageSize": ', token=head), 400, 3)


def test_unknown_query_parameter(bank: Banyan, head: str) -> None:
    refused(bank.get("/v1/alerts", head, colour="red"), 400, 3)


@pytest.mark.parametrize("size", ["many", "1.5", str(2**40)])
def test_wrong_type(bank: Banyan, head: str, size: str) -> None:
    refused(bank.get("/v1/alerts", head, pageSize=size), 400, 3)
    refused(bank.call("POST", "/v1/customers:search", {"pageSize": size}, token=head), 400, 3)


def test_missing_required_field(bank: Banyan, head: str) -> None:
    told = refused(bank.call("POST", "/v1/sessions", {"login": "head-B0001"}), 400, 3)
    assert violations(told) == {"password"}
    contact = refused(bank.call("POST", "/v1/customers/c/contacts:record", {}, token=head), 400, 3)
    assert violations(contact) >= {"contact", "request_id"}


def test_unknown_enum(bank: Banyan, head: str) -> None:
    refused(bank.get("/v1/alerts", head, kind="ALERT_KIND_GOSSIP"), 400, 3)
    body = {"conditions": [{"identity": {"sex": "SEX_MAYBE"}}]}
    refused(bank.call("POST", "/v1/customers:search", body, token=head), 400, 3)
    numbered = {"conditions": [{"identity": {"sex": 99}}]}
    refused(bank.call("POST", "/v1/customers:search", numbered, token=head), 400, 3)


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/products", "/v1/branches", "/v1/staff"])
def test_a_negative_page_is_refused_and_a_huge_one_lowered(bank: Banyan, head: str, path: str) -> None:
    told = refused(bank.get(path, head, pageSize=-1), 400, 3)
    assert violations(told) == {"page_size"}
    assert bank.get(path, head, pageSize=10**9).status == 200


def test_forged_page_token_and_one_of_another_request(bank: Banyan, head: str) -> None:
    forged = refused(bank.get("/v1/branches", head, pageToken="forged"), 400, 3)
    assert violations(forged) == {"page_token"}
    token = bank.get("/v1/branches", head, pageSize=1).json["nextPageToken"]
    assert bank.get("/v1/branches", head, pageSize=2, pageToken=token).status == 200
    refused(bank.get("/v1/branches", head, parent="branches/HQ", pageToken=token), 400, 3)
    refused(bank.get("/v1/staff", head, pageToken=token), 400, 3)


def test_expired_and_forged_tokens(bank: Banyan) -> None:
    signer = Signer(KeyRing(bank.home / "keys"), "assignment_svc")
    past = clock.now() - timedelta(hours=1)
    expired = signer.staff_token("S1", "B0001", [], "s", past, past + timedelta(minutes=15))
    refused(bank.get("/v1/alerts", expired), 401, 16)
    claims = jwt.decode(bank.sign_in("head-B0001"), options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = next((bank.home / "keys" / "public" / "assignment_svc").iterdir()).stem
    refused(bank.get("/v1/alerts", jwt.encode(claims, key, "RS256", {"kid": kid})), 401, 16)
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    refused(bank.get("/v1/alerts", f"eyJhbGciOiJub25lIn0.{body}."), 401, 16)
    refused(bank.get("/v1/alerts"), 401, 16)


def test_a_body_of_20_mb(bank: Banyan, head: str) -> None:
    body = b'{"pageToken": "' + b"x" * 20_000_000 + b'"}'
    try:
        answer = bank.call("POST", "/v1/customers:search", data=body, token=head)
    except (ConnectionError, OSError):
        answer = None  # Envoy answers while we still send, and closes: then the answer may be lost on the way
    if answer is not None:
        refused(answer, 413, 8)
    fits_not = b'{"pageToken": "' + b"x" * 4_300_000 + b'"}'
    refused(bank.call("POST", "/v1/customers:search", data=fits_not, token=head), 413, 8)


def test_a_path_or_a_method_that_does_not_exist(bank: Banyan, head: str) -> None:
    refused(bank.get("/v1/nothing", head), 404, 5)
    refused(bank.call("DELETE", "/v1/products", token=head), 405, 12)


def test_a_role_that_may_not_call(bank: Banyan, head: str) -> None:
    refused(bank.call("POST", "/v1/ownerships:allocate", {}, token=head), 403, 7)


# --- rows of the feed, by gRPC through the gateway as other systems send them --------------------------------------


def pieces(schema: pa.Schema, rows: list[dict[str, Any]]) -> Iterator[bytes]:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema))
    yield stream.getvalue()


@dataclass(frozen=True)
class Service:
    """One service's import, on the wire."""

    messages: Any
    stub: Any

    def refuses(self, bank: Banyan, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> str:
        """What the refusal of these rows says; columns may lack values that the schema requires."""
        nullable = pa.schema([field.with_nullable(nullable=True) for field in schema])
        header = self.messages.ImportHeader(table=table, business_date=wire.date_to_wire(DAY))
        requests = [self.messages.ImportRowsRequest(header=header)]
        requests += [self.messages.ImportRowsRequest(arrow=piece) for piece in pieces(nullable, rows)]
        metadata = (("authorization", f"Bearer {bank.service_token()}"),)
        with grpc.insecure_channel(bank.url.removeprefix("http://")) as channel, pytest.raises(grpc.RpcError) as no:
            self.stub(channel).ImportRows(iter(requests), metadata=metadata, timeout=30)
        assert no.value.code() == grpc.StatusCode.INVALID_ARGUMENT, no.value
        return str(no.value.details())


CUSTOMER_SVC = Service(customer_pb, customer_grpc.ImportServiceStub)
ASSIGNMENT_SVC = Service(assignment_pb, assignment_grpc.ImportServiceStub)


def customers_refused(bank: Banyan, *rows: dict[str, Any]) -> str:
    return CUSTOMER_SVC.refuses(bank, "customers", CUSTOMERS, list(rows))


BAD_VALUES: dict[str, object] = {
    "customer_id": "spaces are no id",
    "customer_type": "ALIEN",
    "display_name": "a\0b",
    "sex": "MAYBE",
    "id_type": "a\0b",
    "id_number": "a\0b",
    "mobile": "a\0b",
    "occupation": "a\0b",
    "residence_district": "a\0b",
    "state": "ASLEEP",
}


@pytest.mark.parametrize("column", BAD_VALUES)
def test_a_bad_value_in_each_column_of_text(bank: Banyan, column: str) -> None:
    told = customers_refused(bank, CUSTOMER | {"customer_id": "other"}, CUSTOMER | {column: BAD_VALUES[column]})
    assert f"rows[1].{column}" in told


@pytest.mark.parametrize("column", ["customer_id", "customer_type", "state"])
def test_a_required_column_without_a_value(bank: Banyan, column: str) -> None:
    assert f"rows[0].{column}" in customers_refused(bank, CUSTOMER | {column: None})


@pytest.mark.parametrize("column", CUSTOMERS.names)
def test_a_column_of_the_wrong_type(bank: Banyan, column: str) -> None:
    wrong = pa.schema([pa.field(one.name, pa.float64()) if one.name == column else one for one in CUSTOMERS])
    rows = [{**CUSTOMER, column: 1.5}]
    told = CUSTOMER_SVC.refuses(bank, "customers", wrong, rows)
    assert column in told


def test_duplicate_ids(bank: Banyan) -> None:
    assert "rows[1].customer_id" in customers_refused(bank, CUSTOMER, CUSTOMER)


def test_an_account_of_an_unknown_customer(bank: Banyan) -> None:
    told = CUSTOMER_SVC.refuses(bank, "accounts", ACCOUNTS, [ACCOUNT])
    assert "rows[0].customer_id" in told


def test_a_cyclic_branch_tree(bank: Banyan) -> None:
    circle = [
        {"branch_id": "X1", "display_name": "one", "parent_id": "X2"},
        {"branch_id": "X2", "display_name": "two", "parent_id": "X1"},
    ]
    told = ASSIGNMENT_SVC.refuses(bank, "branches", BRANCHES, circle)
    assert "parent_id" in told
    assert bank.get("/v1/branches/X1", bank.service_token()).status == 404
