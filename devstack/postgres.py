"""PostgreSQL as a child process, and a database with a role of its own for whoever needs one."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from devstack import wheels
from devstack.home import Home
from devstack.process import Spec, run_all_to_end

SUPERUSER = "postgres"
SUPERUSER_SECRET = "postgres_superuser"  # noqa: S105 - the name of a file, not a password
# PostgreSQL refuses to run as root, and initdb wants a user that the system knows: this one exists everywhere.
UNPRIVILEGED_USER = "nobody"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 300,
    "idle_in_transaction_session_timeout": "60s",
    # What a search reads of a million customers, with their owners and contacts; taken only when it is read.
    "shared_buffers": "768MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": 1.1,
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    # Nobody replicates from a development machine, and COPY into a new table then needs no WAL.
    "wal_level": "minimal",
    "max_wal_senders": 0,
}
# Data of a test run need not survive a power cut.
_SETTINGS_IN_TESTS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB", "max_wal_size": "1GB"}


def spec(home: Home, *, durable: bool = True) -> Spec:
    """PostgreSQL on a unix socket in the home and on a port of 127.0.0.1; makes the cluster the first time."""
    folder = home.root / "postgres"
    folder.mkdir(exist_ok=True)
    user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
    if user:
        _give(folder, user)
    port = home.port("postgres")
    if not (folder / "data" / "PG_VERSION").exists():
        _make_cluster(home, folder, user, durable=durable)
    settings = SETTINGS | ({} if durable else _SETTINGS_IN_TESTS)
    settings |= {"port": port, "unix_socket_directories": socket_folder(home)}
    return Spec(
        name="postgres",
        command=[
            *(str(wheels.postgres("postgres")), "-D", str(folder / "data")),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ],
        directory=folder,
        ready=lambda pid: _is_ready(folder / "data", pid),
        port=port,
        user=user,
        # Both end it without waiting for its clients, who may be gone or hang.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
    )


def socket_folder(home: Home) -> Path:
    """Where its unix socket stands."""
    return home.short / "postgres"


class Postgres:
    """The running server, as its owner sees it."""

    def __init__(self, home: Home, port: int) -> None:
        self._home = home
        self._port = port

    def create(self, name: str) -> str:
        """Makes a fresh database and the role that owns it; one of the same name is lost. Returns its URL."""
        password = self._home.secret(f"postgres_{_identifier(name)}")
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}")
        self._make(name, password)
        return self.url(name, password)

    def ensure(self, name: str) -> str:
        """The URL to a database and role, made if absent."""
        password = self._home.secret(f"postgres_{_identifier(name)}")
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):  # noqa: S608 - an identifier
            self._make(name, password)
        return self.url(name, password)

    def url(self, name: str, password: str = "") -> str:
        """The URL of a database for SQLAlchemy; without a password when that is handed over in a file."""
        user = f"{name}:{quote(password, safe='')}" if password else name
        return f"postgresql+asyncpg://{user}@/{name}?host={socket_folder(self._home)}&port={self._port}"

    def password_file(self, name: str) -> Path:
        """The file that holds a role's password."""
        return self._home.root / "secrets" / f"postgres_{_identifier(name)}"

    def sql(self, *statements: str, database: str = SUPERUSER) -> str:
        """Runs statements as the superuser, each in its own transaction, and returns what they answer, unaligned."""
        commands = [part for statement in statements for part in ("-c", statement)]
        done = subprocess.run(  # noqa: S603 - our own program
            [
                *(str(wheels.postgres("psql")), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(socket_folder(self._home)), "-p", str(self._port), "-U", SUPERUSER, "-d", database),
                *commands,
            ],
            env={
                **os.environ,
                "PGPASSWORD": self._home.secret(SUPERUSER_SECRET),
                "PGOPTIONS": "-c client_min_messages=error",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()

    def _make(self, name: str, password: str) -> None:
        self.sql(
            f"DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"ALTER ROLE {name} LOGIN PASSWORD '{password}'",
            f"CREATE DATABASE {name} OWNER {name}",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        )


def _identifier(name: str) -> str:
    """Passes a name that needs no quoting in SQL."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,50}", name):
        raise ValueError(f"{name!r} is no name for a database: small letters, digits and underscores")
    return name


def _make_cluster(home: Home, folder: Path, user: str | None, *, durable: bool) -> None:
    """Makes the cluster in a folder beside the final one, so that half of one is never taken for one."""
    part, password = folder / "data.part", folder / "superuser.password"
    shutil.rmtree(part, ignore_errors=True)
    password.write_text(home.secret(SUPERUSER_SECRET))
    password.chmod(0o600)
    if user:
        _give(password, user)
    options = {"pgdata": part, "username": SUPERUSER, "pwfile": password, "auth": "scram-sha-256", "encoding": "UTF8"}
    # The same order of text as Python's, on every machine.
    options |= {"locale-provider": "builtin", "builtin-locale": "C.UTF-8", "locale": "C"}
    command = [str(wheels.postgres("initdb")), *(f"--{name}={value}" for name, value in options.items())]
    command += [] if durable else ["--no-sync"]
    try:
        run_all_to_end([Spec(name="initdb", command=command, directory=folder, user=user)], home)
    finally:
        password.unlink()
    part.rename(folder / "data")


def _give(path: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    os.chown(path, entry.pw_uid, entry.pw_gid)


def _is_ready(data: Path, pid: int) -> bool:
    """Reads PostgreSQL's own file, maybe an earlier run's still: the first line is the pid, the eighth the state."""
    try:
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return False
    return lines[:1] == [str(pid)] and lines[7:8] == ["ready"]
