"""Visits over the wire: who makes, sees, corrects and withdraws them, and what the checks make of them."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import visit_pb2, visit_service_pb2_grpc
from banyan.assignment.v1 import visit_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from chassis.wire import date_to_wire, time_to_wire

EMPTY = (
    "TRUNCATE branch, staff, ownership, owner, owner_period, private_manager, visit, visit_version, customer_locations"
)
# Every customer c0, c1 … lives at (30, 120); north is his primary branch with manager mia, south the secondary one.
WORLD = """
WITH branches AS (
  INSERT INTO branch (branch_id, display_name, parent_id)
  VALUES ('region', 'R', NULL), ('north', 'N', 'region'), ('south', 'S', 'region'), ('east', 'E', NULL)
), places AS (
  INSERT INTO customer_locations SELECT 'c' || n, 30, 120 FROM generate_series(0, 9) AS n
), roots AS (
  INSERT INTO ownership (customer_id, state, business_date)
  SELECT 'c' || n, 'LIVE', '2026-06-30' FROM generate_series(0, 9) AS n
)
INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor)
SELECT 'c' || n, branch, side, 'DEPOSIT', manager, false, '2020-01-01', '2020-01-01', 'test'
FROM generate_series(0, 9) AS n,
  (VALUES ('north', 'PRIMARY', 'mia'), ('south', 'SECONDARY', 'sue')) AS sides (branch, side, manager)
"""
PLACE = visit_pb2.VisitLocation(latitude=30, longitude=120, accuracy_m=10)


@pytest.fixture
async def bank(service):
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(WORLD))
    yield service
    async with service.parts.database.begin() as tx:
        await tx.execute(text(EMPTY))


async def now(service) -> datetime:
    async with service.parts.database.read() as conn:
        return (await conn.execute(text("SELECT bank_now()"))).scalar_one()


class Asker:
    """Calls as somebody; `north` is where he works unless told otherwise."""

    def __init__(self, service, staff: str, role: Role = Role.MANAGER, branch: str = "north") -> None:
        self._service = service
        self._stub = visit_service_pb2_grpc.VisitServiceStub(service.channel)
        self._metadata = service.signed_in.staff(role, staff_id=staff, branch_id=branch)

    async def create(self, customer: str = "c0", request_id: str = "", **given):
        moment = await now(self._service) - given.get("ago", timedelta(0))
        visit = visit_pb2.Visit(
            kind="VISIT_KIND_VISIT", content="talked about savings", location=PLACE, device_time=time_to_wire(moment)
        )
        kind = given.get("kind", "VISIT_KIND_VISIT")
        if kind != "VISIT_KIND_VISIT":
            visit.ClearField("location")
        if "ago" in given:
            del given["ago"]
            visit.captured_offline = True
            visit.device, visit.client_visit = "d1", given.pop("client_visit", str(uuid.uuid4()))
        visit.MergeFrom(visit_pb2.Visit(**given))
        request = pb.CreateVisitRequest(
            parent=f"customers/{customer}", visit=visit, request_id=request_id or str(uuid.uuid4())
        )
        return await self.send(request)

    async def send(self, request):
        return await self._stub.CreateVisit(request, metadata=self._metadata)

    async def get(self, name: str):
        return await self._stub.GetVisit(pb.GetVisitRequest(name=name), metadata=self._metadata)

    async def listed(self, customer: str = "-", **given):
        request = pb.ListVisitsRequest(parent=f"customers/{customer}", **given)
        return await self._stub.ListVisits(request, metadata=self._metadata)

    async def names(self, customer: str = "-", **given) -> set[str]:
        return {visit.name for visit in (await self.listed(customer, **given)).visits}

    async def correct(self, visit, content: str = "talked about loans", **given):
        request = pb.CorrectVisitRequest(
            name=visit.name,
            kind=given.pop("kind", visit.kind),
            content=content,
            reason=given.pop("reason", "a slip"),
            etag=given.pop("etag", visit.etag),
            request_id=str(uuid.uuid4()),
        )
        return (await self._stub.CorrectVisit(request, metadata=self._metadata)).visit

    async def withdraw(self, name: str, reason: str = "wrong customer"):
        request = pb.WithdrawVisitRequest(name=name, reason=reason, request_id=str(uuid.uuid4()))
        return (await self._stub.WithdrawVisit(request, metadata=self._metadata)).visit

    async def versions(self, name: str, **given):
        request = pb.ListVisitVersionsRequest(parent=name, **given)
        return await self._stub.ListVisitVersions(request, metadata=self._metadata)


def state(visit) -> str:
    return visit_pb2.VisitState.Name(visit.state).removeprefix("VISIT_STATE_")


async def refusal(call) -> tuple[grpc.StatusCode, str, list[str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status
    info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    if len(status.details) > 1:
        status.details[1].Unpack(fields)
    return caught.value.code(), info.reason, sorted(one.field for one in fields.field_violations)


async def test_a_visit_is_taken_judged_and_shown_to_each_as_far_as_he_may_see(bank) -> None:
    made = await Asker(bank, "mia").create()
    assert (state(made), made.HasField("location"), made.author, made.branch) == (
        "VALID",
        False,
        "staff/mia",
        "branches/north",
    )
    assert (made.distance_m, made.distance_band) == (0, visit_pb2.DISTANCE_BAND_NEAR)
    for head in (Asker(bank, "hal", Role.BRANCH_HEAD), Asker(bank, "rex", Role.BRANCH_HEAD, "region")):
        seen = await head.get(made.name)
        assert (seen.location, state(seen), seen.content) == (PLACE, "VALID", "talked about savings")
    # Not the visit of his own branch: it does not exist for the secondary side.
    assert (await refusal(Asker(bank, "sue", branch="south").get(made.name)))[1] == "NOT_FOUND"
    assert (await refusal(Asker(bank, "ned").get(made.name)))[1] == "NOT_FOUND"
    theirs = await Asker(bank, "sue", branch="south").create()
    seen = await Asker(bank, "mia").get(theirs.name)
    assert (state(seen), seen.HasField("location"), seen.HasField("distance_m")) == ("UNSPECIFIED", False, False)
    assert (seen.content, seen.author, seen.distance_band) == ("talked about savings", "staff/sue", 0)


async def test_a_head_does_not_supervise_himself(bank) -> None:
    made = await Asker(bank, "hal", Role.BRANCH_HEAD).create()
    assert not (await Asker(bank, "hal", Role.BRANCH_HEAD).get(made.name)).HasField("location")
    assert (await Asker(bank, "rex", Role.BRANCH_HEAD, "region").get(made.name)).HasField("location")


async def test_who_does_not_look_after_the_customer_makes_no_visit(bank) -> None:
    for asker, customer in ((Asker(bank, "ned"), "c0"), (Asker(bank, "mia"), "nobody"), (Asker(bank, "c0"), "c0")):
        assert (await refusal(asker.create(customer)))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE owner SET manager_id = 'c0' WHERE customer_id = 'c0' AND side = 'PRIMARY'"))
    assert (await refusal(Asker(bank, "c0").create("c0")))[1] == "NOT_FOUND", "nobody looks at himself"
    assert (await refusal(Asker(bank, "tim", Role.TELLER).create()))[1] == "ROLE_FORBIDDEN"


def location(latitude: float = 30, longitude: float = 120, accuracy_m: float = 10) -> visit_pb2.VisitLocation:
    return visit_pb2.VisitLocation(latitude=latitude, longitude=longitude, accuracy_m=accuracy_m)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"location": location(latitude=90.1)}, ["visit.location.latitude"]),
        ({"location": location(latitude=float("nan"))}, ["visit.location.latitude"]),
        ({"location": location(longitude=float("-inf"))}, ["visit.location.longitude"]),
        ({"location": location(accuracy_m=float("nan"))}, ["visit.location.accuracy_m"]),
        ({"content": "  "}, ["visit.content"]),
        ({"content": "x" * 4001}, ["visit.content"]),
        ({"ago": timedelta(minutes=-6)}, ["visit.device_time"]),
        ({"ago": timedelta(days=5000)}, ["visit.device_time"]),
        ({"device": "d1"}, ["visit.client_visit"]),
        ({"ago": timedelta(0), "client_visit": "a b"}, ["visit.client_visit"]),
        ({"kind": "VISIT_KIND_PHONE", "location": location()}, ["visit.location"]),
        ({"attachments": [visit_pb2.VisitAttachment(file_name="a/b", media_type="x", sha256="y")]}, 4),
    ],
)
async def test_bad_fields_are_all_named(bank, given, fields) -> None:
    code, reason, named = await refusal(Asker(bank, "mia").create(**given))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert named == fields if isinstance(fields, list) else len(named) == fields


async def test_a_visit_without_a_place_or_of_an_unlikely_time_is_refused(bank) -> None:
    mia = Asker(bank, "mia")
    moment = time_to_wire(await now(bank) - timedelta(minutes=6))
    late = visit_pb2.Visit(kind="VISIT_KIND_VISIT", content="x", device_time=moment)
    request = pb.CreateVisitRequest(parent="customers/c0", visit=late, request_id=str(uuid.uuid4()))
    assert (await refusal(mia.send(request)))[2] == ["visit.device_time", "visit.location"]


async def test_a_visit_of_a_device_that_is_sent_again_is_one_also_when_all_send_it_at_once(bank) -> None:
    mia, moment = Asker(bank, "mia"), await now(bank) - timedelta(hours=1)
    given: dict[str, Any] = {
        "device": "d1",
        "client_visit": "v1",
        "captured_offline": True,
        "device_time": time_to_wire(moment),
    }
    made = await asyncio.gather(*(mia.create(**given) for _ in range(8)))
    assert len({visit.name for visit in made}) == 1
    code, reason, _ = await refusal(mia.create(**given, content="something else"))
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "VISIT_CLIENT_ID_REUSED")
    other = await Asker(bank, "sue", branch="south").create(**given)
    assert other.name != made[0].name, "each author's device counts for itself"


@pytest.mark.parametrize(
    ("customer", "given", "expected"),
    [
        ("c1", {"location": location(latitude=30.005)}, "OUT_OF_RADIUS"),  # 554 m
        ("c1", {"location": location(30.005, accuracy_m=100)}, "VALID"),
        ("c1", {"location": location(accuracy_m=201)}, "WEAK"),
        ("c9", {}, "WEAK"),
        ("c1", {"kind": "VISIT_KIND_PHONE"}, "VALID"),
        ("c1", {"ago": timedelta(days=32)}, "LATE"),
    ],
)
async def test_the_checks_give_each_its_state(bank, customer, given, expected) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("DELETE FROM customer_locations WHERE customer_id = 'c9'"))
    assert state(await Asker(bank, "mia").create(customer, **given)) == expected


async def test_a_visit_that_is_sent_later_makes_those_around_it_impossible_and_its_withdrawal_possible(bank) -> None:
    mia = Asker(bank, "mia")
    first = await mia.create("c1")
    assert state(first) == "VALID"
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE customer_locations SET latitude = 31 WHERE customer_id = 'c2'"))
    between = await mia.create("c2", location=location(latitude=31))  # 111 km away, now
    assert (state(between), state(await mia.get(first.name))) == ("SUSPICIOUS", "SUSPICIOUS")
    await mia.withdraw(between.name)
    assert state(await mia.get(first.name)) == "VALID"


async def test_many_who_live_apart_visited_at_one_point_are_suspicious(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE customer_locations SET latitude = 30.003 WHERE customer_id = 'c4'"))  # 333 m
    mia = Asker(bank, "mia")
    made = [await mia.create(f"c{n}") for n in range(5)]
    assert [state(visit) for visit in made] == ["VALID"] * 4 + ["SUSPICIOUS"]
    assert {state(await mia.get(visit.name)) for visit in made} == {"SUSPICIOUS"}


async def test_a_correction_keeps_what_was_there_for_author_and_supervisor(bank) -> None:
    mia = Asker(bank, "mia")
    made = await mia.create()
    first = await mia.correct(made)
    assert (first.content, first.version) == ("talked about loans", 2)
    second = await mia.correct(first, "talked about cards", kind="VISIT_KIND_PHONE")
    head = Asker(bank, "hal", Role.BRANCH_HEAD)
    page = await head.versions(made.name, page_size=1)
    rest = await head.versions(made.name, page_size=1, page_token=page.next_page_token)
    kept = [*page.versions, *rest.versions]
    assert [(one.version, one.content, one.end_reason) for one in kept] == [
        (2, "talked about loans", "a slip"),
        (1, "talked about savings", "a slip"),
    ]
    assert (rest.next_page_token, len((await mia.versions(made.name)).versions)) == ("", 2)
    assert (await refusal(mia.correct(made)))[:2] == (grpc.StatusCode.ABORTED, "ETAG_OLD")
    assert (await refusal(head.correct(second)))[:2] == (grpc.StatusCode.PERMISSION_DENIED, "VISIT_NOT_YOURS")
    theirs = await Asker(bank, "sue", branch="south").create()
    assert (await refusal(mia.versions(theirs.name)))[1] == "VISIT_NOT_YOURS"
    call = await mia.create(kind="VISIT_KIND_PHONE")
    assert (await refusal(mia.correct(call, kind="VISIT_KIND_VISIT")))[2] == ["kind"]
    assert (await refusal(mia.correct(call, content=" ")))[1] == "FIELD_INVALID"


async def test_a_visit_of_a_closed_month_stays_as_it_is(bank) -> None:
    mia = Asker(bank, "mia")
    old = await mia.create(ago=timedelta(days=40))
    assert (await refusal(mia.correct(old)))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "VISIT_CLOSED")


async def test_a_visit_is_withdrawn_on_the_day_on_which_it_was_sent_and_then_seen_by_two(bank) -> None:
    mia, head = Asker(bank, "mia"), Asker(bank, "hal", Role.BRANCH_HEAD)
    made, kept = await mia.create(), await mia.create("c1")
    assert (await refusal(head.withdraw(made.name)))[1] == "VISIT_NOT_YOURS"
    gone = await mia.withdraw(made.name)
    assert (gone.withdraw_reason, gone.HasField("withdraw_time")) == ("wrong customer", True)
    assert await mia.withdraw(made.name, "again") == gone
    assert (await refusal(mia.correct(gone)))[1] == "VISIT_WITHDRAWN"
    for asker in (mia, head):
        assert await asker.names() == {kept.name}
        assert await asker.names(show_withdrawn=True) == {made.name, kept.name}
    private = Asker(bank, "pam", Role.PRIVATE_MANAGER, "office")
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("INSERT INTO private_manager VALUES ('c0', 'pam', 'r', 't'), ('c1', 'pam', 'r', 't')"))
        await tx.execute(text("UPDATE visit SET create_time = create_time - interval '1 day'"))
    assert (await refusal(private.get(made.name)))[1] == "NOT_FOUND"
    assert (await private.get(kept.name)).content
    assert (await refusal(mia.withdraw(kept.name)))[1] == "VISIT_CLOSED"


async def test_lists_are_filtered_and_paged_and_only_of_customers_whom_one_sees(bank) -> None:
    mia, sue = Asker(bank, "mia"), Asker(bank, "sue", branch="south")
    made = [(await mia.create(f"c{n}", kind="VISIT_KIND_PHONE")).name for n in range(4)]
    old = (await mia.create("c0", ago=timedelta(days=8))).name
    theirs = (await sue.create("c0")).name
    head = Asker(bank, "hal", Role.BRANCH_HEAD)
    assert await head.names() == {*made, old} == await mia.names()
    assert await Asker(bank, "rex", Role.BRANCH_HEAD, "region").names() == {*made, old, theirs}
    assert await head.names(state="VISIT_STATE_LATE") == {old}
    assert await head.names(author="staff/mia", branch="branches/north") == {*made, old}
    assert await head.names(author="staff/sue") == set()
    today = (await now(bank)).astimezone(UTC).date()
    assert await head.names(until_date=date_to_wire(today - timedelta(days=5))) == {old}
    assert await head.names(from_date=date_to_wire(today - timedelta(days=5))) == set(made)
    assert await head.names("c0") == {made[0], old, theirs}
    assert await head.names("c0", state="VISIT_STATE_VALID") == {made[0]}, "of the others he sees no state"
    assert await sue.names("c0") == {theirs}
    page = await head.listed(page_size=3)
    rest = await head.listed(page_size=3, page_token=page.next_page_token)
    assert [len(page.visits), len(rest.visits), rest.next_page_token] == [3, 2, ""]
    assert rest.visits[-1].name == old
    async with bank.parts.database.begin() as tx:
        await tx.execute(text("UPDATE owner SET manager_id = 'ned' WHERE customer_id = 'c0' AND side = 'PRIMARY'"))
    assert await mia.names() == set(made[1:])
    assert await head.names() == {*made, old}


async def test_one_author_sends_no_more_than_sixty_of_a_day(bank) -> None:
    async with bank.parts.database.begin() as tx:
        await tx.execute(
            text("""INSERT INTO visit (customer_id, visit_id, staff_id, branch_id, kind, content, attachments,
              device_time, visit_time, visit_date, captured_offline, late, state)
            SELECT 'x', 'v' || n, 'mia', 'north', 'PHONE', 'x', '[]', bank_now(), bank_now(),
              (bank_now() AT TIME ZONE 'Asia/Shanghai')::date, false, false, 'VALID' FROM generate_series(1, 60) n""")
        )
    code, reason, _ = await refusal(Asker(bank, "mia").create())
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "VISITS_TOO_MANY")


async def test_every_read_and_write_is_audited(bank) -> None:
    mia = Asker(bank, "mia")
    made = await mia.create()
    await mia.get(made.name)
    await Asker(bank, "hal", Role.BRANCH_HEAD).listed()
    asked = text("SELECT method, caller FROM audit WHERE customer_id = 'c0' ORDER BY time DESC LIMIT 3")
    async with bank.parts.database.read() as conn:
        assert [tuple(row) for row in await conn.execute(asked)] == [
            ("ListVisits", "hal"),
            ("GetVisit", "mia"),
            ("CreateVisit", "mia"),
        ]
