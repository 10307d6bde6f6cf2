"""Who is told what of a customer's owners."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from chassis.sql.testing import empty
from services.assignment_svc.domain.ownership import Side
from services.assignment_svc.store.ownerships import Listed, Place
from services.assignment_svc.usecases.read_ownership import Reader, View, get_ownership, list_ownerships, list_periods

NIGHT = date(2024, 3, 1)
Row = dict[str, object]


def caller(branch_id: str, *roles: Role, staff_id: str = "viewer") -> Reader:
    until = datetime.now(UTC) + timedelta(minutes=15)
    who = Caller(staff_id, branch_id, frozenset(roles), "session", "banyan/assignment_svc", until, "")
    return Reader(who, "request", "Method")


SERVICE = caller("", Role.SERVICE)


def owner(
    customer_id: str, branch_id: str, side: str, manager_id: str | None = None, **given: object
) -> dict[str, object]:
    evidence = {"basis": f"loan-{branch_id}", "amount_minor": 5, "rival_branch_id": "south", "rival_amount_minor": 4}
    row = {"customer_id": customer_id, "branch_id": branch_id, "side": side, "manager_id": manager_id, **evidence}
    return {**row, "rule": "LOAN", "from_date": NIGHT, **given}


@pytest.fixture(autouse=True)
async def bank(database: Database) -> None:
    """Region above north and south; c1 is north's with south beside, c2 south's, c3 north's former loan."""
    columns = "customer_id, branch_id, side, manager_id, basis, amount_minor, rival_branch_id, rival_amount_minor, rule"
    values = ", ".join(f":{name.strip()}" for name in columns.split(","))
    async with database.begin() as tx:
        await empty(tx, {"branch", "staff", "ownership", "owner", "owner_period", "audit"})
        await tx.execute(
            text(
                "INSERT INTO branch (branch_id, display_name, parent_id) VALUES"
                " ('region', 'R', NULL), ('north', 'N', 'region'), ('south', 'S', 'region'), ('west', 'W', NULL)"
            )
        )
        await tx.execute(
            text(
                "INSERT INTO ownership (customer_id, state, business_date) VALUES"
                " ('c1', 'LIVE', '2024-03-01'), ('c2', 'FROZEN', '2024-03-01'), ('c3', 'LIVE', '2024-03-01')"
            )
        )
        rows = [
            owner("c1", "north", "PRIMARY", "anna"),
            owner("c1", "south", "SECONDARY", "bert"),
            owner("c2", "south", "PRIMARY"),
            owner("c3", "north", "PRIMARY"),
        ]
        await tx.execute(
            text(
                f"INSERT INTO owner ({columns}, held_by_margin, since_date, from_date, actor)"
                f" VALUES ({values}, false, :from_date, :from_date, 'allocation')"
            ),
            rows,
        )
        periods = [
            owner("c1", "south", "PRIMARY", from_date=date(2024, 1, 1), until_date=date(2024, 2, 1)),
            owner("c1", "north", "SECONDARY", from_date=date(2024, 2, 1), until_date=NIGHT),
        ]
        await tx.execute(
            text(
                f"INSERT INTO owner_period ({columns}, held_by_margin, since_date, from_date, until_date, actor)"
                f" VALUES ({values}, false, :from_date, :from_date, :until_date, 'allocation')"
            ),
            periods,
        )


async def seen(database: Database, by: Reader, customer_id: str = "c1") -> View | None:
    async with database.read() as conn:
        try:
            return await get_ownership(conn, customer_id, by)
        except Refused as refused:
            return None if refused.kind is Kind.NOT_FOUND else pytest.fail(refused.message)


def rows_of(view: View) -> list[tuple[str, str | None]]:
    return [(row.branch_id, row.evidence.basis) for row in view.owners]


async def test_the_primary_head_sees_every_row_but_no_loan_of_another_branch(database: Database) -> None:
    view = await seen(database, caller("north", Role.BRANCH_HEAD))
    assert view
    assert rows_of(view) == [("north", "loan-north"), ("south", None)]
    assert view.state == "LIVE"


async def test_nobody_looks_at_himself_or_a_declared_relative(database: Database) -> None:
    head = caller("north", Role.BRANCH_HEAD, staff_id="c3")
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM staff_relation"))
        await tx.execute(
            text("INSERT INTO staff_relation (customer_id, staff_id, kind, actor) VALUES ('c1', 'c3', 'SPOUSE', 'c3')")
        )
    assert [await seen(database, head, customer_id) for customer_id in ("c1", "c3", "c9")] == [None] * 3
    async with database.read() as conn:
        assert await list_ownerships(conn, Listed("north"), head, "", 10) == ([], None)
        with pytest.raises(Refused):
            await list_periods(conn, "c1", head, Place(), 10)
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM staff_relation"))
    assert await seen(database, head, "c1")


async def test_a_secondary_head_sees_his_row_and_which_branch_is_primary(database: Database) -> None:
    view = await seen(database, caller("south", Role.BRANCH_HEAD))
    assert view
    assert (rows_of(view), view.primary_branch_id, view.state) == ([("south", "loan-south")], "north", None)
    assert view.owners[0].evidence.rival_amount_minor is None


async def test_a_secondary_head_cannot_tell_that_something_changed_elsewhere(database: Database) -> None:
    by = caller("south", Role.BRANCH_HEAD)
    before = await seen(database, by)
    async with database.begin() as tx:
        await tx.execute(text("UPDATE owner SET manager_id = 'carl' WHERE customer_id = 'c1' AND branch_id = 'north'"))
        await tx.execute(
            text(
                "UPDATE ownership SET state = 'FROZEN', business_date = '2024-03-02', rev = pg_current_xact_id(),"
                " update_time = bank_now() WHERE customer_id = 'c1'"
            )
        )
    assert before == await seen(database, by)
    async with database.read() as conn:
        listed, _ = await list_ownerships(conn, Listed("south", Side.SECONDARY), by, "", 9)
    assert listed == [before]
    whole = await seen(database, caller("north", Role.BRANCH_HEAD))
    assert whole
    assert (whole.business_date, whole.update_time is None, whole.rev is None) == (date(2024, 3, 2), False, False)


async def test_a_head_above_sees_as_the_nearest_branch(database: Database) -> None:
    view = await seen(database, caller("region", Role.BRANCH_HEAD))
    assert view
    assert rows_of(view) == [("north", "loan-north"), ("south", "loan-south")]


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(caller("west", Role.BRANCH_HEAD), id="another branch's head"),
        pytest.param(caller("west", Role.MANAGER, staff_id="anna"), id="a manager who moved away"),
        pytest.param(caller("north", Role.AUDITOR), id="an auditor"),
    ],
)
async def test_for_others_the_customer_does_not_exist(database: Database, by: Reader) -> None:
    assert await seen(database, by) is None
    assert await seen(database, by, "nobody") is None


async def test_other_staff_of_the_branch_learn_of_existence_only(database: Database) -> None:
    view = await seen(database, caller("north", Role.TELLER))
    assert view == View("c1", None, (), None, None, None, None)


async def test_a_service_sees_all(database: Database) -> None:
    view = await seen(database, SERVICE)
    assert view
    assert rows_of(view) == [("north", "loan-north"), ("south", "loan-south")]


@pytest.mark.parametrize(
    ("by", "listed", "expected"),
    [
        pytest.param(caller("north", Role.BRANCH_HEAD), Listed("north"), ["c1", "c3"], id="head"),
        pytest.param(caller("region", Role.BRANCH_HEAD), Listed("south"), ["c1", "c2"], id="head above"),
        pytest.param(caller("south", Role.BRANCH_HEAD), Listed("south", Side.PRIMARY), ["c2"], id="one side"),
        pytest.param(caller("north", Role.BRANCH_HEAD), Listed("north", unassigned=True), ["c3"], id="unassigned"),
        pytest.param(SERVICE, Listed("north", manager_id="anna"), ["c1"], id="of a manager"),
        pytest.param(caller("north", Role.MANAGER, staff_id="anna"), Listed("north"), ["c1"], id="his own"),
        pytest.param(caller("north", Role.TELLER), Listed("north"), [], id="teller"),
        pytest.param(caller("south", Role.BRANCH_HEAD), Listed("north"), [], id="another branch"),
    ],
)
async def test_who_is_listed_for_whom(database: Database, by: Reader, listed: Listed, expected: list[str]) -> None:
    found: list[str] = []
    after: str | None = ""
    async with database.read() as conn:
        while after is not None:
            views, after = await list_ownerships(conn, listed, by, after, 1)
            found += [view.customer_id for view in views]
    assert found == expected


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param(SERVICE, ["south 03-01", "north 03-01", "north 02-01", "south 01-01"], id="service"),
        pytest.param(caller("south", Role.BRANCH_HEAD), ["south 03-01", "south 01-01"], id="secondary"),
        pytest.param(caller("south", Role.TELLER), [], id="existence only"),
    ],
)
async def test_history_comes_page_by_page_with_the_youngest_first(
    database: Database, by: Reader, expected: list[str]
) -> None:
    found: list[str] = []
    start: Place | None = Place()
    async with database.read() as conn:
        while start is not None:
            page, last = await list_periods(conn, "c1", by, start, 1)
            found += [f"{p.owner.branch_id} {p.owner.from_date:%m-%d}" for p in page]
            start = last and Place(last.owner.from_date, last.create_time, last.owner.branch_id, last.period_id)
    assert found == expected


async def test_history_of_a_hidden_customer_is_not_found(database: Database) -> None:
    async with database.read() as conn:
        with pytest.raises(Refused) as caught:
            await list_periods(conn, "c1", caller("west", Role.BRANCH_HEAD), Place(), 9)
    assert caught.value.kind is Kind.NOT_FOUND


async def test_who_was_shown_whom_is_remembered_and_the_hidden_leave_no_trace(database: Database) -> None:
    head = caller("north", Role.BRANCH_HEAD)
    await seen(database, head)
    await seen(database, head, "c2")
    async with database.read() as conn:
        await list_ownerships(conn, Listed("north"), head, "", 9)
        await list_periods(conn, "c1", head, Place(), 9)
        noted = await conn.execute(
            text("SELECT caller, branch_id, request_id, customer_id FROM audit ORDER BY audit_id")
        )
        assert [tuple(row) for row in noted] == [("viewer", "north", "request", c) for c in ("c1", "c1", "c3", "c1")]
