"""Private managers end with the key mark, however often it must be asked for."""

from datetime import date
from pathlib import Path

import pytest
from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2, ownership_service_pb2_grpc
from sqlalchemy import text

from chassis.caller import ANY_ROLE, Role, current_caller
from chassis.errors import Kind, Refused, not_found
from chassis.feed import Wakeups
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.domain.customer import Owner
from services.customer_svc.jobs.expiry import expire, reconcile
from services.customer_svc.peers.ownership import OWNERSHIP_SERVICE
from services.customer_svc.store import tag_sync


class Assignment(ownership_service_pb2_grpc.OwnershipServiceServicer):
    """Ends what it is asked to end, unless it is away; knows nothing of c3."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[tuple[str, str, bool]] = []

    async def RemovePrivateManager(self, request, context):
        del context
        if self.away:
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "busy")
        self.asked.append((request.name, request.private_manager, Role.SERVICE in current_caller().roles))
        if request.name == "customers/c3/ownership":
            raise not_found()
        return ownership_service_pb2.RemovePrivateManagerResponse(ownership=ownership_pb2.Ownership(name=request.name))


class Bearing:
    """A channel that carries the service's token, as the mesh's do."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, name: str):
        make = getattr(self._channel, name)

        def made(*arguments, **options):
            call = make(*arguments, **options)
            return lambda request, **more: call(request, metadata=self._metadata, **more)

        return made


@pytest.fixture
def assignment() -> Assignment:
    return Assignment()


@pytest.fixture
async def channel(assignment, tmp_path: Path):
    signed_in = SignedIn(tmp_path)
    served = Served(OWNERSHIP_SERVICE, ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server, assignment)
    service = ownership_service_pb2.DESCRIPTOR.services_by_name["OwnershipService"]
    allowed = {f"/{OWNERSHIP_SERVICE}/{method.name}": ANY_ROLE for method in service.methods}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as opened:
        yield Bearing(opened, signed_in.service("customer_svc"))


def owned(private_manager: str | None) -> list[Owner]:
    return [Owner("b1", "PRIMARY", None, None, private_manager), Owner("b2", "SECONDARY", None, None)]


async def test_only_private_managers_of_who_is_no_key_customer_end(bank, assignment, channel) -> None:
    await bank.load("customers", [{"customer_id": f"c{n}"} for n in range(5)])
    await bank.own({f"c{n}": owned("pm" if n else None) for n in range(5)})
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE customers SET key_reason = 'ASSET' WHERE customer_id = 'c4'"))
    assignment.away = True
    assert await reconcile(bank.database, channel) == 0
    assignment.away = False
    assert await reconcile(bank.database, channel) == 3
    assert assignment.asked == [(f"customers/c{n}/ownership", "staff/pm", True) for n in (1, 2, 3)]
    await bank.own({f"c{n}": owned(None) for n in range(4)})
    assignment.asked.clear()
    assert await reconcile(bank.database, channel) == 0
    assert assignment.asked == []


async def test_tags_end_once_a_night_has_told_of_tags_again_and_not_by_the_date_alone(bank) -> None:
    wakeups = Wakeups(None)
    tagged = {"customer_id": "c1", "tag_code": "CHURN_RISK", "rule_version": "1", "evidence": "{}"}
    await bank.load("customers", [{"customer_id": "c1"}])
    await bank.load("customer_tags", [tagged | {"as_of_date": date(2026, 6, 30)}], date(2026, 6, 30))
    assert await expire(bank.database, wakeups) == (0, 0)
    carried = text("SELECT tag_codes FROM customers WHERE customer_id = 'c1'")
    await bank.load("customers", [], date(2026, 8, 5))
    assert await expire(bank.database, wakeups) == (0, 0)
    async with bank.database.read() as conn:
        assert (await conn.execute(carried)).scalar_one() == ["CHURN_RISK"]
    await bank.load("customer_tags", [], date(2026, 8, 5))
    assert await expire(bank.database, wakeups) == (0, 0)
    async with bank.database.read() as conn:
        assert (await conn.execute(carried)).scalar_one() == []
    await wakeups.close()


async def test_of_many_tags_that_end_together_some_end_at_a_time(bank, monkeypatch) -> None:
    monkeypatch.setattr(tag_sync, "EXPIRED_AT_ONCE", 2)
    wakeups, people = Wakeups(None), [f"c{n}" for n in range(7)]
    tagged = {"tag_code": "CHURN_RISK", "rule_version": "1", "evidence": "{}", "as_of_date": date(2026, 6, 30)}
    await bank.load("customers", [{"customer_id": one} for one in people])
    await bank.load("customer_tags", [tagged | {"customer_id": one} for one in people], date(2026, 6, 30))
    await bank.load("customer_tags", [], date(2026, 8, 5))
    carried = text("SELECT count(*) FROM customers WHERE tag_codes <> '{}'")
    async with bank.database.read() as conn:
        assert (await conn.execute(carried)).scalar_one() == 5, "the night takes some"
        assert await expire(bank.database, wakeups) == (5, 0)
        assert (await conn.execute(carried)).scalar_one() == 0
        writers = await conn.execute(text("SELECT count(DISTINCT xmin::text) FROM customers"))
        assert writers.scalar_one() == 4
    await wakeups.close()
