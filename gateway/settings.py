"""What operators may set for the gateway; every name is an environment variable with the prefix BANYAN_GATEWAY_."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.xds_resources import Tls

WORKBENCH = Path(__file__).parent.parent / "web" / "dist"


class GatewaySettings(BaseSettings):
    """Read once, in `__main__`."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_GATEWAY_", frozen=True)

    home: Path = Field(description="The gateway's own folder: rendered configuration, sockets, discovery cache.")
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8080, ge=1, le=65535, description="The port to listen on.")
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="The port of Envoy's figures for Prometheus, at /metrics; 0 is any free one.",
    )
    zookeeper: str = Field(default="127.0.0.1:2181", description="ZooKeeper's servers, `host:port` joined by commas.")
    zookeeper_auth: str = Field(
        default="", repr=False, description="ZooKeeper's digest credentials, `user:password`; empty means none."
    )
    issuers: tuple[str, ...] = Field(
        default=(
            "banyan/assignment_svc",
            "banyan/customer_svc",
            "banyan/campaign_svc",
            "banyan/alert_svc",
            "banyan/cli",
        ),
        min_length=1,
        description="Issuers whose tokens are let in; a JSON list.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins that browsers may call from besides the gateway's own; a JSON list."
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM) shown to callers; with it and its key the port speaks TLS."
    )
    tls_key: Path | None = Field(default=None, description="Private key of `tls_certificate` (PEM).")
    mesh_certificate: Path | None = Field(
        default=None,
        description="Certificate (PEM) shown to services; with it, its key and a CA, mutual TLS is spoken.",
    )
    mesh_key: Path | None = Field(default=None, description="Private key of `mesh_certificate` (PEM).")
    mesh_ca: Path | None = Field(
        default=None, description="The authority that services' certificates must come from (PEM)."
    )
    web: Path = Field(default=WORKBENCH, description="The folder of the built workbench, served at /app/.")
    connections_max: int = Field(default=10_000, ge=1, description="Beyond this, connections are refused.")
    requests_per_second: int = Field(default=5000, ge=1, description="Beyond this, requests are answered 429.")
    log_level: str = Field(default="INFO", description="The least level of the gateway's own log: DEBUG, INFO, ….")
    envoy_log_level: str = Field(default="warning", description="Envoy's own log level, to standard error.")
    drain_seconds: float = Field(
        default=3.0, ge=0, description="How long calls may go on after SIGTERM before Envoy is stopped."
    )

    @model_validator(mode="after")
    def _certificates_have_their_keys(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if len({self.mesh_certificate is None, self.mesh_key is None, self.mesh_ca is None}) > 1:
            raise ValueError("mesh_certificate, mesh_key and mesh_ca belong together")
        return self

    @property
    def mesh_tls(self) -> Tls | None:
        """What mutual TLS with the services needs; None for plain text."""
        if self.mesh_certificate is None or self.mesh_key is None or self.mesh_ca is None:
            return None
        return Tls(self.mesh_certificate, self.mesh_key, self.mesh_ca, self.secrets)

    @property
    def secrets(self) -> Path:
        """Where it is written for Envoy where the certificates are."""
        return self.home / "secrets"
