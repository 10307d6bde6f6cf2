"""A real bank's facts, as the nightly batch derives them: allocating all of its customers again writes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text

from acrm.derived import DERIVED
from acrm.engines import engine
from acrm.rows import arrow_pieces
from acrm.stages.branch_facts import Sources, branch_facts
from acrm.tables import FEED
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from devstack import berka
from services.assignment_svc.store import allocation
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.import_rows import FeedImport

BERKA = Path(__file__).parents[4] / "shared" / "data" / "berka"
TABLES = "branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, ownership_hold"


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def chunks(path: Path, name: str) -> AsyncIterator[bytes]:
    for piece, _ in arrow_pieces(path, (FEED | DERIVED)[name].schema):
        yield piece


async def written(database: Database) -> list[tuple[object, ...]]:
    """Every version of a row that tells who owns whom: writing one again, the same or not, makes another."""
    async with database.read() as conn:
        versions = " UNION ALL ".join(
            f"SELECT '{table}', customer_id, ctid::text, xmin::text, xmax::text FROM {table}"
            for table in ("owner", "ownership", "owner_period")
        )
        return [tuple(row) for row in await conn.execute(text(f"{versions} ORDER BY 1, 2, 3"))]


async def test_allocating_all_of_berka_again_looks_at_everybody_and_writes_nothing(
    database: Database, tmp_path: Path
) -> None:
    day = berka.convert(BERKA, tmp_path, business_date=None, password_hash="$argon2id$x")
    with engine(folder=tmp_path) as opened:
        tables = {
            name: opened.read(name, tmp_path / f"{name}.parquet", FEED[name].schema) for name in Sources.__annotations__
        }
        facts = branch_facts(Sources(**tables), day)
        opened.write(facts, DERIVED["branch_facts"].schema, tmp_path / "branch_facts.parquet")
    async with database.begin() as tx:
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, policy_version = 0, seen_rev = '0'"
            )
        )
    importer = FeedImport(database, Wakeups(None))
    for name in ("branches", "staff", "branch_facts"):
        await importer.run(name, day, chunks(tmp_path / f"{name}.parquet", name))
    first = await allocate_ownerships(database, day, goes_on)
    assert first.counts == allocation.Counts(4_500, 4_500, 4_500)
    before = await written(database)
    again = await allocate_ownerships(database, day, goes_on, everybody=True)
    assert again.counts == allocation.Counts(customers=4_500)
    assert await written(database) == before
    assert again.rule_counts == first.rule_counts
