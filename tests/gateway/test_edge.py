"""What callers see of REST, through a real Envoy."""

import socket
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

MIB = 1024 * 1024


def test_a_resource_is_answered_with_every_field_that_cannot_be_unset(edge):
    answer = edge.ask("GET", "/v1/customers/c:1")
    assert answer.status == 200
    assert answer.json["name"] == "customers/c:1"
    assert answer.json["owners"] == []
    assert answer.json["state"] == "STATE_UNSPECIFIED"
    assert answer.json["total"]["depositBalance"] == {"currencyCode": "", "units": "1099511627776", "nanos": 0}
    assert answer.json["businessDate"] == {"year": 1998, "month": 0, "day": 0}
    assert answer.json["updateTime"] == "1998-12-31T04:00:00.500Z"
    assert "birthDate" not in answer.json


def test_a_body_reaches_the_service_with_the_variables_of_the_path(edge):
    contact = {
        "channel": "CHANNEL_CALL",
        "messageClass": "MESSAGE_CLASS_SERVICE",
        "contactTime": "2026-01-01T00:00:00Z",
    }
    body = {"contact": contact, "requestId": "0b1e"}
    answer = edge.ask("POST", "/v1/customers/7/contacts:record", body)
    assert answer.status == 200
    assert answer.json["name"] == "customers/7/contacts/c1"
    assert answer.json["channel"] == "CHANNEL_CALL"


def test_unknown_fields_of_a_body_are_ignored(edge):
    answer = edge.ask("POST", "/v1/customers:search", {"pageSize": 2, "unknown": 1})
    assert answer.status == 200
    assert len(answer.json["customers"]) == 2
    assert answer.json["leftOutCount"] == "1099511627776"


def test_an_empty_answer_is_an_empty_object(edge):
    assert edge.ask("DELETE", "/v1/sessions/-").json == {}


def test_a_service_s_refusal_keeps_its_details(edge):
    answer = edge.ask("GET", "/v1/customers/missing")
    assert answer.status == 404
    assert answer.json == {
        "code": 5,
        "message": "it does not exist",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "NOT_FOUND",
                "domain": "customer.banyan",
                "metadata": {},
            }
        ],
    }


MALFORMED = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "REQUEST_MALFORMED",
    "domain": "banyan",
    "metadata": {},
}


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        pytest.param("GET", "/v1/nothing", None, (404, 5, "there is nothing at this path"), id="unknown path"),
        pytest.param("GET", "/docs/none", None, (404, 5, "there is nothing at this path"), id="unknown file"),
        pytest.param("GET", "/docsindex.html", None, (404, 5, "there is nothing at this path"), id="beside a folder"),
        pytest.param("DELETE", "/v1/customers/1", None, (405, 12, "does not take this method"), id="wrong method"),
        pytest.param(
            "GET", "/v1/customers:search", None, (405, 12, "does not take this method"), id="wrong for a verb"
        ),
        pytest.param("POST", "/docs/", b"", (405, 12, "does not take this method"), id="wrong for a file"),
        pytest.param("GET", "/v1/customers/1?no=1", None, (400, 3, 'find field "no"'), id="unknown query parameter"),
        pytest.param("GET", "/v1/alerts?state=NO", None, (400, 3, 'state: invalid value "NO"'), id="unknown enum"),
        pytest.param("GET", "/v1/customers/a%2fb", None, (400, 3, "malformed: path_norm"), id="escaped slash"),
        pytest.param("POST", "/v1/customers:search", b"{", (400, 3, "Expected an object key"), id="malformed JSON"),
        pytest.param("POST", "/v1/customers:search", b"[]", (400, 3, "must be a message"), id="not an object"),
        pytest.param("POST", "/v1/customers:search", b'{"pageToken":"\xff"}', (400, 3, "non UTF-8"), id="not UTF-8"),
        pytest.param(
            "POST", "/v1/customers:search", {"pageSize": "x"}, (400, 3, "page_size: invalid"), id="wrong type"
        ),
        pytest.param("POST", "/v1/customers:search", {"pageSize": 2**40}, (400, 3, "page_size: invalid"), id="too big"),
        pytest.param("GET", "/v1/customers/hanging", None, (504, 4, "did not answer in time"), id="hanging service"),
        pytest.param("GET", "/v1/alerts/1", None, (501, 12, "not implemented"), id="not served yet"),
    ],
)
def test_every_failure_has_one_shape(edge, method, path, body, refusal):
    status, code, message = refusal
    answer = edge.ask(method, path, body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert message in answer.json["message"]
    assert answer.json["details"] == ([MALFORMED] if status == 400 else [])
    assert set(answer.json) == {"code", "message", "details"}


def test_a_body_of_20_mebibytes_is_refused_while_it_is_being_sent(edge):
    head = f"POST /v1/customers:search HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {edge.token}\r\n"
    with socket.create_connection(("127.0.0.1", edge.port)) as connection:
        connection.sendall(f"{head}content-length: {20 * MIB}\r\n\r\n".encode())
        sender = threading.Thread(target=send_until_refused, args=(connection, b" " * 20 * MIB))
        sender.start()
        answer = connection.recv(MIB)
        sender.join()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"message":"the body is larger than 4 MiB"' in answer


def send_until_refused(connection, body):
    with suppress(OSError):
        connection.sendall(body)


def test_a_wrong_method_is_told_the_right_ones(edge):
    assert edge.ask("DELETE", "/v1/customers/1").headers["allow"] == "GET"
    assert edge.ask("PATCH", "/v1/sessions/-").headers["allow"] == "DELETE, GET"


def test_a_header_that_is_too_large_is_refused_in_the_same_shape(edge):
    answer = edge.ask("GET", "/v1/customers/1", headers={"x-large": "x" * 70_000})
    assert (answer.status, answer.json["message"]) == (431, "Request Header Fields Too Large")


def test_an_answer_of_more_than_a_mebibyte_arrives(edge):
    answer = edge.ask("GET", "/v1/customers/large")
    assert answer.status == 200
    assert len(answer.body) > 2_000_000


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        pytest.param("", "Jwt is missing", id="none"),
        pytest.param("Bearer x.y.z", "Jwt header", id="garbage"),
        pytest.param("Basic czE6cGFzcw==", "Jwt is missing", id="other scheme"),
    ],
)
def test_who_has_no_token_is_refused(edge, authorization, message):
    answer = edge.without_token().ask("GET", "/v1/customers/1", headers={"authorization": authorization})
    assert (answer.status, answer.json["code"]) == (401, 16)
    assert message in answer.json["message"]


def test_an_expired_token_is_refused(edge, sign):
    answer = edge.with_token(sign(-timedelta(minutes=5))).ask("GET", "/v1/customers/1")
    assert (answer.status, answer.json["message"]) == (401, "Jwt is expired")


def test_a_forged_token_is_refused(edge, sign):
    head, claims, signature = sign().split(".")
    forged = ".".join([head, claims, signature[:-8] + "AAAAAAAA"])
    answer = edge.with_token(forged).ask("GET", "/v1/customers/1")
    assert (answer.status, answer.json["message"]) == (401, "Jwt verification fails")


def test_the_keys_are_public(edge):
    [key] = edge.without_token().ask("GET", "/v1/jwks").json["keys"]
    assert key["alg"] == "RS256"


def test_an_unknown_path_needs_a_token_too(edge):
    assert edge.without_token().ask("GET", "/v1/nothing").status == 401


def test_waiting_for_an_operation_gives_the_service_more_time(edge):
    answer = edge.ask("POST", "/v1/assignment/operations/1:wait", {})
    assert answer.json["name"] == "operations/32"


def test_origins_that_are_set_may_call_from_browsers(edge):
    asked = {"origin": "https://app.bank", "access-control-request-method": "GET"}
    preflight = edge.without_token().ask("OPTIONS", "/v1/customers/1", headers=asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.bank"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = edge.ask("GET", "/v1/customers/missing", headers={"origin": "https://app.bank"})
    assert answer.headers["access-control-allow-origin"] == "https://app.bank"


def test_other_origins_may_not(edge):
    asked = {"origin": "https://evil.example", "access-control-request-method": "GET"}
    preflight = edge.without_token().ask("OPTIONS", "/v1/customers/1", headers=asked)
    assert "access-control-allow-origin" not in preflight.headers


def test_every_answer_carries_a_request_id_of_the_gateway(edge):
    answer = edge.ask("GET", "/v1/customers/1", headers={"x-request-id": "mine"})
    assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    ("path", "content_type", "piece"),
    [
        ("/docs/", "text/html; charset=utf-8", b"swagger-ui-bundle.js"),
        ("/docs/start.js", "text/javascript; charset=utf-8", b"/openapi.json"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", b".swagger-ui"),
        ("/openapi.json", "application/json", b'"openapi": "3.1.0"'),
    ],
)
def test_the_api_browser_is_served_to_everybody(edge, path, content_type, piece):
    answer = edge.without_token().ask("GET", path)
    assert (answer.status, answer.content_type) == (200, content_type)
    assert piece in answer.body


def test_the_api_browser_s_address_works_without_its_last_slash(edge):
    answer = edge.without_token().ask("GET", "/docs")
    assert (answer.status, answer.headers["location"]) == (301, f"http://127.0.0.1:{edge.port}/docs/")


def test_a_service_without_instances_is_unavailable_and_the_gateway_not_ready(edge, backend, wait_until):
    backend.toggle_products()
    try:
        wait_until(lambda: edge.ask("GET", "/v1/products").status == 503)
        answer = edge.ask("GET", "/v1/products")
        assert answer.json == {
            "code": 14,
            "message": "no instance of the service can be reached; try again",
            "details": [],
        }
        health = edge.without_token().ask("GET", "/healthz")
        assert (health.status, health.json["code"]) == (503, 14)
        assert edge.ask("GET", "/v1/customers/1").status == 200
    finally:
        backend.toggle_products()
    wait_until(lambda: edge.ask("GET", "/v1/products").status == 200)
    health = edge.without_token().ask("GET", "/healthz")
    assert (health.status, health.json["code"]) == (200, 0)


def test_the_bare_address_leads_to_the_api_browser(edge):
    answer = edge.without_token().ask("GET", "/")
    assert (answer.status, answer.headers["location"].endswith("/docs/")) == (302, True)
