"""What customers carry follows from what is said of their tags, by batch and by hand, as the days go by."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chassis.errors import Refused
from services.customer_svc.domain.tags import Confirmation, CustomerTag, Override, Setting, Tag, TagKind
from services.customer_svc.domain.viewing import Viewer
from services.customer_svc.store import tag_sync, tags
from services.customer_svc.usecases.tags import HandChange, remove_tag, set_tag

DAY = date(2026, 6, 30)
PEOPLE = ["c1", "c2", "c3"]
CODES = ["BLACKLIST", "CHURN_RISK", "LOAN_POTENTIAL"]
HEAD = Viewer("banyan/test", "", frozenset({"SERVICE"}))


def row(customer_id: str, code: str, on: date = DAY, evidence: str = "{}") -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "tag_code": code,
        "rule_version": "1",
        "as_of_date": on,
        "evidence": evidence,
    }


async def carried(bank) -> dict[str, list[str]]:
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, tag_codes FROM customers ORDER BY customer_id"))
        return {one.customer_id: list(one.tag_codes) for one in rows}


async def last_write(bank) -> int:
    """The youngest transaction that wrote a customer: what did not change must not be rewritten."""
    async with bank.database.read() as conn:
        query = "SELECT xmin::text::bigint FROM customers ORDER BY 1 DESC LIMIT 1"
        return (await conn.execute(text(query))).scalar_one()


@pytest.fixture
async def people(bank):
    await bank.load("customers", [{"customer_id": one} for one in PEOPLE])
    return bank


async def test_a_tag_is_carried_until_35_days_after_it_was_last_confirmed(people) -> None:
    counts = await people.load("customer_tags", [row("c1", "CHURN_RISK"), row("c2", "CHURN_RISK")])
    assert (counts.inserted, counts.updated) == (2, 0)
    later = DAY + timedelta(days=20)
    counts = await people.load("customer_tags", [row("c2", "CHURN_RISK", later)], later)
    assert (counts.inserted, counts.updated) == (0, 1)
    await people.load("customer_tags", [], DAY + timedelta(days=35))
    assert await carried(people) == {"c1": ["CHURN_RISK"], "c2": ["CHURN_RISK"], "c3": []}
    await people.load("customer_tags", [], DAY + timedelta(days=36))
    assert await carried(people) == {"c1": [], "c2": ["CHURN_RISK"], "c3": []}
    async with people.database.read() as conn:
        rows = await conn.execute(text("SELECT customer_id, kind, actor FROM tag_changes ORDER BY change_id"))
        assert [tuple(one) for one in rows] == [
            ("c1", "GIVEN", "batch"),
            ("c2", "GIVEN", "batch"),
            ("c1", "ENDED", "batch"),
        ]


async def test_no_tag_expires_because_no_night_came(people) -> None:
    """The feed pauses for 40 days: the day has moved on before the night tells of tags, and until then they hold."""
    await people.load("customer_tags", [row("c1", "CHURN_RISK"), row("c2", "CHURN_RISK"), row("c3", "LOAN_POTENTIAL")])
    later = DAY + timedelta(days=40)
    async with people.database.begin() as tx:
        await set_tag(tx, HEAD, HandChange("c3", "BLACKLIST", "r", DAY, "h1", ""))
    await people.load("customers", [{"customer_id": one} for one in PEOPLE], later)
    async with people.database.begin() as tx:
        await tag_sync.expire(tx, later)
        shown = await tags.of_customer(tx, "c1", later)
    assert [one.is_live(later) for one in shown] == [True]
    assert await carried(people) == {"c1": ["CHURN_RISK"], "c2": ["CHURN_RISK"], "c3": ["LOAN_POTENTIAL"]}
    await people.load("customer_tags", [row("c1", "CHURN_RISK", later)], later)
    assert await carried(people) == {"c1": ["CHURN_RISK"], "c2": [], "c3": []}
    async with people.database.read() as conn:
        assert [one.is_live(later) for one in await tags.of_customer(conn, "c2", later)] == [False]


async def test_the_same_night_again_writes_nothing(people) -> None:
    told = [row("c1", "CHURN_RISK"), row("c1", "LOAN_POTENTIAL")]
    await people.load("customer_tags", told)
    before = await last_write(people)
    again = await people.load("customer_tags", told)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 2)
    async with people.database.begin() as tx:
        assert await tag_sync.expire(tx, DAY) == 0
    assert await last_write(people) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"evidence": "no json"}, "evidence"),
        ({"evidence": "[1]"}, "evidence"),
        ({"tag_code": "BLACKLIST"}, "tag_code"),
        ({"rule_version": None}, "rule_version"),
        ({"customer_id": "nobody"}, "customer_id"),
    ],
)
async def test_a_bad_row_is_named_and_nothing_is_stored(people, change: Mapping[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await people.load("customer_tags", [row("c1", "CHURN_RISK") | dict(change)])
    assert refused.value.violations[0].field == f"rows[0].{field}"
    assert await carried(people) == {"c1": [], "c2": [], "c3": []}


async def test_a_hand_and_a_batch_at_once_both_count(people) -> None:
    """A hand holds the customer while the night's tags are spread: the night waits, and sees what the hand did."""
    until = DAY + timedelta(days=10)
    async with people.database.begin() as tx:
        await set_tag(tx, HEAD, HandChange("c1", "BLACKLIST", "r", None, "h1", ""))
        importing = asyncio.create_task(people.load("customer_tags", [row("c1", "CHURN_RISK")]))
        await asyncio.sleep(0.3)
        await remove_tag(tx, HEAD, HandChange("c1", "LOAN_POTENTIAL", "r", until, "h1", ""))
    await importing
    assert (await carried(people))["c1"] == ["BLACKLIST", "CHURN_RISK"]


async def test_hands_that_change_one_customer_at_once_lose_nothing(people) -> None:
    until = DAY + timedelta(days=10)

    async def change(code: str) -> None:
        async def work(tx):
            await set_tag(tx, HEAD, HandChange("c1", code, "r", until, "h1", ""))

        await people.database.repeat(work)

    await people.load("customer_tags", [])
    codes = ["BLACKLIST", "CARD_POTENTIAL", "CHURN_RISK", "LOAN_POTENTIAL", "WEALTH_POTENTIAL"]
    await asyncio.gather(*(change(code) for code in codes))
    assert (await carried(people))["c1"] == codes


SAID = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(CODES),
        st.sampled_from(["confirm", "set", "remove", "clear", "next day"]),
        st.integers(0, 4),
    ),
    max_size=12,
)
NOW = datetime(2026, 6, 30, 12).astimezone()
ANY = Tag("", TagKind.POTENTIAL, "", "", "", "", None, "", NOW)


async def say(tx, customer_id: str, code: str, what: str, until: date) -> None:
    """Stores what is said past the use cases, which refuse some of it."""
    change = HandChange(customer_id, code, "r", until, "h1", "")
    if what == "confirm":
        await tx.execute(
            text(
                "INSERT INTO potential_tags VALUES (:c, :t, '1', :until, :until, '{}') ON CONFLICT (customer_id,"
                " tag_code) DO UPDATE SET expiry_date = excluded.expiry_date"
            ),
            {"c": customer_id, "t": code, "until": until},
        )
    elif what == "clear":
        await tags.drop_override(tx, change)
    elif code == "BLACKLIST":
        await (tags.put_setting if what == "set" else tags.drop_setting)(tx, change)
    else:
        await tags.put_override(tx, change, is_set=what == "set")


def remember(known: dict[tuple[str, str], CustomerTag], one: tuple[str, str], what: str, until: date) -> None:
    """The same for the slow version: each tag by itself."""
    tag = known.get(one, CustomerTag(one[0], ANY))
    confirmation, setting, override = tag.confirmation, tag.setting, tag.override
    if what == "confirm":
        confirmation = Confirmation("1", until, until, {})
    elif what == "clear":
        override = None
    elif one[1] == "BLACKLIST":
        setting = Setting("r", until, "h1", NOW) if what == "set" else None
    else:
        override = Override(what == "set", "r", until, "h1", NOW)
    known[one] = CustomerTag(one[0], ANY, confirmation, setting, override)


# Without the phase that explains failures, whose tracing costs most of the time here.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(SAID)
async def test_all_customers_carry_what_each_tag_by_itself_says(people, said) -> None:
    await people.empty()
    await people.load("customers", [{"customer_id": one} for one in PEOPLE], DAY)
    known: dict[tuple[str, str], CustomerTag] = {}
    day = DAY
    for customer_id, code, what, ahead in [*said, ("c1", "", "next day", 0)]:
        async with people.database.begin() as tx:
            if what == "next day":
                day += timedelta(days=1)
                await tag_sync.expire(tx, day)
            else:
                await tag_sync.lock_customer(tx, customer_id)
                await say(tx, customer_id, code, what, day + timedelta(days=ahead))
                await tag_sync.sync_one(tx, customer_id, day)
                remember(known, (customer_id, code), what, day + timedelta(days=ahead))
        found = await carried(people)
        for one in PEOPLE:
            expected = sorted(code for (owner, code), tag in known.items() if owner == one and tag.is_live(day))
            assert found[one] == expected
