"""That approved erasures are carried out when their time has come, everywhere, and stay so."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis import clock
from chassis.errors import Kind, Refused
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.erasure import Erasure, Obstacle, Part, State, Step, erased_parts
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.jobs.personal_data import erase_due
from services.customer_svc.store import erasures
from services.customer_svc.store.contact_data import reveal
from services.customer_svc.store.facts import read_page
from services.customer_svc.usecases.erase_customer import Decision, decide_erasure, request_erasure

MOBILE = "13812345678"
WANG = {"customer_id": "wang", "display_name": "王小明", "mobile": MOBILE, "id_number": "110101199001011234"}
HEAD = Reading(Viewer("h1", "b1", frozenset({"BRANCH_HEAD"})), "r1", "EraseCustomer")
APPROVER = Reading(Viewer("a0", "north", frozenset({"APPROVER"})), "r2", "ApproveErasure")
LONG_AGO = date(2015, 1, 1)


class Others:
    """Stand for the other services; one of them may be away."""

    names = ("assignment_svc", "campaign_svc", "alert_svc")

    def __init__(self) -> None:
        self.away: str | None = None
        self.erased: list[tuple[str, str, bool]] = []
        self.suppressed: list[str] = []

    async def erase(self, service: str, customer_id: str, erasure: str, *, everything: bool) -> None:
        if service == self.away:
            raise Refused(Kind.UNAVAILABLE, "PART_UNAVAILABLE", "away", {"service": service})
        assert erasure.startswith("customers/wang/erasures/")
        self.erased.append((service, customer_id, everything))

    async def suppress(self, customer_id: str) -> None:
        self.suppressed.append(customer_id)


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
async def former(bank):
    """Wang, whose only account was closed long ago; he is b1's, below north."""
    await bank.grow({"north": None, "b1": "north"})
    await bank.load("customers", [WANG])
    account = {"account_id": "a1", "customer_id": "wang", "branch_id": "b1", "open_date": LONG_AGO}
    await bank.load("accounts", [account | {"close_date": LONG_AGO}])
    await bank.own({"wang": [Owner("b1", "PRIMARY", "m1", None)]})
    return bank


async def approved(bank) -> Erasure:
    async with bank.database.begin() as tx:
        asked = await request_erasure(tx, HEAD, "wang", "letter 7")
    async with bank.database.begin() as tx:
        return await decide_erasure(tx, APPROVER, Decision("wang", asked.erasure_id, Step.APPROVE, ""))


async def later(bank, days: int = 7) -> None:
    """Lets days pass for what waits."""
    async with bank.database.begin() as tx:
        await tx.execute(
            text("UPDATE erasures SET execute_time = execute_time - make_interval(days => :d)"), {"d": days}
        )


async def now(bank, erasure: Erasure) -> Erasure:
    async with bank.database.read() as conn:
        found = await erasures.get(conn, erasure.customer_id, erasure.erasure_id)
    assert found is not None
    return found


async def shown(bank) -> tuple[str | None, str, bool]:
    async with bank.database.read() as conn:
        row = (
            await conn.execute(text("SELECT display_name, state, gone FROM customers WHERE customer_id = 'wang'"))
        ).one()
    return row.display_name, row.state, row.gone


async def test_nothing_goes_before_the_waiting_period_is_over(former, others) -> None:
    erasure = await approved(former)
    async with former.database.begin() as tx:
        for offset, due in (("6 days 23:59", 0), ("7 days", 1)):
            await tx.execute(text(f"SET LOCAL banyan.clock_offset = '{offset}'"))
            assert len(await erasures.due(tx, 10)) == due
    assert await erase_due(former.database, others) == 0
    assert (await now(former, erasure)).state is State.APPROVED
    assert await shown(former) == ("王小明", "ACTIVE", False)


async def test_a_person_of_whom_nothing_must_be_kept_is_erased_everywhere(former, others) -> None:
    erasure = await approved(former)
    async with former.database.read() as conn:
        before = (await conn.execute(text("SELECT rev FROM customers WHERE customer_id = 'wang'"))).scalar_one()
    await later(former)
    assert await erase_due(former.database, others) == 1
    done = await now(former, erasure)
    assert (done.state, erased_parts(done.verdicts)) == (State.DONE, frozenset(Part))
    assert others.erased == [(service, "wang", True) for service in others.names]
    assert await shown(former) == ("已删除", "ERASED", True)
    async with former.database.begin() as tx:
        found = await read_page(tx, int(before), "wang", 10)
        assert (await reveal(tx, former.keys, ["wang"]))["wang"].mobile is None
        told = await tx.execute(text("SELECT caller, customer_id FROM audit WHERE detail ->> 'parts' IS NOT NULL"))
        assert told.one() == ("customer_svc", "wang")
    assert [(fact.customer_id, fact.gone) for _, _, fact in found] == [("wang", True)]
    assert await erase_due(former.database, others) == 0


async def test_one_who_still_has_business_loses_marketing_only(former, others) -> None:
    await former.load("accounts", [{"account_id": "a2", "customer_id": "wang", "branch_id": "b1"}])
    tag = {"tag_code": "LOAN_POTENTIAL", "rule_version": "1", "as_of_date": date(2026, 6, 30), "evidence": "{}"}
    await former.load("customer_tags", [tag | {"customer_id": "wang"}])
    erasure = await approved(former)
    await later(former)
    assert await erase_due(former.database, others) == 1
    done = await now(former, erasure)
    assert erased_parts(done.verdicts) == {Part.MARKETING}
    assert {verdict.obstacles for verdict in done.verdicts if not verdict.erased} == {(Obstacle.LIVE_BUSINESS,)}
    assert others.erased == [(service, "wang", False) for service in others.names]
    assert await shown(former) == ("王小明", "ACTIVE", False)
    await former.load("customer_tags", [tag | {"customer_id": "wang"}], date(2026, 7, 1))
    async with former.database.read() as conn:
        assert (await reveal(conn, former.keys, ["wang"]))["wang"].mobile == MOBILE
        assert (await conn.execute(text("SELECT tag_codes FROM customers"))).scalar_one() == []
        assert (await conn.execute(text("SELECT count(*) FROM potential_tags"))).scalar_one() == 0


async def test_what_is_erased_is_decided_when_it_is_carried_out(former, others) -> None:
    erasure = await approved(former)
    assert erased_parts(erasure.verdicts) == frozenset(Part)
    await former.load("accounts", [{"account_id": "a2", "customer_id": "wang", "branch_id": "b1"}])
    await later(former)
    await erase_due(former.database, others)
    assert erased_parts((await now(former, erasure)).verdicts) == {Part.MARKETING}


async def test_a_service_that_is_away_is_asked_again(former, others) -> None:
    erasure = await approved(former)
    await later(former)
    others.away = "campaign_svc"
    assert await erase_due(former.database, others) == 0
    assert (await now(former, erasure)).state is State.RUNNING
    assert await shown(former) == ("已删除", "ERASED", True)
    others.away = None
    assert await erase_due(former.database, others) == 1
    assert (await now(former, erasure)).state is State.DONE
    assert {service for service, _, _ in others.erased} == set(others.names)


async def test_one_that_was_called_off_is_not_carried_out(former, others) -> None:
    erasure = await approved(former)
    async with former.database.begin() as tx:
        await decide_erasure(tx, HEAD, Decision("wang", erasure.erasure_id, Step.CANCEL, "he stays"))
    await later(former)
    assert await erase_due(former.database, others) == 0
    assert await shown(former) == ("王小明", "ACTIVE", False)


async def test_it_waits_for_an_import_that_is_under_way(former, others) -> None:
    await approved(former)
    await later(former)
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
    async with former.database.begin() as importing:
        await importing.execute(lock, {"key": "import\nloans"})
        assert await erase_due(former.database, others) == 0
    assert await erase_due(former.database, others) == 1


async def test_no_import_brings_an_erased_person_back(former, others) -> None:
    await approved(former)
    await later(former)
    await erase_due(former.database, others)
    counts = await former.load("customers", [WANG, {"customer_id": "li"}], date(2026, 7, 1))
    assert (counts.inserted, counts.updated) == (1, 0)
    for table, rows in (
        ("accounts", [{"account_id": "a1", "customer_id": "wang", "branch_id": "b1"}]),
        ("relations", [{"customer_id": "li", "related_customer_id": "wang", "kind": "household"}]),
    ):
        assert (await former.load(table, rows, date(2026, 7, 1))).inserted == 0
    assert await shown(former) == ("已删除", "ERASED", True)


@pytest.mark.parametrize("numbers", [{"mobile": f"+86 {MOBILE}"}, {"id_number": WANG["id_number"]}])
async def test_who_comes_with_his_number_is_not_contacted_either(former, others, numbers) -> None:
    await approved(former)
    await later(former)
    await erase_due(former.database, others)
    people = [{"customer_id": "wang2", **numbers}, {"customer_id": "li", "mobile": "13900000001"}]
    await former.load("customers", people, date(2026, 7, 1))
    await erase_due(former.database, others)
    await erase_due(former.database, others)
    assert others.suppressed == ["wang2"]
    async with former.database.read() as conn:
        kept = (await conn.execute(text("SELECT kind, octet_length(hash) FROM suppressed_numbers ORDER BY kind"))).all()
    assert [tuple(row) for row in kept] == [("id_number", 16), ("mobile", 16)]


async def test_within_the_years_of_retention_contact_data_go_and_stay_away(former, others) -> None:
    closed = clock.now().date() - timedelta(days=30)
    account = {"account_id": "a1", "customer_id": "wang", "branch_id": "b1", "close_date": closed}
    await former.load("accounts", [account])
    erasure = await approved(former)
    await later(former)
    await erase_due(former.database, others)
    done = await now(former, erasure)
    assert erased_parts(done.verdicts) == {Part.MARKETING, Part.CONTACT_DATA}
    records = next(verdict for verdict in done.verdicts if verdict.part is Part.RECORDS)
    assert records.obstacles == (Obstacle.RETENTION,)
    assert records.possible_date is not None
    assert records.possible_date.year == closed.year + 5
    await former.load("customers", [WANG], date(2026, 7, 1))
    async with former.database.read() as conn:
        assert (await reveal(conn, former.keys, ["wang"]))["wang"].mobile is None
    assert await shown(former) == ("王小明", "ACTIVE", False)


async def test_who_he_was_before_a_merge_goes_with_him(former, others) -> None:
    await former.load("customers", [{**WANG, "customer_id": "wang0", "display_name": "王小明（旧）"}])
    async with former.database.begin() as tx:
        await tx.execute(text("UPDATE customers SET gone = true WHERE customer_id = 'wang0'"))
        await tx.execute(
            text(
                "INSERT INTO merged_customers (customer_id, survivor_id, into_id, merge_id)"
                " VALUES ('wang0', 'wang', 'wang', 'm')"
            )
        )
    await approved(former)
    await later(former)
    assert await erase_due(former.database, others) == 1
    assert {customer_id for _, customer_id, _ in others.erased} == {"wang", "wang0"}
    async with former.database.read() as conn:
        names = (await conn.execute(text("SELECT DISTINCT display_name FROM customers"))).scalars().all()
    assert names == ["已删除"]
    await former.load("customers", [{**WANG, "customer_id": "wang0"}], date(2026, 7, 1))
    assert await shown(former) == ("已删除", "ERASED", True)
