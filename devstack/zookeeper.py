"""ZooKeeper as a child process."""

from pathlib import Path

from devstack import wheels
from devstack.home import Home
from devstack.process import Spec
from devstack.valkey import answers

_CONFIGURATION = """\
tickTime=500
# Clients choose within these; the usual bounds would follow from the tick.
minSessionTimeout=1000
maxSessionTimeout=60000
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=ruok,srvr,mntr,dump
autopurge.snapRetainCount=3
autopurge.purgeInterval=24
"""

_LOGGING = """\
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
"""


def spec(home: Home, *, durable: bool = True, name: str = "zookeeper") -> Spec:
    """A single ZooKeeper on a port of 127.0.0.1; without `durable` it does not wait for the disk."""
    port = home.port(name)
    folder = home.root / name
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "zoo.cfg").write_text(_CONFIGURATION.format(data=folder / "data", port=port))
    (folder / "log4j2.properties").write_text(_LOGGING)
    java_options = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"]
    java_options += [f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}", "-Dzookeeper.preAllocSize=1024"]
    java_options += [] if durable else ["-Dzookeeper.forceSync=no"]
    jars = ":".join(str(jar) for jar in wheels.zookeeper_jars())
    return Spec(
        name=name,
        command=[
            *(str(wheels.java()), *java_options, "-cp", jars),
            *("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(folder / "zoo.cfg")),
        ],
        directory=folder,
        ready=lambda _pid: answers(port, b"ruok", b"imok"),
        port=port,
    )


def hosts(port: int) -> str:
    """What clients connect to."""
    return f"127.0.0.1:{port}"


def data_folder(home: Home, name: str = "zookeeper") -> Path:
    """Where it keeps its tree; removed while it is down, it comes back empty."""
    return home.root / name / "data"
