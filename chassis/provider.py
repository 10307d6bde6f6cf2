"""A provider of one interface as Dubbo writes it: the name of a ZooKeeper node is the whole record."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, unquote_plus, urlsplit

RELEASE = "banyan-0.1"
WEIGHT_DEFAULT = 100
WEIGHT_MAX = 10_000


def providers_path(interface: str) -> str:
    """The folder of an interface's providers."""
    return f"/dubbo/{interface}/providers"


@dataclass(frozen=True, order=True)
class Provider:
    """One instance that serves one interface; the interface is the full name of the proto service."""

    interface: str
    host: str
    port: int
    application: str = ""
    methods: tuple[str, ...] = ()
    timestamp_ms: int = 0
    weight: int = WEIGHT_DEFAULT
    tag: str = ""
    disabled: bool = False

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def node_name(provider: Provider) -> str:
    """The node's name: the URL encoded exactly once, in upper-case hex, since Java readers search for `%26` and `%3D`.

    No parameter's name may end in `pid` or `timestamp` but `timestamp` itself: Java cuts those out of the text.
    """
    parameters = {
        "application": provider.application,
        "deprecated": "false",
        "dubbo": "2.0.2",
        "dynamic": "true",
        "generic": "false",
        "interface": provider.interface,
        "methods": ",".join(sorted(provider.methods)),
        "release": RELEASE,
        "serialization": "protobuf",
        "side": "provider",
        "timestamp": str(provider.timestamp_ms),
    }
    if provider.weight != WEIGHT_DEFAULT:
        parameters["weight"] = str(provider.weight)
    if provider.tag:
        parameters["dubbo.tag"] = provider.tag
    if provider.disabled:
        parameters["disabled"] = "true"
    query = "&".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return quote(f"tri://{provider.address}/{provider.interface}?{query}", safe="")


def parse_node_name(name: str) -> Provider | None:
    """What a node's name tells; None if it is not a provider that gRPC can call (another protocol, no IP address)."""
    try:
        url = urlsplit(unquote_plus(name))
        given = {key: value for key, _, value in (pair.partition("=") for pair in url.query.split("&"))}
        host, port = url.hostname or "", url.port
        ip_address(host)  # xDS endpoints are addresses; nobody resolves names for them
        if url.scheme != "tri" or port is None:
            return None
        return Provider(
            interface=url.path.strip("/") or given.get("interface", ""),
            host=host,
            port=port,
            application=given.get("application", ""),
            methods=tuple(filter(None, given.get("methods", "").split(","))),
            timestamp_ms=int(given.get("timestamp", "0")),
            weight=min(max(int(given.get("weight", WEIGHT_DEFAULT)), 0), WEIGHT_MAX),
            tag=given.get("dubbo.tag", ""),
            disabled=given.get("disabled") == "true" or given.get("enabled") == "false",
        )
    except ValueError:
        return None
