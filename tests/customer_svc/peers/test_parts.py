"""What other services tell of a customer: understood, and missing when one is down or slow."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.alert.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc
from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2, ownership_service_pb2_grpc
from banyan.campaign.v1 import (
    contact_pb2,
    contact_service_pb2,
    contact_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from chassis.channel import call_deadline
from chassis.clock import monotonic_seconds
from chassis.errors import Kind as No
from chassis.errors import Refused, not_found
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.domain.parts import Alert, Contact, Missing, OwnershipPeriod, Task
from services.customer_svc.domain.timeline import Kind, Wanted
from services.customer_svc.peers.alerts import ALERT_SERVICE
from services.customer_svc.peers.contacts import CONTACT_SERVICE
from services.customer_svc.peers.ownership import OWNERSHIP_SERVICE
from services.customer_svc.peers.parts import Sources, parts_from
from services.customer_svc.peers.tasks import TASK_SERVICE
from services.customer_svc.peers.timeline import entries_from

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)
DAY = Date(year=2026, month=3, day=1)


def stamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


class Others(
    ownership_service_pb2_grpc.OwnershipServiceServicer,
    contact_service_pb2_grpc.ContactServiceServicer,
    task_service_pb2_grpc.TaskServiceServicer,
    alert_service_pb2_grpc.AlertServiceServicer,
):
    """Stands for the other services; fails or sleeps where a test says so."""

    def __init__(self) -> None:
        self.refuse: dict[str, Refused] = {}
        self.sleep: dict[str, float] = {}
        self.contacts: list[contact_pb2.Contact] = []
        self.alerts: list[alert_pb2.Alert] = []
        self.calls = 0

    async def _trouble(self, part: str) -> None:
        self.calls += 1
        await asyncio.sleep(self.sleep.get(part, 0))
        if part in self.refuse:
            raise self.refuse[part]

    async def ListOwnershipPeriods(self, request, _context):
        await self._trouble("ownership_periods")
        assert request.parent == "customers/wang"
        owner: dict[str, Any] = {"branch": "branches/b1", "side": ownership_pb2.SIDE_PRIMARY, "since_date": DAY}
        rule = ownership_pb2.ALLOCATION_RULE_LOAN
        periods = [
            ownership_pb2.OwnershipPeriod(
                owner=ownership_pb2.Owner(**owner, rule=rule, manager="staff/m1"),
                from_date=Date(year=2026, month=4, day=1),
                actor="allocation",
                create_time=stamp(AT),
            ),
            ownership_pb2.OwnershipPeriod(
                owner=ownership_pb2.Owner(**owner),
                from_date=DAY,
                until_date=Date(year=2026, month=4, day=1),
                actor="h1",
                create_time=stamp(AT),
            ),
        ]
        return ownership_service_pb2.ListOwnershipPeriodsResponse(ownership_periods=periods)

    async def ListContacts(self, request, _context):
        await self._trouble("contacts")
        until = request.contact_time_max.ToDatetime(UTC) if request.HasField("contact_time_max") else None
        found = [one for one in self.contacts if until is None or one.contact_time.ToDatetime(UTC) < until]
        start = int(request.page_token or 0)
        page = found[start : start + request.page_size]
        more = start + len(page) < len(found)
        return contact_service_pb2.ListContactsResponse(
            contacts=page, next_page_token=str(start + len(page)) if more else ""
        )

    async def ListTasks(self, request, _context):
        await self._trouble("tasks")
        assert (request.customer, request.state) == ("customers/wang", task_pb2.Task.STATE_OPEN)
        task = task_pb2.Task(name="tasks/t1", title="call him", assignee="staff/m1", create_time=stamp(AT))
        return task_service_pb2.ListTasksResponse(tasks=[task])

    async def ListAlerts(self, request, _context):
        await self._trouble("alerts")
        assert request.customer == "customers/wang"
        return alert_service_pb2.ListAlertsResponse(alerts=self.alerts)


@pytest.fixture
def others() -> Others:
    others = Others()
    others.contacts = [
        contact_pb2.Contact(
            name="customers/wang/contacts/c1",
            channel=contact_pb2.CHANNEL_CALL,
            contact_time=stamp(AT),
            state=contact_pb2.Contact.STATE_ACCEPTED,
            outcome="REACHED",
            actor="m1",
        )
    ]
    states = (alert_pb2.Alert.STATE_UNREAD, alert_pb2.Alert.STATE_HANDLED, alert_pb2.Alert.STATE_READ)
    others.alerts = [
        alert_pb2.Alert(
            name=f"alerts/a{number}",
            kind=alert_pb2.ALERT_KIND_LARGE_INFLOW,
            state=state,
            branch="branches/b1",
            business_date=DAY,
            event_time=stamp(AT),
            sum=Money(currency_code="CNY", units=7),
        )
        for number, state in enumerate(states)
    ]
    return others


@pytest.fixture
async def sources(others, tmp_path: Path):
    added = {
        OWNERSHIP_SERVICE: ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server,
        CONTACT_SERVICE: contact_service_pb2_grpc.add_ContactServiceServicer_to_server,
        TASK_SERVICE: task_service_pb2_grpc.add_TaskServiceServicer_to_server,
        ALERT_SERVICE: alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
    }
    files = (ownership_service_pb2, contact_service_pb2, task_service_pb2, alert_service_pb2)
    allowed = {
        f"/{service.full_name}/{method}": frozenset()
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods_by_name
    }
    services = [Served(name, add, others) for name, add in added.items()]
    async with in_process(app_of(services, allowed, SignedIn(tmp_path)), tmp_path) as channel:
        yield Sources(channel, channel, channel, channel)


async def test_what_all_tell_is_understood(sources) -> None:
    parts = await parts_from(sources)("wang")
    young, old = parts.ownership_periods
    owner = ("b1", "PRIMARY", "m1", "LOAN", date(2026, 3, 1), date(2026, 4, 1), None, "allocation", AT)
    assert young == OwnershipPeriod(*owner)
    assert (old.until_date, old.rule) == (date(2026, 4, 1), "")
    assert parts.rule_of("b1") == "LOAN"
    contact = ("customers/wang/contacts/c1", "CALL", AT, "ACCEPTED", "", "", "REACHED", "m1")
    assert parts.contacts == [Contact(*contact)]
    alert = Alert("alerts/a0", "LARGE_INFLOW", "UNREAD", "b1", date(2026, 3, 1), AT, 700)
    assert [one.alert for one in parts.alerts] == ["alerts/a0", "alerts/a2"], "who handled it is done with it"
    assert parts.alerts[0] == alert
    assert parts.tasks == [Task("tasks/t1", "call him", "staff/m1", None, AT)]
    assert parts.missing == []


async def test_who_is_slow_is_missing_and_holds_up_nobody(sources, others) -> None:
    others.sleep = dict.fromkeys(("contacts", "alerts", "tasks", "ownership_periods"), 5.0)
    started = time.perf_counter()
    parts = await parts_from(sources)("wang")
    assert time.perf_counter() - started < 1.5, "all are asked at once"
    assert set(parts.missing) == {
        Missing(part, "TIMEOUT") for part in ("contacts", "alerts", "tasks", "ownership_periods")
    }


async def test_a_callers_short_deadline_leaves_time_for_the_answer(sources, others) -> None:
    others.sleep = {"contacts": 5.0}
    started = time.perf_counter()
    token = call_deadline.set(monotonic_seconds() + 0.4)
    try:
        parts = await parts_from(sources)("wang")
    finally:
        call_deadline.reset(token)
    assert time.perf_counter() - started < 0.35
    assert parts.missing == [Missing("contacts", "TIMEOUT")]
    assert parts.tasks


async def test_who_fails_is_missing_and_who_knows_nothing_is_not(sources, others) -> None:
    others.refuse = {
        "contacts": Refused(No.UNAVAILABLE, "DATABASE_UNREACHABLE", "down"),
        "tasks": Refused(No.EXHAUSTED, "OVERLOADED", "too much"),
        "alerts": Refused(No.FORBIDDEN, "ROLE_FORBIDDEN", "not he"),
        "ownership_periods": not_found(),
    }
    parts = await parts_from(sources)("wang")
    assert parts.missing == [Missing("contacts", "UNAVAILABLE"), Missing("tasks", "UNAVAILABLE")]
    assert (parts.alerts, parts.ownership_periods) == ([], [])


async def test_without_any_server_everything_is_missing() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
        parts = await parts_from(Sources(nowhere, nowhere, nowhere, nowhere))("wang")
    assert {missing.reason for missing in parts.missing} == {"UNAVAILABLE"}
    assert len(parts.missing) == 4


async def test_a_life_is_told_in_events(sources, others) -> None:
    others.alerts[1].event_time.CopyFrom(stamp(AT + timedelta(days=1)))
    entries, missing = await entries_from(sources)("wang", Wanted(frozenset(Kind), 50))
    assert missing == []
    told = [(entry.kind.name, entry.event_date.isoformat(), entry.subject, entry.detail) for entry in entries]
    assert told == [
        ("OWNER_STARTED", "2026-04-01", "staff/m1", "PRIMARY:LOAN"),
        ("OWNER_STARTED", "2026-03-01", "", "PRIMARY"),
        ("OWNER_ENDED", "2026-04-01", "", "PRIMARY"),
        ("CONTACT", "2026-03-01", "customers/wang/contacts/c1", "CALL"),
        ("ALERT", "2026-03-01", "alerts/a0", "LARGE_INFLOW"),
        ("ALERT", "2026-03-01", "alerts/a1", "LARGE_INFLOW"),
        ("ALERT", "2026-03-01", "alerts/a2", "LARGE_INFLOW"),
    ]
    assert entries[5].event_time is None, "the day that it is booked on holds"
    assert len({entry.key for entry in entries}) == len(entries)


async def test_only_those_are_asked_who_have_something_to_tell(sources, others) -> None:
    assert await entries_from(sources)("wang", Wanted(frozenset({Kind.NOTE}), 50)) == ([], [])
    assert others.calls == 0
    others.refuse = {"alerts": Refused(No.UNAVAILABLE, "DATABASE_UNREACHABLE", "down")}
    entries, missing = await entries_from(sources)("wang", Wanted(frozenset({Kind.ALERT, Kind.CONTACT}), 50))
    assert (len(entries), missing) == (1, [Missing("alerts", "UNAVAILABLE")])


@pytest.mark.parametrize("limit", [1, 3, 40])
async def test_contacts_of_one_instant_are_neither_lost_nor_told_twice(sources, others, limit: int) -> None:
    # Within an instant the source has an order of its own, and more of them than it gives at once.
    minutes = [0] * 70 + [5] * 130 + list(range(10, 30))
    contacts = [
        contact_pb2.Contact(
            name=f"customers/wang/contacts/c{number}",
            channel=contact_pb2.CHANNEL_SMS,
            contact_time=stamp(AT - timedelta(minutes=minute)),
            state=contact_pb2.Contact.STATE_ACCEPTED,
        )
        for number, minute in enumerate(minutes)
    ]
    others.contacts = contacts
    found, after = [], None
    while True:
        wanted = Wanted(frozenset({Kind.CONTACT}), limit, after=after)
        entries, _ = await entries_from(sources)("wang", wanted)
        page = sorted((one for one in entries if wanted.takes(one)), key=lambda one: one.place, reverse=True)[:limit]
        if not page:
            break
        found += page
        after = page[-1].place
    assert len(found) == len(contacts)
    assert {entry.subject for entry in found} == {contact.name for contact in contacts}
    assert found == sorted(found, key=lambda entry: entry.place, reverse=True)
