from importlib import import_module
from pathlib import Path

import pytest

from chassis.clock import now
from chassis.tokens import KeyRing, Signer
from devstack import services
from devstack.home import HOME_LENGTH_MAX, Home
from devstack.postgres import Postgres
from devstack.services import Servers
from devstack.system import make_keys
from gateway.settings import GatewaySettings


@pytest.fixture
def servers(home: Home) -> Servers:
    return Servers(Postgres(home, 5432), 6379, 2181)


@pytest.mark.parametrize("service", services.SERVICES)
def test_every_instance_is_told_its_settings(service, home: Home, servers: Servers, monkeypatch: pytest.MonkeyPatch):
    settings_class = import_module(f"services.{service}_svc.settings").Settings
    specs = [spec for spec in services.instances(home, servers, 2, "CZK") if spec.name.startswith(service)]
    assert [spec.name for spec in specs] == [f"{service}-1", f"{service}-2"]
    for spec in specs:
        for name, value in spec.environment.items():
            monkeypatch.setenv(name, value)
        settings = settings_class()
        assert settings.home == home.short / "services" / spec.name
        assert settings.home.is_dir()
        assert (settings.port, settings.metrics_port) == (spec.port, spec.metrics_port)
        assert settings.zookeeper == "127.0.0.1:2181"
        assert settings.valkey_url == "redis://127.0.0.1:6379/0"
        assert (
            settings.database_url
            == f"postgresql+asyncpg://{service}_svc@/{service}_svc?host={home.short}/postgres&port=5432"
        )
        assert settings.database_password_file == home.root / "secrets" / f"postgres_{service}_svc"
        assert settings.keys == home.root / "keys"
        assert settings.currency == "CZK"
        assert getattr(settings, "data_keys", None) == (services.data_keys(home) if service == "customer" else None)


def test_no_two_processes_share_a_port(home: Home, servers: Servers):
    specs = services.instances(home, servers, 3, "CNY")
    ports = [port for spec in specs for port in (spec.port, spec.metrics_port)]
    assert len(set(ports)) == len(ports) == 2 * 3 * 4


def test_the_gateway_is_told_its_settings(home: Home, servers: Servers, monkeypatch: pytest.MonkeyPatch):
    spec = services.gateway(home, servers, 8080)
    for name, value in spec.environment.items():
        monkeypatch.setenv(name, value)
    settings = GatewaySettings()  # pyright: ignore[reportCallIssue] - its fields come from the environment
    assert (settings.home, settings.port, settings.zookeeper) == (home.short / "gateway", 8080, "127.0.0.1:2181")
    assert not spec.ready(0)


def test_sockets_of_the_longest_home_are_short_enough(tmp_path: Path):
    home = Home(tmp_path / ("x" * HOME_LENGTH_MAX))
    try:
        longest = home.short / "services" / "assignment-10" / "ads.sock"
        assert len(str(longest)) <= 107
        assert len("x" * HOME_LENGTH_MAX + "/services/assignment-10/ads.sock") <= 107
    finally:
        home.short.unlink()


def test_every_application_can_sign_after_the_first_start_and_keeps_its_key(tmp_path: Path):
    make_keys(tmp_path)
    keys = KeyRing(tmp_path).jwks()["keys"]
    assert len(keys) == len(services.APPLICATIONS)
    for application in services.APPLICATIONS:
        assert Signer(KeyRing(tmp_path), application).service_token(now())
    make_keys(tmp_path)
    assert KeyRing(tmp_path).jwks()["keys"] == keys


def test_the_digest_of_migrations_stays_while_the_code_does():
    digest = services.migrations_digest()
    assert len(digest) == 64
    assert services.migrations_digest() == digest
