"""A real bank's month of score cards, against averages added up from its raw files."""

import csv
import gzip
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import text

from acrm.derive import Bench, derive, keep_merged
from acrm.derived import DERIVED
from acrm.engines import LOCAL
from acrm.parameters import DEFAULTS
from acrm.progress import silent
from acrm.rows import arrow_pieces
from acrm.tables import FEED
from chassis.feed import Wakeups
from devstack import berka
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.build_score_cards import build_score_cards
from services.assignment_svc.usecases.import_rows import FeedImport

BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
TABLES = (
    "branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, ownership_hold, balance_step,"
    " customer_month, credit, score_import, score_month, score_card, score_figure"
)
TODAY = date(1994, 3, 30)
DAY = timedelta(days=1)


def raw(name):
    path = BERKA / name
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(content.decode().splitlines(), delimiter=";")


def day_of(told):
    return date(1900 + int(told[:2]), int(told[2:4]), int(told[4:6]))


def averages():
    """By client the average of the month's end-of-day balances, and the district of his account."""
    owners = {row["account_id"]: row["client_id"] for row in raw("disp.asc") if row["type"] == "OWNER"}
    accounts = {row["account_id"]: row["district_id"] for row in raw("account.asc") if day_of(row["date"]) <= TODAY}
    booked = defaultdict(lambda: defaultdict(int))
    for row in raw("trans_subset_merged.asc.gz"):
        day = max(day_of(row["date"]), date(1994, 2, 28))
        amount = int(Decimal(row["amount"]) * 100)
        booked[row["account_id"]][day] += amount if row["type"] == "PRIJEM" else -amount
    found = {}
    for account, district in accounts.items():
        balance, days = booked[account][date(1994, 2, 28)], 0
        for n in range(30):
            balance += booked[account][date(1994, 3, 1) + DAY * n]
            days += max(balance, 0)
        found[owners[account]] = (district, days // 30)
    return found


async def run_night(database, folder):
    """Everything of the nightly batch that score cards need, from the raw files on."""

    async def goes_on(_done, _total):
        return True

    async def chunks(name):
        for piece, _ in arrow_pieces(folder / f"{name}.parquet", (FEED | DERIVED)[name].schema):
            yield piece

    berka.convert(BERKA, folder, business_date=TODAY, password_hash="$argon2id$x")
    bench = Bench(LOCAL, folder, folder.parent / "stages", TODAY, DEFAULTS)
    keep_merged(bench, [])
    for step in ("facts", "figures", "series", "scores"):
        derive(step, bench, silent)
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        nothing = "facts_date = NULL, business_date = NULL, policy_version = 0, seen_rev = '0'"
        await tx.execute(text(f"UPDATE allocation_day SET {nothing}"))
    importer = FeedImport(database, Wakeups(None))
    for name in ("branches", "staff", "branch_facts", "balance_steps", "customer_months"):
        await importer.run(name, TODAY, chunks(name))
    await allocate_ownerships(database, TODAY, goes_on)
    await build_score_cards(database, TODAY, goes_on)


async def test_credit_of_a_real_bank_adds_up_to_its_raw_bookings(database, tmp_path):
    """Every client has one account, so one branch has all of him: a branch's average is that of its clients."""
    await run_night(database, tmp_path / "feed")
    expected = averages()
    async with database.read() as conn:
        credited = {row.customer_id: row for row in await conn.execute(text("SELECT * FROM credit"))}
        asked = "SELECT * FROM score_figure WHERE indicator = 'DEPOSIT_AVERAGE' AND staff_id = ''"
        cards = {row.branch_id: row.value for row in await conn.execute(text(asked))}
    assert {client: (row.share, row.deposit_minor) for client, row in credited.items()} == {
        client: (10_000, amount) for client, (_, amount) in expected.items()
    }
    assert len(expected) > 1_000
    by_branch, districts = defaultdict(int), set()
    for client, (district, amount) in expected.items():
        by_branch[credited[client].branch_id] += amount
        districts.add((credited[client].branch_id, district))
    assert cards == by_branch
    assert len(districts) == len(cards) > 50
