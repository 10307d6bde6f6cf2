"""A migrated database of assignment_svc on the session's real PostgreSQL, and the service behind the whole chain."""

import asyncio
import json
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from banyan.assignment.v1 import (
    ownership_change_service_pb2,
    ownership_change_service_pb2_grpc,
    ownership_pb2,
    ownership_service_pb2,
    ownership_service_pb2_grpc,
)
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from sqlalchemy import text

from chassis.caller import Role
from chassis.errors import Kind, Refused
from chassis.jobs import Jobs
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.testing import SignedIn, in_process
from devstack.postgres import Postgres
from services.assignment_svc.__main__ import Parts, Peers, app_of
from services.assignment_svc.settings import Settings
from services.assignment_svc.store import MIGRATIONS
from services.assignment_svc.usecases.allocate_ownerships import Report, allocate_ownerships


@pytest.fixture(scope="session")
async def assignment_url(postgres: Postgres) -> str:
    url = postgres.create("assignment_svc")
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    return url


@pytest.fixture(scope="session")
async def database(assignment_url: str) -> AsyncIterator[Database]:
    opened = Database(assignment_url, application="test")
    yield opened
    await opened.close()


class KeyCustomers:
    """Stands for customer_svc: who is a key customer, or that nobody can say."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.reachable = True

    async def __call__(self, customer_id: str) -> bool:
        if not self.reachable:
            raise Refused(Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE", "nobody can say")
        return customer_id in self.ids


class PotentialTags:
    """Stands for customer_svc: the potential tags of customers, or that nobody can say."""

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = {}
        self.reachable = True

    async def __call__(self, customer_ids: Sequence[str]) -> dict[str, list[str]] | None:
        return {one: self.of[one] for one in customer_ids if one in self.of} if self.reachable else None


class Identities:
    """Stands for customer_svc: who has a name and an id number, or that nobody can say."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], str] = {}
        self.reachable = True

    async def __call__(self, display_name: str, id_number: str) -> str | None:
        if not self.reachable:
            raise Refused(Kind.UNAVAILABLE, "CUSTOMERS_UNREACHABLE", "nobody can say")
        return self.of.get((display_name, id_number))


class OpenTasks:
    """Stands for campaign_svc: what somebody has still to do for a customer, or that nobody can say."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], str] = {}
        self.reachable = True

    async def __call__(self, customer_id: str, staff_id: str) -> str | None:
        if not self.reachable:
            raise Refused(Kind.UNAVAILABLE, "TASKS_UNREACHABLE", "nobody can say")
        return self.of.get((customer_id, staff_id))


@dataclass(frozen=True)
class Service:
    """The service in process, and tokens of whoever shall call it."""

    parts: Parts
    channel: grpc.aio.Channel
    signed_in: SignedIn
    key_customers: KeyCustomers
    potential_tags: PotentialTags
    identities: Identities
    open_tasks: OpenTasks
    peers: Peers


@pytest.fixture(scope="session")
async def service(assignment_url: str, valkey_url: str) -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory(prefix="bny-") as folder:
        home = Path(folder)
        signed_in = SignedIn(home)
        parts = Parts(Settings(home=home, keys=home, database_url=assignment_url, valkey_url=valkey_url))
        jobs, key_customers, potential_tags = Jobs(), KeyCustomers(), PotentialTags()
        identities, open_tasks = Identities(), OpenTasks()
        peers = Peers(key_customers, potential_tags, identities, open_tasks)
        async with in_process(app_of(parts, peers), home) as channel:
            jobs.start(parts.jobs())
            yield Service(parts, channel, signed_in, key_customers, potential_tags, identities, open_tasks, peers)
            await jobs.stop()
        await parts.close()


class KeyServer:
    """Stands for the bank's OIDC issuer, on real HTTP: serves its keys, or fails, and counts how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                body = json.dumps({"keys": server.keys}).encode()
                self.send_response(server.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/keys"

    def add_rsa(self, kid: str) -> rsa.RSAPrivateKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys.append(json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "alg": "RS256", "use": "sig"})
        return key

    def add_ec(self, kid: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        self.keys.append(json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "alg": "ES256", "use": "sig"})
        return key

    @staticmethod
    def token(claims: dict[str, Any], key: Any, algorithm: str | None, kid: str | None) -> str:
        return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    served = KeyServer()
    yield served
    served.close()


# A bank for tests of what people change by hand. Deposits at both branches, more at north; c7 has a loan at north whose
# officer has left, c8 one whose officer is there, c9 a card whose manager has left.
HAND_NIGHT = date(2026, 6, 30)
HAND_EMPTY = """
TRUNCATE branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, ownership_hold, officer_override,
  row_protection, ownership_change, business_day;
DELETE FROM capacity_policy WHERE version > 1;
DELETE FROM claim_policy WHERE version > 1;
UPDATE allocation_day SET facts_date = '2026-06-30', business_date = NULL, policy_version = 0, seen_rev = '0'
"""
HAND_BANK = """
INSERT INTO branch (branch_id, display_name, parent_id)
VALUES ('office', 'O', NULL), ('north', 'N', 'office'), ('south', 'S', 'office');
INSERT INTO staff (staff_id, display_name, branch_id, roles, active_until_date) VALUES
  ('head', 'H', 'north', '{BRANCH_HEAD}', NULL), ('boss', 'B', 'office', '{BRANCH_HEAD}', NULL),
  ('m1', 'M', 'north', '{MANAGER}', NULL), ('m2', 'M', 'north', '{MANAGER}', NULL),
  ('left', 'L', 'north', '{MANAGER}', '2026-06-01'), ('teller', 'T', 'north', '{TELLER}', NULL),
  ('s1', 'S', 'south', '{MANAGER}', NULL), ('c5', 'C', 'north', '{MANAGER}', NULL);
INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_id, loan_outstanding_minor,
  loan_first_disburse_date, loan_officer_id, card_live, card_id, card_first_open_date, card_manager_id,
  deposit_live, deposit_sum_minor, relation_since_date, customer_state)
SELECT 'c' || n, branch, loan, CASE WHEN loan THEN 'l1' END, CASE WHEN loan THEN 5 END,
  CASE WHEN loan THEN date '2020-01-01' END,
  CASE WHEN loan THEN CASE n WHEN 7 THEN 'left' WHEN 8 THEN 'm2' END END,
  card, CASE WHEN card THEN 'k1' END, CASE WHEN card THEN date '2020-01-01' END, CASE WHEN card THEN 'left' END,
  true, CASE branch WHEN 'north' THEN 30000000 * (n + 1) ELSE 300 END, '2020-01-01', 'ACTIVE'
FROM generate_series(0, 9) AS n, (VALUES ('north'), ('south')) AS b (branch),
  LATERAL (SELECT branch = 'north' AND n IN (7, 8) AS loan, branch = 'north' AND n = 9 AS card) AS x
"""


class HandAsker:
    """Calls as somebody, each write of a row with its etag of now unless another is given."""

    def __init__(self, service: Service, staff: str, roles: tuple[Role, ...], branch: str) -> None:
        self._changes: Any = ownership_change_service_pb2_grpc.OwnershipChangeServiceStub(service.channel)
        self._reads = ownership_service_pb2_grpc.OwnershipServiceStub(service.channel)
        self._metadata = service.signed_in.staff(*roles, staff_id=staff, branch_id=branch)
        self._branch = branch

    async def get(self, customer: str = "c0") -> ownership_pb2.Ownership:
        request = ownership_service_pb2.GetOwnershipRequest(name=f"customers/{customer}/ownership")
        return await self._reads.GetOwnership(request, metadata=self._metadata)

    async def row(self, customer: str = "c0", branch: str = "") -> ownership_pb2.Owner:
        owners = (await self.get(customer)).owners
        return next(one for one in owners if one.branch == f"branches/{branch or self._branch}")

    async def ask(self, method: str, **given: Any) -> Any:
        request = getattr(ownership_change_service_pb2, f"{method}Request")(**given)
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = str(uuid.uuid4())
        return await getattr(self._changes, method)(request, metadata=self._metadata)

    async def claim(self, customer: str = "c0", **given: str) -> Any:
        return await self.ask("ClaimCustomer", name=f"customers/{customer}/ownership", reason="mine", **given)

    async def assign(
        self, manager: str | None = "m1", customer: str = "c0", etag: str | None = None, branch: str = ""
    ) -> Any:
        seen = (await self.row(customer, branch)).etag if etag is None else etag
        return await self.ask(
            "AssignManager",
            name=f"customers/{customer}/ownership",
            branch=f"branches/{branch}" if branch else "",
            manager=f"staff/{manager}" if manager else "",
            reason="better",
            etag=seen,
        )

    async def release(self, customer: str = "c0", etag: str | None = None) -> Any:
        seen = (await self.row(customer)).etag if etag is None else etag
        return await self.ask("ReleaseCustomer", name=f"customers/{customer}/ownership", reason="moved", etag=seen)

    async def undo(self, change: str) -> Any:
        return await self.ask("UndoManualChange", name=change, reason="a mistake")

    async def changes(self, customer: str = "c0", **given: Any) -> Any:
        return await self.ask("ListManualChanges", parent=f"customers/{customer}", **given)


class HandBank:
    """North leads the relation with ten customers of whom south has some too."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def asker(self, staff: str, *roles: Role, branch: str = "north") -> HandAsker:
        return HandAsker(self.service, staff, roles or (Role.MANAGER,), branch)

    async def run(self, statement: str, **values: object) -> list[Any]:
        async with self.service.parts.database.begin() as tx:
            found = await tx.execute(text(statement), values)
            return [tuple(row) for row in found] if found.returns_rows else []

    async def night(self, day: date = HAND_NIGHT) -> Report:
        async def goes_on(_done: int, _total: int) -> bool:
            return True

        await self.run("UPDATE allocation_day SET facts_date = :day", day=day)
        return await allocate_ownerships(self.service.parts.database, day, goes_on)

    def told(self, error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        """What a refusal says."""
        status = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]  # works for aio too
        assert status
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return error.code(), info.reason, dict(info.metadata)

    async def refusal(self, call: Awaitable[object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return self.told(caught.value)

    async def reason(self, call: Awaitable[object]) -> str:
        return (await self.refusal(call))[1]


@pytest.fixture
async def by_hand(service: Service) -> AsyncIterator[HandBank]:
    bank = HandBank(service)
    for statement in f"{HAND_EMPTY};{HAND_BANK}".split(";"):
        await bank.run(statement)
    service.potential_tags.of, service.potential_tags.reachable = {}, True
    await bank.night()
    yield bank
    for statement in HAND_EMPTY.split(";"):
        await bank.run(statement)
