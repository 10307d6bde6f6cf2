import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from acrm.ingest import Ingested
from acrm.publish import Allocated, Sent
from acrm.publish_scores import ScoreCards
from cli import data
from devstack import demo


class Services:
    """Takes everything, and remembers the tables."""

    def __init__(self):
        self.asked = []
        self.allow_removals = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def merged_customers(self):
        return []

    async def send(self, table, path, business_date):
        self.asked.append((business_date.isoformat(), table.name))
        count = pq.read_metadata(path).num_rows
        return Sent(count, count, 0, 0)

    async def allocate(self, business_date):
        self.asked.append((business_date.isoformat(), "allocate"))
        return Allocated(1, 1, 1, {})

    async def build_score_cards(self, business_date):
        self.asked.append((business_date.isoformat(), "score_cards"))
        return ScoreCards(1, 1)

    async def send_transactions(self, path):
        return Ingested(pq.read_metadata(path).num_rows, 0)


@pytest.fixture(scope="session")
def small_bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    demo.generate(folder, customers=200, seed=1, password_hash="$argon2id$x")
    return folder


@pytest.fixture
def services(monkeypatch):
    """Stands for the running system."""
    found = Services()

    def publisher(_system, _progress, *, allow_removals):
        found.allow_removals = allow_removals
        return found

    monkeypatch.setattr(data, "publisher", publisher)
    return found


@pytest.fixture
def banyan(tmp_path):
    def run(*arguments, home=True):
        told = [str(argument) for argument in arguments]
        where = (
            ["--home", str(tmp_path / "home"), "--zookeeper", "127.0.0.1:1", "--keys", str(tmp_path)] if home else []
        )
        return CliRunner().invoke(data.app, [*told, *where])

    return run


def test_import_tells_what_was_taken(banyan, small_bank, services):
    told = banyan("import", small_bank, "--json")
    assert told.exit_code == 0, told.output
    [report] = json.loads(told.stdout)
    assert report["business_date"] == "2026-06-30"
    assert report["rows"]["customers"] == 200
    assert report["steps"]["customers"]["inserted"] == 200
    assert ("2026-06-30", "allocate") in services.asked


@pytest.mark.parametrize(("options", "allowed"), [([], False), (["--allow-removals"], True)])
def test_removals_are_allowed_only_if_asked(banyan, small_bank, services, options, allowed):
    assert banyan("import", small_bank, *options).exit_code == 0
    assert services.allow_removals is allowed


def test_import_tells_it_to_people_too(banyan, small_bank, services):
    told = banyan("import", small_bank)
    assert told.exit_code == 0
    assert "Imported as of 2026-06-30" in told.stdout
    assert services.asked


def test_the_date_given_goes_before_the_feeds_own(banyan, small_bank, services):
    assert banyan("import", small_bank, "--date", "2026-07-01").exit_code == 0
    assert {day for day, _ in services.asked} == {"2026-07-01"}


def bad_bank(small_bank, folder):
    for path in small_bank.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    customers = pq.read_table(folder / "customers.parquet")
    states = ["GONE", *customers.column("state").to_pylist()[1:]]
    index = customers.schema.get_field_index("state")
    pq.write_table(customers.set_column(index, "state", [states]), folder / "customers.parquet")


def test_a_bad_feed_is_told_by_row_and_ends_with_1(banyan, small_bank, services, tmp_path):
    bad_bank(small_bank, tmp_path)
    told = banyan("import", tmp_path)
    assert told.exit_code == 1
    assert "customers.parquet:1 state is none of ACTIVE DECEASED FROZEN (GONE)" in told.stdout
    assert str(tmp_path / "home" / "acrm" / "2026-06-30" / "rejects") in told.stdout
    assert "nothing was imported" in told.stderr
    assert services.asked == []


def test_bad_rows_are_skipped_if_asked(banyan, small_bank, services, tmp_path):
    bad_bank(small_bank, tmp_path)
    told = banyan("import", tmp_path, "--skip-bad-rows", "--json")
    assert told.exit_code == 0, told.output
    [report] = json.loads(told.stdout)
    assert report["rows"]["customers"] == 199
    assert report["skipped_rows"] > 0
    assert services.asked


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "give it by --date"),
        ("{}", "tells no business date"),
        ('{"business_date": "tomorrow"}', "tells no business date"),
    ],
)
def test_a_feed_without_a_date_needs_one(content, said, banyan, tmp_path):
    if content:
        (tmp_path / "feed.json").write_text(content)
    told = banyan("import", tmp_path)
    assert told.exit_code == 1
    assert said in told.stderr


def test_without_a_running_system_it_says_so(banyan, small_bank, tmp_path):
    told = banyan("import", small_bank, "--home", tmp_path / "none", home=False)
    assert told.exit_code == 1
    assert "nothing runs with the home" in told.stderr
    assert "--zookeeper" in told.stderr


def test_an_engine_that_is_not_known_is_refused(banyan, small_bank, services):
    told = banyan("import", small_bank, "--engine", "oracle://x")
    assert told.exit_code == 1
    assert "no engine for" in told.stderr
    assert services.asked == []


def test_nightly_runs_missed_nights_first(banyan, small_bank, services, tmp_path):
    for day in ("2026-06-30", "2026-07-01", "2026-07-03"):
        (tmp_path / "feeds").mkdir(exist_ok=True)
        (tmp_path / "feeds" / day).symlink_to(small_bank)
    told = banyan("nightly", "--date", "2026-07-01", "--feeds", tmp_path / "feeds", "--json")
    assert told.exit_code == 0, told.output
    assert [report["business_date"] for report in json.loads(told.stdout)] == ["2026-06-30", "2026-07-01"]
    days = [day for day, _ in services.asked]
    assert days == sorted(days)


def test_nightly_without_a_feed_for_its_date_ends_with_1(banyan, tmp_path):
    told = banyan("nightly", "--date", "2026-07-01", "--feeds", tmp_path)
    assert told.exit_code == 1
    assert "there is no feed" in told.stderr


def test_demo_writes_a_feed_that_can_be_imported(banyan, services, tmp_path):
    folder = tmp_path / "bank"
    told = banyan("demo", folder, "--customers", 150, "--seed", 3, "--json", home=False)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["business_date"] == "2026-06-30"
    assert pq.read_metadata(folder / "customers.parquet").num_rows == 150
    hashes = pq.read_table(folder / "staff.parquet").column("password_hash").drop_null().to_pylist()
    assert hashes[0].startswith("$argon2id$")
    assert banyan("import", folder).exit_code == 0
    assert services.asked
