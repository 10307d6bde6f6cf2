"""What nobody sends by accident."""

import json
import socket

import pytest


def answer_to(edge, request: bytes):
    """Sends bytes as they are; returns the head and the body of what comes back."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received or b"}" not in received:
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode("latin-1").lower(), body


@pytest.mark.parametrize(
    "path",
    [
        "//v1/customers/1",
        "/V1/customers/1",
        "/v1/customers/1?x=/v1/jwks",
        "/v1/jwks/../customers/1",
        "/v1/jwks/%2e%2e/customers/1",
        "/v1/jwks;/../customers/1",
        "/v1/sessions/../customers/1",
        "/docs/../v1/customers/1",
        "/docs/%2e%2e/envoy.yaml",
        "/openapi.json/../v1/customers/1",
        "/healthz/../v1/customers/1",
        "/app/../banyan.customer.v1.CustomerService/GetCustomer",
    ],
)
def test_no_way_of_writing_a_path_gets_past_the_token(edge, path):
    head, body = answer_to(edge, f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert head.startswith("http/1.1 401 ")
    assert json.loads(body)["code"] == 16


@pytest.mark.parametrize(
    "path", ["/docs/..%2f..%2fenvoy.yaml", "/docs/..%5cenvoy.yaml", "/docs/%252e%252e/envoy.yaml", "/docs/a%00b"]
)
def test_files_outside_of_their_folder_are_out_of_reach(edge, path):
    head, body = answer_to(edge, f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert head.split()[1] in {"400", "404"}
    assert [info["reason"] for info in json.loads(body)["details"]] in ([], ["REQUEST_MALFORMED"])


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        pytest.param("NONSENSE", "", 400, id="no request at all"),
        pytest.param("GET /v1/customers/1 HTTP/1.0", "", 426, id="HTTP/1.0"),
        pytest.param("GET /v1/customers/1 HTTP/1.1", "", 400, id="no host"),
        pytest.param("GET /v1/customers/1 HTTP/1.1", "host: a\r\ncontent-length: x", 400, id="length that is none"),
        pytest.param("GET /v1/customers/1 HTTP/1.1", "host: a\r\nunder_score: 1", 400, id="underscore in a header"),
        pytest.param("GET /v1/jwks HTTP/1.1", "host: a\r\n:path: /v1/customers/1", 400, id="second path"),
        pytest.param(f"GET /{'a' * 80_000} HTTP/1.1", "host: a", 431, id="endless path"),
        pytest.param(
            "GET /v1/jwks HTTP/1.1", "host: a\r\nupgrade: websocket\r\nconnection: upgrade", 403, id="upgrade"
        ),
    ],
)
def test_malformed_requests_get_an_error_of_the_one_shape(edge, request_line, headers, status):
    lines = "\r\n".join(line for line in (request_line, headers) if line)
    head, body = answer_to(edge, f"{lines}\r\n\r\n".encode())
    assert head.split()[1] == str(status)
    assert "content-type: application/json" in head
    error = json.loads(body)
    assert set(error) == {"code", "message", "details"}
    assert error["message"]


def test_what_the_gateway_writes_for_itself_is_not_taken_from_callers(edge):
    answer = edge.without_token().ask("GET", "/v1/customers/1", headers={"x-envoy-original-path": "/v1/jwks"})
    assert answer.status == 401
    for name in ("x-allow", "x-repeated"):
        assert edge.ask("GET", "/v1/nothing", headers={name: "GET"}).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/customers/1?name=customers/2"),
        ("GET", "/v1/customers/1?x=1&name=customers/2"),
        ("GET", "/v1/customers/1/contacts?parent=customers/2"),
        ("POST", "/v1/customers/1/contacts:record?parent=customers/2"),
    ],
)
def test_the_query_cannot_say_what_the_path_says(edge, method, path):
    answer = edge.ask(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert answer.json["message"].endswith("; the query must not")
    (info,) = answer.json["details"]
    assert (info["reason"], info["domain"]) == ("REQUEST_MALFORMED", "banyan")
    assert info["metadata"]["field"] in answer.json["message"]


def test_a_query_parameter_of_that_name_is_taken_where_the_path_does_not_say_it(edge):
    assert edge.ask("GET", "/v1/branches?parent=branches/1").status == 501


@pytest.mark.parametrize(
    "header", [b"p|: x", b"xa%yy: x", b"`: x", b"x-note: \xe4\xbd\xa0\xff", b"user-agent: caf\xe9", b"x-note: a\x01b"]
)
def test_headers_that_grpc_does_not_allow_fail_no_call(edge, header):
    request = b"GET /v1/customers/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + edge.token.encode()
    head, _ = answer_to(edge, request + b"\r\n" + header + b"\r\n\r\n")
    assert head.split()[1] in {"200", "400"}


def test_header_names_that_grpc_does_not_know_do_not_reach_it(edge):
    answer = edge.ask("GET", "/v1/customers/1", headers={"x!y": "1", "X'Y": "1"})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("before", "after"), [('{"notOf":', "}"), ('{"anyOf":{"conditions":[', "]}}")], ids=["not", "any of"]
)
def test_a_thousand_nested_conditions_are_refused_before_they_reach_a_service(edge, before, after):
    nested = before * 1000 + '{"identity":{"sex":"SEX_MALE"}}' + after * 1000
    answer = edge.ask("POST", "/v1/customers:search", f'{{"conditions":[{nested}]}}'.encode())
    assert answer.status == 400
    assert answer.json["code"] == 3
    assert "too deep" in answer.json["message"]
