"""The rendered configuration, without running it."""

import subprocess

import pytest
import yaml
from pydantic import ValidationError

from chassis import clock
from chassis.caller import PUBLIC
from deploy.identities import make_identities
from gateway.configuration import render, write_secrets
from gateway.envoy import program
from gateway.openapi import PUBLIC_RPCS
from gateway.settings import GatewaySettings
from services.alert_svc.rpc import permissions as alert_permissions
from services.assignment_svc.rpc import permissions as assignment_permissions
from services.campaign_svc.rpc import permissions as campaign_permissions
from services.customer_svc.rpc import permissions as customer_permissions


@pytest.fixture
def settings(tmp_path):
    return GatewaySettings(home=tmp_path, requests_per_second=7, issuers=("banyan/assignment_svc",))


@pytest.fixture
def rendered(settings, protos):
    return yaml.load(render(settings, protos), yaml.CSafeLoader)


def edge(rendered):
    [listener] = [each for each in rendered["static_resources"]["listeners"] if each["name"] == "edge"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_envoy_finds_the_configuration_valid(settings, protos, tmp_path):
    file = tmp_path / "envoy.yaml"
    file.write_text(render(settings, protos))
    checked = subprocess.run([program(), "--mode", "validate", "-c", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_envoy_finds_certificates_by_secrets_that_name_them(tmp_path, protos):
    make_identities(tmp_path, clock.now())
    own = tmp_path / "gateway" / "tls"
    pair = {"tls_certificate": own / "certificate.pem", "tls_key": own / "key.pem"}
    settings = GatewaySettings(home=tmp_path / "home", **pair)
    write_secrets(settings)
    file = tmp_path / "envoy.yaml"
    file.write_text(render(settings, protos))
    checked = subprocess.run([program(), "--mode", "validate", "-c", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with pytest.raises(FileNotFoundError):
        write_secrets(GatewaySettings(home=tmp_path / "home", tls_certificate=own / "x", tls_key=own / "key.pem"))


def test_filters_stand_in_the_order_of_the_design(rendered):
    names = [each["name"].removeprefix("envoy.filters.http.") for each in edge(rendered)["http_filters"]]
    assert names == [
        "health_check",
        "cors",
        "jwt_authn",
        "local_ratelimit",
        "buffer",
        "file_server",
        "header_mutation",
        "grpc_web",
        "grpc_json_transcoder",
        "router",
    ]


def test_every_service_is_transcoded_routed_and_needed_for_health(rendered, protos):
    by_name = {each["name"].rpartition(".")[2]: each["typed_config"] for each in edge(rendered)["http_filters"]}
    services = set(protos.services())
    assert set(by_name["grpc_json_transcoder"]["services"]) == services
    assert set(by_name["health_check"]["cluster_min_healthy_percentages"]) == services
    routes = edge(rendered)["route_config"]["virtual_hosts"][0]["routes"]
    assert {route["route"]["cluster"] for route in routes if "route" in route} == {*services, "inner"}


def test_only_watches_uploads_and_waiting_may_take_longer_than_a_call(rendered, protos):
    routes = edge(rendered)["route_config"]["virtual_hosts"][0]["routes"]
    longer = {route["match"]["path"] for route in routes if route.get("route", {}).get("timeout") in {"0s", "33s"}}
    assert longer == {rpc.grpc_path for rpc in protos.rpcs() if rpc.streams or rpc.waits}
    assert "/banyan.alert.v1.AlertService/WatchAlerts" in longer


def test_nothing_but_signing_in_the_keys_and_files_is_public(rendered):
    [jwt] = [each["typed_config"] for each in edge(rendered)["http_filters"] if each["name"].endswith("jwt_authn")]
    *public, last = jwt["rules"]
    assert last["match"] == {"prefix": "/"}
    assert "requires" in last
    assert all("requires" not in rule for rule in public)
    matches = [rule["match"].get("path") or rule["match"]["path_separated_prefix"] for rule in public]
    verbs = [f"/v1/sessions{verb}" for verb in ("", ":changePassword", ":oidc", ":refresh")]
    assert sorted(matches) == sorted([*PUBLIC_RPCS, *verbs, "/v1/jwks", "/", "/app", "/docs", "/openapi.json"])


def test_the_gateway_lets_in_without_a_token_what_services_answer_without_one():
    tables = (alert_permissions, assignment_permissions, campaign_permissions, customer_permissions)
    allowed = {rpc: roles for table in tables for rpc, roles in table.ALLOWED.items()}
    assert {rpc for rpc, roles in allowed.items() if roles is PUBLIC} == PUBLIC_RPCS


def test_settings_reach_envoy(rendered):
    [limit] = [each["typed_config"] for each in edge(rendered)["http_filters"] if each["name"].endswith("ratelimit")]
    assert limit["token_bucket"]["max_tokens"] == 7


def test_a_certificate_without_its_key_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="tls_certificate and tls_key"):
        GatewaySettings(home=tmp_path, tls_certificate=tmp_path / "chain.pem")


def test_certificates_for_the_mesh_go_together(tmp_path):
    with pytest.raises(ValidationError, match="belong together"):
        GatewaySettings(home=tmp_path, mesh_certificate=tmp_path / "chain.pem", mesh_key=tmp_path / "key.pem")
    whole = dict.fromkeys(("mesh_certificate", "mesh_key", "mesh_ca"), tmp_path / "file.pem")
    assert GatewaySettings(home=tmp_path, **whole).mesh_tls is not None
    assert GatewaySettings(home=tmp_path).mesh_tls is None
