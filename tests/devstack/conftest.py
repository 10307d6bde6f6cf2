"""Homes and child processes for the tests of devstack."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from acrm.engines import engine
from devstack import demo
from devstack.home import Home
from devstack.process import HOME_VARIABLE

WAIT_SECONDS = 30
DEMO_CUSTOMERS = 20_000
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def home_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(home_folder: Path) -> Home:
    return Home(home_folder)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Waits for something to become true, and fails when it never does."""

    def wait(holds: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def processes_of(home_folder: Path) -> Callable[[], list[psutil.Process]]:
    """Lists the live processes of a home's run, grandchildren included: by their mark, or by where they work.

    Valkey and PostgreSQL write their titles over their environment, so that the mark is lost.
    """
    home = home_folder.resolve()

    def marked() -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                works_there = home in Path(process.cwd()).parents
                if works_there or process.environ().get(HOME_VARIABLE) == str(home):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    return marked


@pytest.fixture(scope="session")
def demo_feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bank with 20,000 customers."""
    folder = tmp_path_factory.mktemp("demo")
    day = demo.generate(folder, customers=DEMO_CUSTOMERS, seed=1, password_hash="$argon2id$x")
    assert day == demo.BUSINESS_DATE
    return folder


@pytest.fixture(scope="session")
def ask(demo_feed: Path) -> Iterator[Ask]:
    """Answers a query over the demo bank's tables, named `customers` and so on; `today` is its business date.

    `flows` are the bookings that tags count: none of standing orders, between own accounts, undone or undoing.
    """
    with engine() as local:
        for path in demo_feed.glob("*.parquet"):
            local.run(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path}')")
        local.run(f"CREATE MACRO today() AS DATE '{demo.BUSINESS_DATE}'")
        local.run("""
            CREATE TABLE flows AS
            SELECT t.*, customer_id, timezone('Asia/Shanghai', event_time)::DATE AS day
            FROM transactions t JOIN accounts USING (account_id)
            WHERE NOT standing_order AND NOT own_transfer AND reversed_transaction_id IS NULL AND NOT EXISTS (
                SELECT 1 FROM transactions r WHERE r.reversed_transaction_id = t.transaction_id)""")
        local.run("""
            CREATE TABLE averages AS
            SELECT customer_id, sum(balance) / 90 AS of_90, sum(balance) FILTER (day > today() - 30) / 30 AS of_30,
                min(demand) FILTER (day > today() - 60) AS least_of_60
            FROM (
                SELECT customer_id, d.day, sum(greatest(b.balance_minor, 0)) AS balance,
                    sum(b.balance_minor) FILTER (kind = 'DEMAND') AS demand
                FROM accounts a CROSS JOIN (SELECT (today() - n::INT) AS day FROM range(90) AS r(n)) AS d
                ASOF JOIN balances b ON b.account_id = a.account_id AND b.balance_date <= d.day
                GROUP BY ALL)
            GROUP BY customer_id""")
        yield local.rows
