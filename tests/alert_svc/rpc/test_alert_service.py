"""AlertService and TransactionService over the wire, behind the whole chain."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.alert.v1 import (
    alert_pb2,
    alert_service_pb2,
    alert_service_pb2_grpc,
    transaction_pb2,
    transaction_service_pb2,
    transaction_service_pb2_grpc,
)
from sqlalchemy import text

from chassis import wire
from chassis.caller import Role
from chassis.feed import Wakeups
from chassis.server import Served
from chassis.sql.engine import Database
from chassis.testing import Metadata, SignedIn, app_of, in_process
from policy.visibility import OwnerRow
from services.alert_svc.domain.followed import CustomerFact, OwnershipFact
from services.alert_svc.rpc.alert_service import AlertServicer
from services.alert_svc.rpc.permissions import ALLOWED
from services.alert_svc.rpc.transaction_service import TransactionServicer
from services.alert_svc.store import followed

NOON = datetime(2026, 6, 30, 4, tzinfo=UTC)
LARGE = 5_000_000


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def channel(database: Database, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """c1 is b1's (manager m1) and secondarily b2's; c2 is b3's without a manager."""
    async with database.begin() as tx:
        c1 = CustomerFact("c1", customer_type="INDIVIDUAL", accounts=(("a1", "b1"), ("a2", "b2")))
        c2 = CustomerFact("c2", customer_type="INDIVIDUAL", accounts=(("a3", "b3"),))
        await followed.store_customers(tx, [c1, c2], 1)
        owners = (OwnerRow("b1", "PRIMARY", "m1"), OwnerRow("b2", "SECONDARY", None))
        lone = (OwnerRow("b3", "PRIMARY", None),)
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners), OwnershipFact("c2", lone)], 1)
    wakeups = Wakeups(None)
    services = [
        Served(
            "banyan.alert.v1.AlertService",
            alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
            AlertServicer(database, wakeups, b"s" * 32, "CNY"),
        ),
        Served(
            "banyan.alert.v1.TransactionService",
            transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server,
            TransactionServicer(database, wakeups),
        ),
    ]
    async with in_process(app_of(services, ALLOWED, signed_in, "alert.banyan"), tmp_path) as opened:
        yield opened
    await wakeups.close()


def outflow(number: int, account: str, amount: int = LARGE, time: datetime = NOON) -> transaction_pb2.Transaction:
    return transaction_pb2.Transaction(
        transaction=f"t{number}",
        account=account,
        event_time=wire.time_to_wire(time),
        direction=transaction_pb2.DIRECTION_OUT,
        amount_minor=amount,
    )


def batches(*each: list[transaction_pb2.Transaction]) -> Iterator[transaction_service_pb2.IngestTransactionsRequest]:
    for number, transactions in enumerate(each, 1):
        yield transaction_service_pb2.IngestTransactionsRequest(batch=number, transactions=transactions)


async def ingest(
    channel: grpc.aio.Channel, signed_in: SignedIn, *each: list[transaction_pb2.Transaction]
) -> list[transaction_service_pb2.IngestTransactionsResponse]:
    stub = transaction_service_pb2_grpc.TransactionServiceStub(channel)
    call = stub.IngestTransactions(batches(*each), metadata=signed_in.service(), timeout=20)
    return [answer async for answer in call]


async def listed(channel: grpc.aio.Channel, who: Metadata, **request: Any) -> list[alert_pb2.Alert]:
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    answer = await stub.ListAlerts(alert_service_pb2.ListAlertsRequest(**request), metadata=who)
    return list(answer.alerts)


async def test_every_batch_is_acknowledged_with_what_became_of_it(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    answers = await ingest(
        channel, signed_in, [outflow(1, "a1"), outflow(2, "unknown")], [outflow(1, "a1"), outflow(3, "a1", -1)]
    )
    told = [(one.batch, one.stored_count, one.duplicate_count) for one in answers]
    assert told == [(1, 1, 0), (2, 0, 1)]
    reasons = transaction_service_pb2.Rejection
    assert [(one.transaction, one.reason, one.field) for answer in answers for one in answer.rejections] == [
        ("t2", reasons.REASON_ACCOUNT_UNKNOWN, "account"),
        ("t3", reasons.REASON_AMOUNT_INVALID, "amount_minor"),
    ]


async def test_each_side_lists_its_own_alerts(channel: grpc.aio.Channel, signed_in: SignedIn) -> None:
    await ingest(channel, signed_in, [outflow(1, "a1"), outflow(2, "a2", LARGE + 1), outflow(3, "a3")])
    manager = await listed(channel, signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1"))
    (whole_bank,) = manager
    assert (whole_bank.customer, whole_bank.branch, whole_bank.manager) == ("customers/c1", "branches/b1", "staff/m1")
    assert (whole_bank.transaction_count, whole_bank.sum.units, whole_bank.largest.nanos) == (2, 100_000, 10_000_000)
    assert await listed(channel, signed_in.staff(Role.BRANCH_HEAD, branch_id="b1")) == manager
    (own_branch,) = await listed(channel, signed_in.staff(Role.BRANCH_HEAD, branch_id="b2"))
    assert (own_branch.branch, own_branch.transaction_count, own_branch.manager) == ("branches/b2", 1, "")
    assert await listed(channel, signed_in.staff(Role.MANAGER, staff_id="m9", branch_id="b1")) == []
    (virtual,) = await listed(channel, signed_in.staff(Role.BRANCH_HEAD, branch_id="b3"))
    assert (virtual.customer, virtual.manager) == ("customers/c2", "")


async def test_a_private_manager_is_reminded_beside_the_primary_manager(
    channel: grpc.aio.Channel, signed_in: SignedIn, database: Database
) -> None:
    owners = (OwnerRow("b1", "PRIMARY", "m1", "pm"), OwnerRow("b2", "SECONDARY", None))
    async with database.begin() as tx:
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners)], 1)
        assert await followed.owner_rows(tx, "c1") == list(owners)
    private = signed_in.staff(Role.PRIVATE_MANAGER, staff_id="pm", branch_id="office")
    other = signed_in.staff(Role.PRIVATE_MANAGER, staff_id="pm2", branch_id="office")
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    watches = [stub.WatchAlerts(alert_service_pb2.WatchAlertsRequest(), metadata=who) for who in (private, other)]
    for watch in watches:
        await watch.read()
    await ingest(channel, signed_in, [outflow(1, "a1"), outflow(2, "a2", LARGE + 1), outflow(3, "a3")])
    (alert,) = await listed(channel, private)
    assert (alert.manager, alert.private_manager, alert.transaction_count) == ("staff/m1", "staff/pm", 2)
    assert await listed(channel, signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")) == [alert]
    assert await stub.GetAlert(alert_service_pb2.GetAlertRequest(name=alert.name), metadata=private) == alert
    assert await listed(channel, other) == []
    async with asyncio.timeout(10):
        message = await watches[0].read()
    assert list(message.alerts) == [alert]
    for watch in watches:
        watch.cancel()


async def test_an_alert_of_somebody_else_and_an_absent_one_get_the_same_no(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    await ingest(channel, signed_in, [outflow(1, "a1")])
    head = signed_in.staff(Role.BRANCH_HEAD, branch_id="b1")
    (alert,) = await listed(channel, head)
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    assert await stub.GetAlert(alert_service_pb2.GetAlertRequest(name=alert.name), metadata=head) == alert
    stranger = signed_in.staff(Role.BRANCH_HEAD, branch_id="b3")
    answers: list[tuple[object, ...]] = []
    for name in (alert.name, "alerts/20260630-nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as no:
            await stub.GetAlert(alert_service_pb2.GetAlertRequest(name=name), metadata=stranger)
        answers.append((no.value.code(), no.value.details()))
    assert answers == [(grpc.StatusCode.NOT_FOUND, "it does not exist, or you may not see it")] * 2


async def test_who_was_told_of_whom_is_remembered(
    channel: grpc.aio.Channel, signed_in: SignedIn, database: Database
) -> None:
    await ingest(channel, signed_in, [outflow(1, "a1"), outflow(2, "a3")])
    await listed(channel, signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1"))
    async with database.read() as tx:
        rows = await tx.execute(text("SELECT caller, method, customer_id FROM audit"))
    assert [tuple(row) for row in rows] == [("m1", "ListAlerts", "c1")]


async def test_alerts_are_paged_and_filtered(channel: grpc.aio.Channel, signed_in: SignedIn) -> None:
    days = [outflow(number, "a1", time=NOON - timedelta(days=number)) for number in range(5)]
    await ingest(channel, signed_in, days)
    head = signed_in.staff(Role.BRANCH_HEAD, branch_id="b1")
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    found: list[alert_pb2.Alert] = []
    request = alert_service_pb2.ListAlertsRequest(page_size=2)
    while True:
        page = await stub.ListAlerts(request, metadata=head)
        found += page.alerts
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [one.business_date.day for one in found] == [30, 29, 28, 27, 26]
    assert (
        await listed(channel, head, business_date_max=wire.date_to_wire(NOON.date() - timedelta(days=3))) == found[3:]
    )
    assert await listed(channel, head, kind=alert_pb2.ALERT_KIND_LARGE_INFLOW) == []
    assert await listed(channel, head, customer="customers/c1") == found


async def test_a_watch_brings_what_is_raised_and_resumes_without_gap_or_duplicate(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    head = signed_in.staff(Role.BRANCH_HEAD, branch_id="b1")
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    await ingest(channel, signed_in, [outflow(1, "a1", time=NOON - timedelta(days=9))])
    watch = stub.WatchAlerts(alert_service_pb2.WatchAlertsRequest(), metadata=head, timeout=20)
    first = await watch.read()
    assert list(first.alerts) == [], "a watch without a token starts now"
    await ingest(channel, signed_in, [outflow(2, "a1")], [outflow(3, "a3")])
    raised = await watch.read()
    assert [one.customer for one in raised.alerts] == ["customers/c1"]
    watch.cancel()
    await ingest(channel, signed_in, [outflow(4, "a1", time=NOON - timedelta(days=1))])
    request = alert_service_pb2.WatchAlertsRequest(resume_token=raised.resume_token)
    resumed = stub.WatchAlerts(request, metadata=head, timeout=20)
    missed = await resumed.read()
    assert [one.business_date.day for one in missed.alerts] == [29]
    resumed.cancel()


async def test_many_who_watch_at_once_are_each_told_what_is_theirs(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    watching = [
        stub.WatchAlerts(
            alert_service_pb2.WatchAlertsRequest(),
            metadata=signed_in.staff(Role.BRANCH_HEAD, branch_id=("b1", "b3")[number % 2]),
            timeout=30,
        )
        for number in range(200)
    ]
    for first in await asyncio.gather(*(watch.read() for watch in watching)):
        assert list(first.alerts) == []
    await ingest(channel, signed_in, [outflow(1, "a1"), outflow(2, "a3")])
    told = await asyncio.gather(*(watch.read() for watch in watching))
    assert [[one.customer for one in message.alerts] for message in told] == [["customers/c1"], ["customers/c2"]] * 100
    for watch in watching:
        watch.cancel()


async def test_staff_may_not_send_transactions_and_tellers_see_no_alerts(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    stub = transaction_service_pb2_grpc.TransactionServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as no:
        async for _ in stub.IngestTransactions(batches([outflow(1, "a1")]), metadata=signed_in.staff(Role.BRANCH_HEAD)):
            pass
    assert no.value.code() == grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(channel, signed_in.staff(Role.TELLER))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("numbers", "size", "reason"), [((2, 2), 1, "BATCH_OUT_OF_ORDER"), ((1,), 5_001, "BATCH_TOO_LARGE")]
)
async def test_a_batch_out_of_order_or_too_large_ends_the_stream(
    channel: grpc.aio.Channel, signed_in: SignedIn, numbers: tuple[int, ...], size: int, reason: str
) -> None:
    sent = [
        transaction_service_pb2.IngestTransactionsRequest(batch=number, transactions=[outflow(1, "a1", 1)] * size)
        for number in numbers
    ]
    stub = transaction_service_pb2_grpc.TransactionServiceStub(channel)
    call = stub.IngestTransactions(iter(sent), metadata=signed_in.service(), timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as no:
        assert [answer.batch async for answer in call] == [], "a refusal, not an answer"
    assert no.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason in str(no.value.trailing_metadata())
