import asyncio
import contextlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from chassis import clock
from chassis.data_keys import ContactKind, DataKeys, DataKeysUnusable, KeyPurpose, make_data_key, make_missing_data_keys
from chassis.sql import migrations as chassis_migrations
from chassis.sql.engine import Database
from services.customer_svc.jobs import reencrypt
from services.customer_svc.jobs.reencrypt import KEY_ROWS_LEFT, check_keys, keep_sealed, reseal, seal_plain, tell_left
from services.customer_svc.store import MIGRATIONS
from services.customer_svc.store.contact_data import reveal

ROOT = Path(__file__).parents[3]
MOBILES = {f"c{number:03}": f"1380000{number:04}" for number in range(60)}
CUSTOMERS = [
    {"customer_id": customer_id, "mobile": mobile, "id_number": f"ID{mobile}" if number % 2 else None}
    for number, (customer_id, mobile) in enumerate(MOBILES.items())
]


def newer_keys(folder: Path) -> DataKeys:
    """The ring after a new key of each purpose has rested."""
    for purpose in KeyPurpose:
        make_data_key(folder, purpose, clock.now() - timedelta(days=1))
    return DataKeys(folder)


async def file_of_customers(conn: Any) -> int:
    return (await conn.execute(text("SELECT pg_relation_filenode('customers')"))).scalar_one()


def told() -> dict[tuple[str, str], float]:
    return {
        (sample.labels["purpose"], sample.labels["key_id"]): sample.value
        for metric in KEY_ROWS_LEFT.collect()
        for sample in metric.samples
    }


async def shown(database: Database, keys: DataKeys) -> dict[str, str | None]:
    async with database.read() as conn:
        return {customer_id: data.mobile for customer_id, data in (await reveal(conn, keys, list(MOBILES))).items()}


async def found(database: Database, keys: DataKeys, mobile: str) -> list[str]:
    query = text("SELECT customer_id FROM customers WHERE mobile_hash = ANY(:hashes)")
    async with database.read() as conn:
        return list((await conn.execute(query, {"hashes": keys.hashes(ContactKind.MOBILE, mobile)})).scalars())


async def pairs(database: Database) -> set[tuple[int, int]]:
    async with database.read() as conn:
        rows = await conn.execute(text("SELECT DISTINCT cipher_key_id, hash_key_id FROM customer_contacts"))
        return {(row[0], row[1]) for row in rows}


@pytest.fixture
async def rotating(customer_database, bank_of, tmp_path: Path) -> Any:
    make_missing_data_keys(tmp_path, clock.now() - timedelta(days=2))
    bank = bank_of(customer_database, DataKeys(tmp_path))
    await bank.empty()
    await bank.load("customers", CUSTOMERS)
    return bank


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencrypt, "STEP_ROWS", 7)
    monkeypatch.setattr(reencrypt, "_IMPORT_SECONDS", 0.01)


async def test_new_keys_take_over_while_customers_are_read_searched_and_imported(rotating, bank_of):
    database, old = rotating.database, rotating.keys
    new = newer_keys(old.folder)
    importing = bank_of(database, new)
    ends = asyncio.Event()

    async def read_on() -> int:
        rounds = 0
        while not ends.is_set():
            assert await shown(database, new) == MOBILES
            for customer_id in ("c000", "c059"):
                assert await found(database, new, MOBILES[customer_id]) == [customer_id]
            rounds += 1
        return rounds

    async def import_on() -> int:
        rounds = 0
        while not ends.is_set():
            counts = await importing.load("customers", CUSTOMERS)
            assert (counts.inserted, counts.updated) == (0, 0)
            rounds += 1
        return rounds

    others = [asyncio.create_task(work()) for work in (read_on, import_on)]
    while await tell_left(database, new):
        await reseal(database, new, pause_seconds=0.01)
    ends.set()
    assert min(await asyncio.gather(*others)) > 0
    writing = new.writing()
    assert await pairs(database) == {(writing.cipher_key_id, writing.hash_key_id)}
    assert told() == {
        ("cipher", str(old.writing().cipher_key_id)): 0,
        ("hash", str(old.writing().hash_key_id)): 0,
    }
    for purpose in KeyPurpose:
        (old.folder / purpose / f"{old.writing().of(purpose)}.key").unlink()
    alone = DataKeys(old.folder)
    await check_keys(database, alone)
    assert await shown(database, alone) == MOBILES
    assert await found(database, alone, MOBILES["c007"]) == ["c007"]
    assert (await bank_of(database, alone).load("customers", CUSTOMERS)).unchanged == 60


async def test_nobody_moves_in_the_feed_by_a_new_key(rotating):
    query = text("SELECT customer_id, rev, update_time FROM customers ORDER BY 1")
    async with rotating.database.read() as conn:
        before = (await conn.execute(query)).all()
    assert await reseal(rotating.database, newer_keys(rotating.keys.folder), pause_seconds=0) == 60
    async with rotating.database.read() as conn:
        assert (await conn.execute(query)).all() == before


async def test_a_new_cipher_key_alone_leaves_customers_unwritten(rotating):
    make_data_key(rotating.keys.folder, KeyPurpose.CIPHER, clock.now() - timedelta(days=1))
    keys = DataKeys(rotating.keys.folder)
    query = text("SELECT ctid FROM customers ORDER BY customer_id")
    async with rotating.database.read() as conn:
        before = (await conn.execute(query)).all()
    assert await tell_left(rotating.database, keys) == 60
    assert told() == {("cipher", str(rotating.keys.writing().cipher_key_id)): 60}
    assert await reseal(rotating.database, keys, pause_seconds=0) == 60
    async with rotating.database.read() as conn:
        assert (await conn.execute(query)).all() == before


async def test_what_does_not_open_is_left_and_told_and_all_others_are_sealed_anew(rotating, caplog, capsys):
    async with rotating.database.begin() as tx:
        await tx.execute(
            text("UPDATE customer_contacts SET mobile_cipher = id_number_cipher WHERE customer_id = 'c001'")
        )
    new = newer_keys(rotating.keys.folder)
    assert await reseal(rotating.database, new, pause_seconds=0) == 59
    assert await tell_left(rotating.database, new) == 1
    # Where it goes depends on whether this process served before.
    logged = caplog.text + capsys.readouterr().out
    assert "not_resealed" in logged
    assert "the mobile of c001 does not open" in logged
    assert MOBILES["c001"] not in logged


async def test_the_job_waits_for_an_import_to_end(rotating):
    new = newer_keys(rotating.keys.folder)
    async with rotating.database.alone() as importing:
        lock = "SELECT pg_advisory_lock(hashtextextended(:key, 0))"
        await importing.execute(text(lock), {"key": "import\ncustomers"})
        job = asyncio.create_task(keep_sealed(rotating.database, new))
        await asyncio.sleep(0.2)
        assert await tell_left(rotating.database, new) == 60
    async with asyncio.timeout(10):
        while sum(told().values()) or not told():  # noqa: ASYNC110 -- what is waited for is a figure
            await asyncio.sleep(0.05)
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    assert told() == {}, "who leads no more tells nothing"


async def test_other_keys_than_those_of_the_database_are_found_at_once(rotating, tmp_path_factory):
    for at in (clock.now(), clock.now() - timedelta(days=2)):
        folder = tmp_path_factory.mktemp("others")
        make_missing_data_keys(folder, at)
        with pytest.raises(DataKeysUnusable, match="are not those of this database") as raised:
            await check_keys(rotating.database, DataKeys(folder))
        assert str(folder) in str(raised.value)
    await check_keys(rotating.database, rotating.keys)


@pytest.mark.parametrize("argument", ["migrate", None])
def test_a_process_without_its_keys_ends_with_one_line(customer_database_url, tmp_path, argument):
    told_by = {
        "BANYAN_CUSTOMER_HOME": str(tmp_path),
        "BANYAN_CUSTOMER_KEYS": str(tmp_path),
        "BANYAN_CUSTOMER_DATABASE_URL": customer_database_url,
        "BANYAN_CUSTOMER_DATA_KEYS": str(tmp_path / "nowhere"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
    }
    run = [sys.executable, "-m", "services.customer_svc", *([argument] if argument else [])]
    ended = subprocess.run(run, env=os.environ | told_by, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"customer_svc: {tmp_path / 'nowhere' / 'cipher'} holds no data key" in ended.stderr


def migrate_to(url: str, revision: str) -> None:
    """Applies the migrations up to one of them."""

    async def upgrade(connection: Any, script_location: Path) -> None:
        config = Config()
        config.set_main_option("script_location", str(script_location))

        def run(sync_connection: Any) -> None:
            config.attributes["connection"] = sync_connection
            command.upgrade(config, revision)

        await connection.run_sync(run)

    asyncio.run(
        chassis_migrations._with_lock(
            chassis_migrations.connection_url(url, None), lambda connection: upgrade(connection, MIGRATIONS)
        )
    )


async def test_what_stood_in_clear_is_sealed_in_steps_and_its_columns_go(postgres, data_keys):
    url = await asyncio.to_thread(postgres.create, "customer_plain")
    await asyncio.to_thread(migrate_to, url, "0002")
    database = Database(url)
    rows = [{"id": one["customer_id"], "mobile": one["mobile"], "number": one["id_number"]} for one in CUSTOMERS]
    insert = "INSERT INTO customers (customer_id, customer_type, state, mobile, id_number)"
    async with database.begin() as tx:
        await tx.execute(text(f"{insert} VALUES (:id, 'INDIVIDUAL', 'ACTIVE', :mobile, :number)"), rows)
        await tx.execute(text(f"{insert} VALUES ('c-none', 'INDIVIDUAL', 'ACTIVE', NULL, NULL)"))
    await asyncio.to_thread(chassis_migrations.migrate, url, MIGRATIONS)
    with pytest.MonkeyPatch.context() as patch:  # cut off after two steps
        steps = iter([None, None])
        real = reencrypt._seal_step

        async def step(tx: Any, keys: DataKeys, after: str) -> Any:
            if next(steps, "end") == "end":
                raise ConnectionError
            return await real(tx, keys, after)

        patch.setattr(reencrypt, "_seal_step", step)
        with pytest.raises(ConnectionError):
            await seal_plain(database, data_keys)
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT count(mobile) FROM customers"))).scalar_one() == 60 - 14
    with pytest.MonkeyPatch.context() as patch:  # cut off once the table was written anew

        async def no_drop(_tx: Any) -> None:
            raise ConnectionError

        patch.setattr(reencrypt.sealing, "drop_plain", no_drop)
        with pytest.raises(ConnectionError):
            await seal_plain(database, data_keys)
    async with database.read() as conn:
        written_anew = await file_of_customers(conn)
    assert await seal_plain(database, data_keys) == 0, "all of them are sealed"
    async with database.read() as conn:
        assert await file_of_customers(conn) != written_anew, "only then is it known that nothing older is in the file"
    assert await seal_plain(database, data_keys) == 0, "there is nothing left to do"
    assert await shown(database, data_keys) == MOBILES
    assert await found(database, data_keys, MOBILES["c030"]) == ["c030"]
    await check_keys(database, data_keys)
    with pytest.raises(ProgrammingError, match="does not exist"):
        async with database.read() as conn:
            await conn.execute(text("SELECT mobile FROM customers"))
    await database.close()
