"""Ingestion against the real PostgreSQL, held equal to sums made one transaction at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chassis.clock import bank_date
from chassis.sql.engine import Database
from policy.visibility import OwnerRow, Scope
from services.alert_svc.domain.followed import CustomerFact, OwnershipFact
from services.alert_svc.domain.transactions import Direction, Reason, Transaction
from services.alert_svc.store import alerts, followed
from services.alert_svc.usecases.ingest import Ingested, ingest

NOW = datetime(2026, 6, 30, 8, tzinfo=UTC)
ALL = Scope("", everyone=True)
THRESHOLD = 5_000_000


def booking(number: int, account: str = "a1", amount: int = 100, **change: object) -> Transaction:
    plain = Transaction(
        transaction_id=f"t{number}",
        account_id=account,
        event_time=NOW,
        direction=Direction.OUT,
        amount_minor=amount,
        operation="transfer_out",
        counterparty_bank="",
        counterparty_account="",
        standing_order=False,
        own_transfer=False,
        reversed_transaction_id="",
    )
    return replace(plain, **change)


async def bank(database: Database) -> None:
    """Two customers: c1 with accounts at b1 (primary) and b2 (secondary), c2 at b1 only."""
    async with database.begin() as tx:
        c1 = CustomerFact("c1", customer_type="INDIVIDUAL", accounts=(("a1", "b1"), ("a2", "b2")))
        c2 = CustomerFact("c2", customer_type="CORPORATE", accounts=(("a3", "b1"),))
        await followed.store_customers(tx, [c1, c2], 1)
        owners = (OwnerRow("b1", "PRIMARY", "m1"), OwnerRow("b2", "SECONDARY", None))
        await followed.store_ownerships(tx, [OwnershipFact("c1", owners), OwnershipFact("c2", owners[:1])], 1)


async def take(database: Database, *batch: Transaction) -> Ingested:
    return await database.repeat(partial(ingest, batch=batch, now=NOW))


async def told(database: Database) -> dict[tuple[str, str, str], tuple[str, int, int, int]]:
    """All alerts: (customer, kind, branch of the key) → state, count, sum, largest."""
    async with database.read() as tx:
        found = await alerts.page(tx, ALL, alerts.Wanted(), None, 1000)
    return {
        (one.key.customer_id, one.key.kind.value, one.key.branch_id): (
            one.state.value,
            one.transaction_count,
            one.sum_minor,
            one.largest_minor,
        )
        for one in found
    }


async def test_a_transaction_counts_once_whoever_sends_it_again(database: Database) -> None:
    await bank(database)
    first = await take(database, booking(1, amount=THRESHOLD), booking(1, amount=THRESHOLD))
    again = await take(database, booking(1, amount=THRESHOLD), booking(2))
    assert (first.stored_count, first.duplicate_count) == (1, 1)
    assert (again.stored_count, again.duplicate_count) == (1, 1)
    assert (await told(database))["c1", "LARGE_OUTFLOW", ""] == ("UNREAD", 2, THRESHOLD + 100, THRESHOLD)


async def test_the_secondary_side_is_told_only_of_its_own_branch(database: Database) -> None:
    await bank(database)
    await take(database, booking(1, "a1", THRESHOLD), booking(2, "a2", THRESHOLD + 1))
    assert await told(database) == {
        ("c1", "LARGE_OUTFLOW", ""): ("UNREAD", 2, 2 * THRESHOLD + 1, THRESHOLD + 1),
        ("c1", "LARGE_OUTFLOW", "b2"): ("UNREAD", 1, THRESHOLD + 1, THRESHOLD + 1),
    }


async def test_a_side_that_is_known_only_later_is_told_all_the_same(database: Database) -> None:
    async with database.begin() as tx:
        accounts = (("a1", "b1"), ("a2", "b2"))
        await followed.store_customers(tx, [CustomerFact("c1", customer_type="INDIVIDUAL", accounts=accounts)], 1)
    await take(database, booking(1, "a2", THRESHOLD))
    await bank(database)
    assert set(await told(database)) == {("c1", "LARGE_OUTFLOW", ""), ("c1", "LARGE_OUTFLOW", "b2")}


async def test_a_bad_row_does_not_take_a_good_one_of_its_id_with_it(database: Database) -> None:
    await bank(database)
    outcome = await take(database, booking(1, amount=0), booking(1, amount=THRESHOLD))
    assert (outcome.stored_count, len(outcome.rejections)) == (1, 1)


async def test_nobody_undoes_another_customers_transaction(database: Database) -> None:
    await bank(database)
    await take(database, booking(1, "a1", THRESHOLD))
    outcome = await take(database, booking(2, "a3", 1, reversed_transaction_id="t1"))
    assert [(one.transaction_id, one.field) for one in outcome.rejections] == [("t2", "reversed_transaction")]
    await take(database, booking(3, "a3", 1, reversed_transaction_id="t4"))
    await take(database, booking(4, "a1", THRESHOLD))
    assert await told(database) == {("c1", "LARGE_OUTFLOW", ""): ("UNREAD", 2, 2 * THRESHOLD, THRESHOLD)}


async def test_transactions_of_unknown_accounts_are_told_and_the_others_stored(database: Database) -> None:
    await bank(database)
    outcome = await take(database, booking(1, "nobody's"), booking(2), booking(3, amount=0))
    assert outcome.stored_count == 1
    assert {(one.transaction_id, one.reason) for one in outcome.rejections} == {
        ("t1", Reason.ACCOUNT_UNKNOWN),
        ("t3", Reason.AMOUNT_INVALID),
    }
    accepted_later = await take(database, booking(1, "a3"))
    assert accepted_later.stored_count == 1


async def test_a_reversal_withdraws_what_it_undoes_even_if_it_comes_first(database: Database) -> None:
    await bank(database)
    await take(database, booking(1, amount=THRESHOLD))
    undo = booking(2, amount=THRESHOLD, direction=Direction.IN, reversed_transaction_id="t1")
    await take(database, undo)
    assert await told(database) == {("c1", "LARGE_OUTFLOW", ""): ("WITHDRAWN", 0, 0, 0)}
    await take(database, booking(4, amount=THRESHOLD, direction=Direction.IN, reversed_transaction_id="t3"))
    await take(database, booking(3, amount=THRESHOLD))
    assert (await told(database))["c1", "LARGE_OUTFLOW", ""] == ("WITHDRAWN", 0, 0, 0)
    await take(database, booking(5, amount=THRESHOLD))
    assert (await told(database))["c1", "LARGE_OUTFLOW", ""] == ("UNREAD", 1, THRESHOLD, THRESHOLD)


async def test_concurrent_batches_of_one_customer_miss_nothing_of_each_other(database: Database) -> None:
    await bank(database)
    halves = [[booking(sender * 100 + number, amount=50_000) for number in range(10)] for sender in range(15)]
    await asyncio.gather(*(take(database, *half) for half in halves))
    assert await told(database) == {("c1", "LARGE_OUTFLOW", ""): ("UNREAD", 150, 7_500_000, 50_000)}


async def test_the_business_day_is_that_of_bank_time(database: Database) -> None:
    await bank(database)
    before_midnight = datetime(2026, 6, 29, 15, 59, 59, tzinfo=UTC)
    last = booking(1, amount=4_000_000, event_time=before_midnight)
    first = booking(2, amount=4_000_000, event_time=before_midnight + timedelta(seconds=1))
    await take(database, last, first)
    assert await told(database) == {}
    await take(database, booking(3, amount=3_500_000, event_time=before_midnight + timedelta(hours=1)))
    async with database.read() as tx:
        (alert,) = await alerts.page(tx, ALL, alerts.Wanted(), None, 10)
    assert (alert.key.business_date, alert.sum_minor) == (date(2026, 6, 30), 7_500_000)


bookings = st.lists(
    st.builds(
        booking,
        st.integers(1, 40),
        account=st.sampled_from(["a1", "a2", "a3"]),
        amount=st.sampled_from([1, 2_499_999, 2_500_000, 4_999_999, 5_000_000]),
        direction=st.sampled_from(Direction),
        event_time=st.integers(0, 60).map(lambda hours: NOW - timedelta(hours=hours)),
        standing_order=st.sampled_from([False, False, False, True]),
        own_transfer=st.sampled_from([False, False, False, True]),
        reversed_transaction_id=st.sampled_from(["", "", "", "t1", "t2", "t3"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=bookings, size=st.integers(1, 10))
async def test_alerts_equal_sums_made_one_by_one(database: Database, sent: list[Transaction], size: int) -> None:
    async with database.begin() as tx:
        await tx.execute(
            text("TRUNCATE transactions, transaction_id_seen, reversals, alerts, customers, accounts, owners")
        )
    await bank(database)
    for start in range(0, len(sent), size):
        await take(database, *sent[start : start + size])
    async with database.read() as tx:
        found = await alerts.page(tx, ALL, alerts.Wanted(), None, 1000)
    live = {
        (one.key.customer_id, one.key.kind.value, one.key.business_date, one.key.branch_id): one.sum_minor
        for one in found
        if one.state != alerts.State.WITHDRAWN
    }
    assert live == expected(sent, size)


def taken_first(sent: Sequence[Transaction], size: int) -> dict[str, Transaction]:
    """What is stored of each id: the first that came and was not a reversal of another account's transaction."""
    stored: dict[str, Transaction] = {}
    for start in range(0, len(sent), size):
        before = dict(stored)
        for one in sent[start : start + size]:
            original = before.get(one.reversed_transaction_id)
            if one.transaction_id not in stored and (original is None or original.account_id == one.account_id):
                stored[one.transaction_id] = one
    return stored


def expected(sent: Sequence[Transaction], size: int) -> dict[tuple[str, str, date, str], int]:
    """What section 7 of the domain says of these transactions, slowly."""
    first = taken_first(sent, size)
    undone = {
        one.reversed_transaction_id
        for one in first.values()
        if one.reversed_transaction_id in first and first[one.reversed_transaction_id].account_id == one.account_id
    }
    moved = defaultdict[tuple[str, str, date, str], list[int]](list)
    for one in first.values():
        netted = one.standing_order or one.own_transfer or one.reversed_transaction_id
        if netted or one.transaction_id in undone or one.event_time is None:
            continue
        kind = "LARGE_INFLOW" if one.direction == Direction.IN else "LARGE_OUTFLOW"
        customer = "c2" if one.account_id == "a3" else "c1"
        sides = ["", "b2"] if one.account_id == "a2" else [""]
        for side in sides:
            moved[customer, kind, bank_date(one.event_time), side].append(one.amount_minor)
    return {
        key: sum(amounts)
        for key, amounts in moved.items()
        if max(amounts) >= THRESHOLD or sum(amounts) * 2 >= THRESHOLD * 3
    }
