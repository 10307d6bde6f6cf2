from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings

NEEDED = {"home": "/run/banyan", "keys": "/etc/banyan/keys", "database_url": "postgresql+asyncpg://u:secret@db/x"}


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="BANYAN_TEST_", frozen=True)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(f"BANYAN_TEST_{name.upper()}", value)
    return monkeypatch


def told() -> Settings:
    return Settings()  # pyright: ignore[reportCallIssue] -- the environment tells what is needed


def test_settings_are_read_under_the_services_own_prefix(environment: pytest.MonkeyPatch):
    environment.setenv("BANYAN_TEST_PORT", "9001")
    environment.setenv("BANYAN_OTHER_HOST", "0.0.0.0")  # another service's
    settings = told()
    assert (settings.home, settings.port, settings.host) == (Path("/run/banyan"), 9001, "127.0.0.1")


def test_others_reach_an_instance_where_it_listens_unless_told(environment: pytest.MonkeyPatch):
    assert told().reached_at == "127.0.0.1"
    environment.setenv("BANYAN_TEST_ADVERTISE_HOST", "10.0.0.7")
    assert told().reached_at == "10.0.0.7"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("PORT", "-1"), ("METRICS_PORT", "-2"), ("CALLS_MAX", "0"), ("CURRENCY", "yuan")],
)
def test_what_makes_no_sense_stops_the_start(name: str, value: str, environment: pytest.MonkeyPatch):
    environment.setenv(f"BANYAN_TEST_{name}", value)
    with pytest.raises(ValidationError):
        told()


def test_what_is_needed_has_no_default(environment: pytest.MonkeyPatch):
    environment.delenv("BANYAN_TEST_DATABASE_URL")
    with pytest.raises(ValidationError, match="database_url"):
        told()


def test_settings_never_change():
    with pytest.raises(ValidationError, match="frozen"):
        told().port = 1


def test_passwords_are_not_shown():
    assert "secret" not in repr(told())


@pytest.mark.parametrize("name", list(ServiceSettings.model_fields))
def test_every_setting_is_described(name: str):
    description = ServiceSettings.model_fields[name].description
    assert description
    assert description.endswith(".")
