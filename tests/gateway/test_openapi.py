"""The document that is served: valid, complete, and true to what the gateway answers."""

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.openapi import document


@pytest.fixture(scope="session")
def served(protos):
    return document(protos)


def schema(served, name):
    return served["components"]["schemas"][name]


def check(served, path, verb, status, answer):
    """Holds an answer against the schema that the document promises for it."""
    responses = served["paths"][path][verb]["responses"]
    promised = responses.get(str(status), responses["default"])["content"]["application/json"]["schema"]
    whole = {**promised, "components": served["components"]}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(answer)


def test_it_is_valid_openapi(served):
    OpenAPIV31SpecValidator(served).validate()


def test_it_has_every_rpc_with_its_comment(served, protos):
    operations = [operation for path in served["paths"].values() for operation in path.values()]
    assert len(operations) == len(protos.rpcs()) + 1  # and /healthz
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_its_schemas_have_the_protos_comments(served):
    assert schema(served, "banyan.customer.v1.Customer")["properties"]["mobile"]["description"].startswith("The mobile")


def test_64_bit_integers_are_strings(served):
    count = schema(served, "banyan.customer.v1.CountCustomersResponse")["properties"]["customerCount"]
    assert (count["type"], count["format"]) == ("string", "int64")


def test_enums_list_their_names(served):
    assert schema(served, "banyan.customer.v1.Side")["enum"] == ["SIDE_UNSPECIFIED", "SIDE_PRIMARY", "SIDE_SECONDARY"]


def test_a_required_enum_must_be_specified(served):
    asked = schema(served, "banyan.campaign.v1.Contact.Input")
    assert "CHANNEL_UNSPECIFIED" not in asked["properties"]["channel"]["enum"]
    assert set(asked["required"]) == {"channel", "messageClass", "contactTime"}


def test_fields_that_only_the_server_sets_cannot_be_asked(served):
    answered = schema(served, "banyan.campaign.v1.Contact")
    asked = schema(served, "banyan.campaign.v1.Contact.Input")
    assert set(answered["properties"]) - set(asked["properties"]) == {"name", "state", "actor", "createTime"}


def test_answers_require_what_cannot_be_unset(served):
    required = set(schema(served, "banyan.customer.v1.Customer")["required"])
    assert {"name", "owners", "state"} <= required
    assert not {"total", "birthDate", "updateTime"} & required


def test_one_kind_of_condition_is_chosen(served):
    condition = schema(served, "banyan.customer.v1.CustomerCondition.Input")
    chosen = [choice["required"] for choice in condition["oneOf"]]
    assert chosen[:3] == [["identity"], ["ownership"], ["deposit"]]
    assert chosen[-3:] == [["allOf"], ["anyOf"], ["notOf"]]


def test_paths_name_their_variables_after_the_resource(served):
    [parameter] = served["paths"]["/v1/customers/{customer}/ownership"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("customer", "path", True)


def test_queries_spread_messages(served):
    parameters = served["paths"]["/v1/alerts"]["get"]["parameters"]
    names = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert {"state", "customer", "businessDateMin.year", "pageSize", "pageToken"} <= names
    [page_size] = [parameter for parameter in parameters if parameter["name"] == "pageSize"]
    assert page_size["schema"]["minimum"] == 0


def test_streams_tell_how_they_are_sent(served):
    watch = served["paths"]["/v1/alerts:watch"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert watch["schema"]["x-event-data"] == {"$ref": "#/components/schemas/banyan.alert.v1.WatchAlertsResponse"}
    body = served["paths"]["/v1/customer/rows:import"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["type"] == "array"


def test_public_paths_need_no_token(served):
    public = [path for path, verbs in served["paths"].items() for each in verbs.values() if each.get("security") == []]
    verbs = [f"/v1/sessions{verb}" for verb in ("", ":changePassword", ":oidc", ":refresh")]
    assert sorted(public) == ["/healthz", "/v1/jwks", *verbs]


@pytest.mark.parametrize(
    ("method", "template", "path", "body"),
    [
        ("GET", "/v1/customers/{customer}", "/v1/customers/7", None),
        ("GET", "/v1/customers/{customer}", "/v1/customers/missing", None),
        ("GET", "/v1/customers/{customer}", "/v1/customers/7?no=1", None),
        ("POST", "/v1/customers:search", "/v1/customers:search", {"pageSize": 3}),
        ("POST", "/v1/customers:search", "/v1/customers:search", {"pageSize": "x"}),
        ("GET", "/v1/assignment/operations/{operation}", "/v1/assignment/operations/1", None),
        ("DELETE", "/v1/sessions/{session}", "/v1/sessions/-", None),
        ("GET", "/v1/products", "/v1/products", None),
        ("POST", "/v1/assignment/rows:import", "/v1/assignment/rows:import", [{"arrow": "AAAA"}]),
        ("GET", "/v1/jwks", "/v1/jwks", None),
        ("GET", "/healthz", "/healthz", None),
    ],
)
def test_answers_are_as_the_served_document_says(edge, method, template, path, body):
    served = edge.ask("GET", "/openapi.json").json
    answer = edge.ask(method, path, body)
    check(served, template, method.lower(), answer.status, answer.json)
