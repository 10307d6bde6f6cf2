"""The whole system, started as a user starts it, and a plain HTTP client that signs in."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chassis import clock
from chassis.tokens import KeyRing, Signer

BERKA = Path(__file__).parents[3] / "shared" / "data" / "berka"


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Banyan:
    """A running system: its home, its address, and who may sign in."""

    home: Path
    url: str

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> Answer:
        url = self.url + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        sent = data if data is not None else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, sent, method=method)
        request.add_header("content-type", "application/json")
        if token:
            request.add_header("authorization", f"Bearer {token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()})
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), {k.lower(): v for k, v in error.headers.items()})

    def get(self, path: str, token: str | None = None, **query: Any) -> Answer:
        return self.call("GET", path, token=token, **query)

    def post(self, path: str, token: str, **body: Any) -> Answer:
        return self.call("POST", path, body, token=token)

    def attempt(self, path: str, token: str, **body: Any) -> Answer:
        """What a verb that changes something answers, allowed or not."""
        return self.post(path, token, **body, requestId=str(uuid.uuid4()))

    def done(self, path: str, token: str, **body: Any) -> Any:
        """What a verb that changes something answers; it must be allowed."""
        answer = self.attempt(path, token, **body)
        assert answer.status == 200, answer.text
        return answer.json

    def finished(self, path: str, token: str, **body: Any) -> Any:
        """The response of an operation, once it has ended: of the package that the path names, else of customer_svc."""
        package = next((name for name in ("alert", "assignment", "campaign") if f"/v1/{name}/" in path), "customer")
        operation = self.done(path, token, **body)
        while not operation["done"]:
            answer = self.post(f"/v1/{package}/{operation['name']}:wait", token, timeout="4s")
            assert answer.status == 200, answer.text
            operation = answer.json
        assert "error" not in operation, operation
        return operation["response"]

    def worked(self, path: str, token: str, **body: Any) -> Any:
        """What long work of assignment_svc came to, of whatever path."""
        name = self.done(path, token, **body)["name"]
        answer = self.post(f"/v1/assignment/{name}:wait", token, timeout="25s")
        assert answer.status == 200, answer.text
        assert "response" in answer.json, answer.text
        return answer.json["response"]

    def sign_in(self, login: str) -> str:
        """The access token of a member of the generated staff."""
        password = (self.home / "secrets" / "staff_password").read_text().strip()
        answer = self.call("POST", "/v1/sessions", {"login": login, "password": password})
        assert answer.status == 200, answer.text
        return answer.json["accessToken"]

    def service_token(self) -> str:
        """The token of another system of the bank."""
        return Signer(KeyRing(self.home / "keys"), "cli").service_token(clock.now())

    def pages(self, path: str, items: str, token: str, **query: object) -> Iterator[Any]:
        """Everything that a List method has."""
        page_token = ""
        while True:
            answer = self.get(path, token, **query, pageSize=1000, **({"pageToken": page_token} if page_token else {}))
            assert answer.status == 200, answer.text
            yield from answer.json[items]
            page_token = answer.json["nextPageToken"]
            if not page_token:
                return

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return banyan(*arguments, "--home", str(self.home))

    def processes(self) -> dict[str, Any]:
        """Every process by its name, as `banyan status --json` tells."""
        told = json.loads(self.command("status", "--json").stdout)
        return {one["name"]: one for one in told["processes"]}


@dataclass(frozen=True)
class Staff:
    """Signs the demo bank's staff in, each once."""

    bank: Banyan
    names: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict[str, str])

    def __call__(self, login: str) -> str:
        if login not in self.tokens:
            self.tokens[login] = self.bank.sign_in(login)
        return self.tokens[login]


def day(given: date) -> dict[str, int]:
    """A day as the API writes it."""
    return {"year": given.year, "month": given.month, "day": given.day}


def refusal(answer: Answer) -> tuple[int, str, dict[str, str]]:
    """The status of a refusal, its reason, and what is told with it."""
    info = next(one for one in answer.json["details"] if "reason" in one)
    return answer.status, info["reason"], info["metadata"]


def until(asked: Callable[[], Answer], right: Callable[[Answer], bool], seconds: float = 20) -> Answer:
    """The first right answer: what one service decides, others hear of a moment later."""
    end = time.monotonic() + seconds
    while not right(answer := asked()):
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)
    return answer


def banyan(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The `banyan` command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, timeout=280, check=False
    )


@contextmanager
def running(*arguments: str, home: Path | None = None) -> Generator[Banyan]:
    """A system started with `banyan run --detach` on free ports, ready; stopped at the end of the block."""
    folder = home or Path(tempfile.mkdtemp(prefix="bns-"))
    folder.chmod(0o711)  # PostgreSQL passes through as another user
    done = banyan("run", "--detach", "--home", str(folder), "--port", "0", *arguments)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Banyan(folder, json.loads(Banyan(folder, "").command("status", "--json").stdout)["url"])
    finally:
        Banyan(folder, "").command("stop")
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def demo_bank() -> Iterator[Banyan]:
    """The demo bank with 2,000 customers and two instances of each service."""
    with running("--format", "demo", "--customers", "2000", "--instances", "2") as bank:
        yield bank


@pytest.fixture(scope="module")
def staff(demo_bank: Banyan) -> Staff:
    """The demo bank's staff who sign in, by login."""
    told = demo_bank.pages("/v1/staff", "staff", demo_bank.service_token())
    return Staff(demo_bank, {one["login"]: one["name"] for one in told if one["login"]})
