import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

import pyarrow.parquet as pq
import pytest

from acrm import dag
from acrm.dag import FeedRejected, Night, NightOutOfOrder, nights_due, run_night
from acrm.derived import DERIVED
from acrm.engines import LOCAL
from acrm.ingest import Ingested, PublishFailed
from acrm.progress import silent
from acrm.publish import Allocated, Sent
from acrm.publish_scores import ScoreCards
from acrm.tables import FEED

TODAY = date(2026, 6, 30)
TOMORROW = date(2026, 7, 1)


class Services:
    """Remembers what it was asked for; fails at the steps named in `broken`."""

    def __init__(self):
        self.asked = []
        self.rows = {}
        self.broken = set()
        self.merged = []

    @asynccontextmanager
    async def connect(self):
        yield self

    async def _ask(self, step):
        await asyncio.sleep(0)
        if step in self.broken:
            raise PublishFailed(f"{step} failed")
        self.asked.append(step)

    async def merged_customers(self):
        return self.merged

    async def send(self, table, path, business_date):
        assert business_date in {TODAY, TOMORROW}
        await self._ask(table.name)
        self.rows[table.name] = pq.read_table(path).num_rows
        return Sent(self.rows[table.name], 1, 0, 0)

    async def allocate(self, business_date):
        assert business_date in {TODAY, TOMORROW}
        await self._ask("allocate")
        return Allocated(2, 2, 3, {"LOAN": 1})

    async def build_score_cards(self, business_date):
        assert business_date in {TODAY, TOMORROW}
        await self._ask("score_cards")
        return ScoreCards(2, 3)

    async def send_transactions(self, path):
        await self._ask("transactions")
        return Ingested(pq.read_table(path).num_rows, 0)


@pytest.fixture
def services():
    return Services()


@pytest.fixture
def night(rows, write_csv, tmp_path):
    return Night(write_csv(rows, tmp_path / "feed"), TODAY, tmp_path / "work", LOCAL)


@pytest.fixture
def run_to_end(services):
    async def run(night):
        return await run_night(night, services.connect, silent)

    return run


_MADE = {
    "facts": ["branch_facts"],
    "figures": ["customer_branch_figures", "customer_figures"],
    "series": ["monthly_balances"],
    "tags": ["customer_tags"],
    "keys": ["key_tests"],
    "scores": ["balance_steps", "customer_months"],
}


@pytest.fixture
def derived_empty(monkeypatch):
    """Derives tables without rows: writing the real ones down takes seconds, and how nights run is the same."""
    done = []

    def derive(step, bench, progress):
        del progress
        done.append(step)
        for name in _MADE[step]:
            pq.write_table(DERIVED[name].schema.empty_table(), bench.tables / f"{name}.parquet")
        return dict.fromkeys(_MADE[step], 0)

    monkeypatch.setattr(dag, "derive", derive)
    return done


async def test_a_night_sends_every_table_and_allocates_in_between(night, services, run_to_end):
    report = await run_to_end(night)
    assert set(services.asked) == set(FEED | DERIVED) - {"balances", "complaints"} | {"allocate", "score_cards"}
    place = services.asked.index
    for one, other in (
        ("products", "customers"),
        ("products", "consents"),
        ("holdings", "customer_branch_figures"),
        ("monthly_balances", "customer_branch_figures"),
        ("customer_branch_figures", "customer_figures"),
        ("customer_figures", "customer_tags"),
        ("customer_tags", "key_tests"),
        ("key_tests", "allocate"),
        ("branches", "staff"),
        ("staff", "branch_facts"),
        ("branch_facts", "allocate"),
        ("customer_months", "allocate"),
        ("allocate", "score_cards"),
        ("customers", "accounts"),
        ("customer_branch_figures", "allocate"),
        ("products", "contacts"),
        ("allocate", "contacts"),
        ("contacts", "transactions"),
    ):
        assert place(one) < place(other)
    assert services.rows["branch_facts"] == 3
    assert services.rows["customer_figures"] == 2
    assert report.steps["keys"]["key_tests"] == services.rows["key_tests"]
    assert report.row_counts["customers"] == 2
    assert report.steps["allocate"]["changed_rows"] == 3
    told = dict(report.steps["customers"])
    assert told.pop("seconds") < 5
    assert told == {"received": 2, "inserted": 1, "updated": 0, "unchanged": 0}


@pytest.mark.usefixtures("derived_empty")
async def test_a_night_that_is_done_is_not_done_again(night, services, run_to_end):
    first = await run_to_end(night)
    services.asked.clear()
    assert await run_to_end(night) == first
    assert services.asked == []


@pytest.mark.usefixtures("derived_empty")
async def test_a_night_of_a_changed_feed_is_done_again(night, rows, services, run_to_end, write_csv):
    await run_to_end(night)
    services.asked.clear()
    rows["customers"][0]["occupation"] = "医生"
    write_csv(rows, night.feed)
    await run_to_end(night)
    assert "customers" in services.asked


@pytest.mark.usefixtures("derived_empty")
@pytest.mark.parametrize(
    "broken", ["branches", "accounts", "key_tests", "branch_facts", "allocate", "contacts", "transactions"]
)
async def test_a_night_that_failed_goes_on_where_it_stopped(broken, night, services, run_to_end):
    services.broken = {broken}
    with pytest.raises(PublishFailed, match=f"{broken} failed"):
        await run_to_end(night)
    done = set(services.asked)
    services.asked.clear()
    services.broken = set()
    await run_to_end(night)
    assert broken in services.asked
    assert not done & set(services.asked)


async def test_a_night_that_failed_derives_only_what_is_left(night, derived_empty, run_to_end, monkeypatch):
    broken = dag.derive

    def fails_at_tags(step, bench, progress):
        if step == "tags":
            raise RuntimeError("out of memory")
        return broken(step, bench, progress)

    monkeypatch.setattr(dag, "derive", fails_at_tags)
    with pytest.raises(RuntimeError, match="out of memory"):
        await run_to_end(night)
    assert derived_empty == ["facts", "figures", "series"]
    monkeypatch.setattr(dag, "derive", broken)
    await run_to_end(night)
    assert derived_empty == ["facts", "figures", "series", "tags", "keys", "scores"]


@pytest.mark.usefixtures("derived_empty")
async def test_other_parameters_are_another_night_of_the_same_feed(night, services, run_to_end):
    await run_to_end(night)
    services.asked.clear()
    await run_to_end(replace(night, parameters=replace(night.parameters, rule_version="2")))
    assert "customer_tags" in services.asked


@pytest.mark.usefixtures("derived_empty")
async def test_a_bad_feed_reaches_no_service(night, rows, services, run_to_end, write_csv):
    rows["customers"][0]["state"] = "GONE"
    write_csv(rows, night.feed)
    with pytest.raises(FeedRejected) as rejected:
        await run_to_end(night)
    assert rejected.value.report.faults[0].column == "state"
    assert services.asked == []
    assert (night.folder / "rejects" / "customers.csv").exists()


@pytest.mark.usefixtures("derived_empty")
async def test_the_good_rows_of_a_bad_feed_are_sent_if_asked(night, rows, services, run_to_end, write_csv):
    rows["customers"][0]["state"] = "GONE"
    write_csv(rows, night.feed)
    skipping = Night(night.feed, TODAY, night.work, LOCAL, skip_bad_rows=True)
    report = await run_to_end(skipping)
    assert report.skipped_count > 0
    assert services.rows["customers"] == 1


@pytest.mark.usefixtures("derived_empty")
async def test_a_night_before_one_that_ran_is_refused(night, run_to_end):
    await run_to_end(Night(night.feed, TOMORROW, night.work, LOCAL))
    with pytest.raises(NightOutOfOrder, match="2026-07-01 has run already"):
        await run_to_end(night)


@pytest.mark.usefixtures("derived_empty")
async def test_a_night_after_one_that_is_not_finished_is_refused(night, services, run_to_end):
    services.broken = {"allocate"}
    with pytest.raises(PublishFailed):
        await run_to_end(night)
    with pytest.raises(NightOutOfOrder, match="2026-06-30 was begun"):
        await run_to_end(Night(night.feed, TOMORROW, night.work, LOCAL))


@pytest.mark.usefixtures("derived_empty")
async def test_a_night_whose_feed_was_bad_stands_in_nobodys_way(night, rows, run_to_end, write_csv, tmp_path):
    good = write_csv(rows, tmp_path / "good")
    rows["customers"][0]["state"] = "GONE"
    write_csv(rows, night.feed)
    with pytest.raises(FeedRejected):
        await run_to_end(night)
    await run_to_end(Night(good, TOMORROW, night.work, LOCAL))


@pytest.mark.usefixtures("derived_empty")
async def test_two_runs_at_once_do_not_mix(night, services, run_to_end):
    class Slow:
        @asynccontextmanager
        async def connect(self):
            with pytest.raises(NightOutOfOrder, match="another run holds"):
                await run_to_end(night)
            yield services

    await run_night(night, Slow().connect, silent)
    assert services.asked.count("customers") == 1
    assert night.work.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("derived_empty")
async def test_the_rows_of_the_night_before_are_not_kept(night, run_to_end):
    await run_to_end(night)
    assert night.clean("customers").exists()
    await run_to_end(Night(night.feed, TOMORROW, night.work, LOCAL))
    assert not night.clean("customers").exists()
    assert (night.folder / "state.json").exists()


def test_nights_that_were_missed_are_due_first(tmp_path):
    for day in ("2026-06-27", "2026-06-28", "2026-06-30", "2026-07-02"):
        (tmp_path / "feeds" / day).mkdir(parents=True)
    finished = tmp_path / "work" / "2026-06-27"
    finished.mkdir(parents=True)
    (finished / "state.json").write_text('{"steps": {"finished": {}}}')
    due = nights_due(tmp_path / "feeds", tmp_path / "work", TODAY)
    assert due == [date(2026, 6, 28), TODAY]
    assert nights_due(tmp_path / "feeds", tmp_path / "work", date(2026, 6, 27)) == [date(2026, 6, 27)]
    assert nights_due(tmp_path / "feeds", tmp_path / "work", TOMORROW) == [date(2026, 6, 28), TODAY]
