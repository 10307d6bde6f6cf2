"""Timelines and balance series over the wire."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import customer_pb2, timeline_pb2, timeline_service_pb2_grpc
from banyan.customer.v1 import timeline_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.customer_svc.domain.contact_room import BANK_ZONE
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.parts import Missing
from services.customer_svc.domain.timeline import Entry, Kind, bank_date

Kinds = timeline_pb2.TimelineKind
START = datetime(2026, 3, 1, 4, tzinfo=UTC)


class Asker:
    """Calls as somebody about a customer, Wang unless told otherwise."""

    def __init__(self, channel, metadata) -> None:
        self._stub = timeline_service_pb2_grpc.TimelineServiceStub(channel)
        self._metadata = metadata

    async def page(self, customer: str = "wang", **fields):
        request = pb.ListTimelineEntriesRequest(parent=f"customers/{customer}", **fields)
        return await self._stub.ListTimelineEntries(request, metadata=self._metadata)

    async def whole(self, size: int = 200, **fields) -> list[timeline_pb2.TimelineEntry]:
        found, token = [], ""
        while True:
            page = await self.page(page_size=size, page_token=token, **fields)
            found += page.timeline_entries
            token = page.next_page_token
            if not token:
                return found

    async def series(self, customer: str = "wang"):
        request = pb.GetBalanceSeriesRequest(name=f"customers/{customer}/balanceSeries")
        return await self._stub.GetBalanceSeries(request, metadata=self._metadata)


@pytest.fixture
def asks(page_channel, signed_in):
    def make(role: Role = Role.BRANCH_HEAD, branch: str = "b1", staff: str = "h1") -> Asker:
        if role is Role.SERVICE:
            return Asker(page_channel, signed_in.service())
        return Asker(page_channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


@pytest.fixture
async def lived(filled):
    """Wang has lived: a graded loan, a holding, a tag, a key mark, notes of both sides, a relation, a merge."""
    day = "2026-04-0"
    statements = f"""
UPDATE loans SET grade = 'SUBSTANDARD', grade_date = '{day}1', close_date = '{day}2' WHERE loan_id = 'l1';
INSERT INTO holdings (customer_id, branch_id, product_code, open_date, close_date, amount_minor)
VALUES ('wang', 'b2', 'WEALTH1', '{day}1', '{day}3', 900);
INSERT INTO tag_changes (customer_id, tag_code, kind, reason, actor, branch_id, create_time)
VALUES ('wang', 'VIP', 'SET', 'knows him', 'h1', 'b1', '{day}4T01:00Z');
INSERT INTO key_mark_changes (customer_id, kind, new_reason, actor, reason, business_date, create_time)
VALUES ('wang', 'TESTED', 'ASSET', 'batch', '', '{day}4', '{day}4T01:00Z');
INSERT INTO notes (customer_id, note_id, text, author_id, branch_id, create_time) VALUES
  ('wang', 'n1', repeat('x', 300), 'h1', 'b1', '{day}5T01:00Z'), ('wang', 'n2', 'theirs', 'h2', 'b2', '{day}5T02:00Z');
INSERT INTO manual_relations (customer_id, relation_id, related_customer_id, kind, reason, author_id, branch_id,
  create_time) VALUES ('li', 'r1', 'wang', 'guarantor', 'they said so', 'h1', 'b1', '{day}6T01:00Z');
INSERT INTO merge_events (customer_id, merge_id, ordinal, verb, actor, branch_id, reason, event_time) VALUES
  ('wang', 'm1', 1, 'PROPOSE', 'h1', 'b1', 'same man', '{day}6T02:00Z'),
  ('wang', 'm1', 2, 'FINISH', 'customer_svc', '', '', '{day}6T03:00Z')"""
    async with filled.database.begin() as tx:
        for statement in statements.split(";\n"):
            await tx.execute(text(statement))


def told(entries) -> list[tuple[str, str, str, str]]:
    return [
        (Kinds.Name(entry.kind).removeprefix("TIMELINE_KIND_"), entry.branch, entry.subject, entry.detail)
        for entry in entries
    ]


async def code_of(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    return raised.value.code(), status.message


@pytest.mark.usefixtures("lived")
async def test_the_primary_side_sees_the_whole_life_without_other_branches_numbers(asks) -> None:
    found = await asks().whole()
    assert told(found) == [
        ("MERGE", "", "merges/m1", "FINISH"),
        ("RELATION_STARTED", "branches/b1", "", "guarantor"),
        ("NOTE", "branches/b2", "customers/wang/notes/n2", ""),
        ("NOTE", "branches/b1", "customers/wang/notes/n1", ""),
        ("TAG_CHANGED", "", "tags/VIP", "SET"),
        ("KEY_MARK_CHANGED", "", "", "TESTED:ASSET"),
        ("HOLDING_CLOSED", "branches/b2", "WEALTH1", ""),
        ("LOAN_CLOSED", "branches/b2", "", ""),
        ("HOLDING_OPENED", "branches/b2", "WEALTH1", ""),
        ("LOAN_GRADED", "branches/b2", "", "SUBSTANDARD"),
        ("ACCOUNT_CLOSED", "branches/b1", "a0", "DEMAND"),
        ("CARD_OPENED", "branches/b1", "k1", ""),
        ("LOAN_DISBURSED", "branches/b2", "", ""),
        *sorted(
            [
                ("ACCOUNT_OPENED", "branches/b1", "a0", "DEMAND"),
                ("ACCOUNT_OPENED", "branches/b1", "a1", "DEMAND"),
                ("ACCOUNT_OPENED", "branches/b2", "", "DEMAND"),
            ],
            key=[one for one in told(found) if one[0] == "ACCOUNT_OPENED"].index,
        ),
    ]
    note = found[3]
    assert (len(note.text), note.actor, note.HasField("event_time")) == (200, "h1", True)
    assert (found[6].event_date.day, found[6].HasField("event_time")) == (3, False)
    assert found[8].amount == Money(currency_code="CNY", units=9)


@pytest.mark.usefixtures("lived")
async def test_a_secondary_side_sees_what_happened_at_its_own_branch(asks) -> None:
    assert told(await asks(branch="b2").whole()) == [
        ("RELATION_STARTED", "branches/b1", "", "guarantor"),
        ("NOTE", "branches/b2", "customers/wang/notes/n2", ""),
        ("HOLDING_CLOSED", "branches/b2", "WEALTH1", ""),
        ("LOAN_CLOSED", "branches/b2", "l1", ""),
        ("HOLDING_OPENED", "branches/b2", "WEALTH1", ""),
        ("LOAN_GRADED", "branches/b2", "l1", "SUBSTANDARD"),
        ("LOAN_DISBURSED", "branches/b2", "l1", ""),
        ("ACCOUNT_OPENED", "branches/b2", "a2", "DEMAND"),
    ]


async def test_who_sees_no_more_than_that_he_exists_has_no_timeline(asks, entries) -> None:
    answers = [
        await code_of(asker.page(customer))
        for asker in (asks(Role.TELLER), asks(Role.LOBBY), asks(branch="b9"))
        for customer in ("wang", "nobody")
    ]
    assert {code for code, _ in answers} == {grpc.StatusCode.NOT_FOUND}
    assert len(set(answers)) == 1
    assert entries.asked == 0
    assert (await code_of(asks(Role.ANALYST).page()))[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.usefixtures("lived")
async def test_kinds_and_times_confine_what_is_told(asks, entries) -> None:
    notes = await asks().whole(kinds=[Kinds.TIMELINE_KIND_NOTE, Kinds.TIMELINE_KIND_CARD_OPENED])
    assert [one[0] for one in told(notes)] == ["NOTE", "NOTE", "CARD_OPENED"]
    assert entries.asked == 0, "nobody is asked for what is not wanted"
    since, until = Timestamp(), Timestamp()
    since.FromDatetime(datetime(2026, 4, 2, tzinfo=BANK_ZONE))
    until.FromDatetime(datetime(2026, 4, 5, 1, tzinfo=UTC))
    some = await asks().whole(event_time_min=since, event_time_max=until)
    assert [one[0] for one in told(some)] == ["TAG_CHANGED", "KEY_MARK_CHANGED", "HOLDING_CLOSED", "LOAN_CLOSED"]


@pytest.mark.usefixtures("lived")
async def test_what_is_missing_is_named_and_the_rest_is_told(asks, entries) -> None:
    entries.missing = [Missing("contacts", "TIMEOUT"), Missing("alerts", "UNAVAILABLE")]
    page = await asks().page()
    assert [(missing.part, missing.reason) for missing in page.missing_parts] == [
        ("contacts", customer_pb2.MissingPart.REASON_TIMEOUT),
        ("alerts", customer_pb2.MissingPart.REASON_UNAVAILABLE),
    ]
    assert len(page.timeline_entries) == 16


@pytest.mark.parametrize("size", [1, 2, 7, 200])
async def test_pages_over_all_sources_equal_one_sorted_list(asks, entries, bank, size: int) -> None:
    rng = random.Random(size)
    instants = [START + timedelta(minutes=rng.randrange(12)) for _ in range(25)]
    entries.told = [
        Entry(
            rng.choice((Kind.CONTACT, Kind.ALERT)), f"{rng.random():.16f}", at, bank_date(at), at, subject=f"e{number}"
        )
        for number, at in enumerate(instants)
    ]
    rows = [{"note_id": f"n{number}", "at": START + timedelta(minutes=rng.randrange(12))} for number in range(25)]
    added = text(
        "INSERT INTO notes (customer_id, note_id, text, author_id, branch_id, create_time)"
        " VALUES ('wang', :note_id, 'x', 'h1', 'b1', :at)"
    )
    async with bank.database.begin() as tx:
        await tx.execute(added, rows)
    kinds = [Kinds.TIMELINE_KIND_CONTACT, Kinds.TIMELINE_KIND_ALERT, Kinds.TIMELINE_KIND_NOTE]
    found = await asks().whole(size, kinds=kinds)
    shown = [(entry.event_time.ToDatetime(UTC), int(entry.kind), entry.subject) for entry in found]
    at_notes = [(row["at"], int(Kind.NOTE), f"customers/wang/notes/{row['note_id']}") for row in rows]
    at_others = [(entry.at, int(entry.kind), entry.subject) for entry in entries.told]
    assert sorted(shown) == sorted(at_notes + at_others), "none is lost, none told twice"
    assert [place[:2] for place in shown] == sorted((place[:2] for place in shown), reverse=True)
    keys = {entry.subject: entry.key for entry in entries.told}
    theirs = [(at, kind, keys[subject]) for at, kind, subject in shown if subject in keys]
    assert theirs == sorted(theirs, reverse=True)


async def test_a_token_of_another_timeline_is_refused(asks) -> None:
    token = (await asks().page(page_size=1)).next_page_token
    assert token
    code, _ = await code_of(asks().page("li", page_token=token))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, _ = await code_of(asks().page(page_size=-1))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_reader_of_a_life_is_noted(asks, bank) -> None:
    await asks().page()
    await asks().series()
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT method, customer_id, caller FROM audit"))
        assert {tuple(row) for row in rows} == {
            ("ListTimelineEntries", "wang", "h1"),
            ("GetBalanceSeries", "wang", "h1"),
        }


def months(series) -> list[tuple[int, int | None, int | None]]:
    def known(month, field: str) -> int | None:
        return getattr(month, field).units if month.HasField(field) else None

    return [(month.month_date.month, known(month, "end_balance"), known(month, "average_balance")) for month in series]


@pytest.fixture
async def saved(filled):
    """Deposits of Wang: in May all is known, in April one end is not, in March b2 tells nothing although it has him."""

    def row(branch: str, month: int, end: int | None, average: int | None) -> dict[str, object]:
        of: dict[str, object] = {"customer_id": "wang", "branch_id": branch, "month_date": date(2026, month, 1)}
        return of | {"end_minor": end, "average_minor": average}

    rows = [row("b1", 3, 100, 100), row("b1", 4, 200, 200), row("b1", 5, 300, 300)]
    rows += [row("b2", 4, None, 1000), row("b2", 5, 5000, 4000)]
    rows += [row("b1", 1, 400, None)]
    await filled.load("monthly_balances", rows)


@pytest.mark.usefixtures("saved")
async def test_an_unknown_month_is_a_gap_and_no_zero(asks) -> None:
    found = await asks().series()
    assert months(found.own) == [(1, 4, None), (3, 1, 1), (4, 2, 2), (5, 3, 3)]
    assert months(found.total) == [(4, None, 12), (5, 53, 43)]
    assert (found.own_branch, list(found.masked_fields)) == ("branches/b1", [])
    assert (found.business_date.month, found.business_date.day) == (6, 30)


@pytest.mark.usefixtures("saved")
async def test_a_secondary_side_has_its_own_series_only(asks) -> None:
    found = await asks(branch="b2").series()
    assert (months(found.total), list(found.masked_fields)) == ([], ["total"])
    assert months(found.own) == [(4, None, 10), (5, 50, 40)]
    everything = await asks(Role.SERVICE).series()
    assert (months(everything.total), months(everything.own)) == ([(4, None, 12), (5, 53, 43)], [])
    assert (await code_of(asks(Role.TELLER).series()))[0] is grpc.StatusCode.NOT_FOUND


async def test_months_beyond_thirteen_are_left_out(asks, bank) -> None:
    at = {"customer_id": "li", "branch_id": "b1", "end_minor": 100, "average_minor": 100}
    days = [date(2025, month, 1) for month in (5, 6)] + [date(2026, 6, 1)]
    await bank.load("monthly_balances", [at | {"month_date": day} for day in days])
    await bank.own({"li": [Owner("b1", "PRIMARY", None, None)]})
    found = await asks().series("li")
    assert [(month.month_date.year, month.month_date.month) for month in found.total] == [(2025, 6), (2026, 6)]
