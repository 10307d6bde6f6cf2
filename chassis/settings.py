"""What every service can be told from outside. A service's own settings extend it; only `__main__` reads them."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """The settings that all services share, read from the environment under the service's own prefix."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_", frozen=True)

    home: Path = Field(
        description="The instance's own folder: its ports, its discovery socket and cache. "
        "Keep the path short: a unix socket's path has at most 107 bytes."
    )
    host: str = Field(default="127.0.0.1", description="The address that the instance listens on.")
    port: int = Field(
        default=0, ge=0, le=65535, description="The port for gRPC; 0 means the one used last time, else a free one."
    )
    advertise_host: str = Field(
        default="", description="The address that others reach the instance at; empty means `host`."
    )
    zookeeper: str = Field(default="127.0.0.1:2181", description="ZooKeeper's servers, `host:port` joined by commas.")
    zookeeper_auth: str = Field(
        default="",
        repr=False,
        description="ZooKeeper's digest credentials, `user:password`; with them nodes belong to their creator only. "
        "Empty means none.",
    )
    database_url: str = Field(
        repr=False,
        description="The service's own database, `postgresql+asyncpg://…`; a unix socket is `?host=/folder`.",
    )
    database_password_file: Path | None = Field(
        default=None, description="A file that holds the database password; unset if the URL says it or none is needed."
    )
    valkey_url: str = Field(
        default="", repr=False, description="Valkey, `redis://…` or `unix://…`; empty means none: slower, never wrong."
    )
    keys: Path = Field(
        description="The folder of keys: `public/<application>/<kid>.pem` of everybody, `private/…` of the own "
        "application, and `paging.key`."
    )
    metrics_port: int = Field(
        default=0,
        ge=-1,
        le=65535,
        description="The port for Prometheus; 0 means the one used last time, else a free one; -1 means off.",
    )
    log_level: str = Field(
        default="INFO", description="The least important level that is logged: DEBUG, INFO, WARNING or ERROR."
    )
    otlp_endpoint: str = Field(default="", description="Where traces go (OTLP over gRPC); empty means nowhere.")
    calls_max: int = Field(
        default=500, ge=1, description="How many calls an instance works on at once; more are sent elsewhere."
    )
    streams_max: int = Field(
        default=5_000, ge=1, description="How many watches an instance keeps open at once; more are sent elsewhere."
    )
    currency: str = Field(default="CNY", pattern="^[A-Z]{3}$", description="The currency of all amounts.")
    tls_certificate: Path | None = Field(
        default=None, description="The instance's certificate (PEM). With it, its key and a CA, peers speak mutual TLS."
    )
    tls_key: Path | None = Field(default=None, description="The private key of `tls_certificate` (PEM).")
    tls_ca: Path | None = Field(
        default=None, description="The authority that peers' certificates must come from (PEM)."
    )
    drain_seconds: float = Field(
        default=3.0,
        ge=0,
        description="How long a stopping instance goes on serving after it left ZooKeeper, so that callers hear of it.",
    )
    session_timeout_seconds: float = Field(
        default=15.0, gt=0, description="ZooKeeper's session timeout: how long a killed instance stays listed."
    )

    @property
    def reached_at(self) -> str:
        """The address that others reach the instance at."""
        return self.advertise_host or self.host

    @property
    def database_password(self) -> str | None:
        """The password in `database_password_file`; None if there is no such file to read."""
        return self.database_password_file.read_text().strip() if self.database_password_file else None
