"""Keeps contact data sealed and hashed under the newest keys, so that older ones can be taken away."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import (
    ContactKind,
    DataKeys,
    DataKeysUnusable,
    KeyPurpose,
    SealedUnreadable,
    WritingKeys,
)
from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from services.customer_svc.store import sealing
from services.customer_svc.store.sealing import Sealed

# A step takes some 10 ms of the event loop and of the database, and leaves both to others for longer than that.
STEP_ROWS = 500
PAUSE_SECONDS = 0.03
_IMPORT_SECONDS = 1.0
_UNREAD_SHOWN = 10
_EVERY_SECONDS = 60.0

KEY_ROWS_LEFT = Gauge(
    "data_key_rows_left",
    "Customers whose contact data are still under a data key that writes no more; told by the instance that leads.",
    ("purpose", "key_id"),
)

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def keep_sealed(database: Database, keys: DataKeys) -> None:
    """Looks once a minute whether a newer key writes, and then seals everything under it; in one instance at a time."""
    try:
        while True:
            if await tell_left(database, keys):
                await reseal(database, keys)
                await tell_left(database, keys)
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        KEY_ROWS_LEFT.clear()


async def reseal(database: Database, keys: DataKeys, pause_seconds: float = PAUSE_SECONDS) -> int:
    """Seals and hashes under the keys that write what is under others, in the order of ids; returns how many.

    What does not open is left as it is, and told in the log. Waits while customers are imported.
    """
    after, count, unread = "", 0, list[SealedUnreadable]()
    while True:
        step = await database.repeat(partial(_reseal_step, keys=keys, after=after))
        if step is None:
            await asyncio.sleep(_IMPORT_SECONDS)
            continue
        if step.last_id is None:
            break
        after, count, unread = step.last_id, count + step.count, [*unread, *step.unread][:_UNREAD_SHOWN]
        await asyncio.sleep(pause_seconds)
    if unread:
        log.error("not_resealed", first=[str(error) for error in unread])
    log.info("resealed", customers=count)
    return count


async def tell_left(database: Database, keys: DataKeys) -> int:
    """Tells by metrics how much is left under each key that writes no more, and returns how much it is in all."""
    writing = keys.writing()
    async with database.read() as conn:
        left = await sealing.count_left(conn, writing)
    counts = {
        (purpose, key_id): 0
        for purpose in KeyPurpose
        for key_id in keys.key_ids(purpose)
        if key_id != writing.of(purpose)
    }
    for pair, count in left.items():
        for purpose in KeyPurpose:
            if pair.of(purpose) != writing.of(purpose):
                counts[purpose, pair.of(purpose)] = counts.get((purpose, pair.of(purpose)), 0) + count
    KEY_ROWS_LEFT.clear()
    for (purpose, key_id), count in counts.items():
        KEY_ROWS_LEFT.labels(purpose, key_id).set(count)
    return sum(left.values())


async def check_keys(database: Database, keys: DataKeys) -> None:
    """Raises DataKeysUnusable if the keys are not those that this database was sealed by.

    A database that cannot be reached is no reason not to start.
    """
    keys.check()
    try:
        async with database.read() as conn:
            samples = await sealing.read_samples(conn, keys.writing())
    except Refused as refused:
        if refused.kind is not Kind.UNAVAILABLE:
            raise
        log.warning("data_keys_unchecked", reason=refused.reason)
        return
    fitting = {sample.keys for sample in samples if _fits(keys, sample)}
    unfit = sorted({sample.keys for sample in samples} - fitting, key=lambda pair: pair.cipher_key_id)
    for pair in unfit:
        log.error("data_key_unfit", cipher_key_id=pair.cipher_key_id, hash_key_id=pair.hash_key_id)
    if unfit and not fitting:
        told = ", ".join(f"cipher/{pair.cipher_key_id} and hash/{pair.hash_key_id}" for pair in unfit)
        raise DataKeysUnusable(
            f"the data keys in {keys.folder} are not those of this database, whose contact data are under {told}: "
            "name the right folder, or bring its keys back from where they are kept"
        )


async def seal_plain(database: Database, keys: DataKeys) -> int:
    """Seals what stands in clear since before there were keys, takes its columns away, and returns how many it were.

    May be cut off at any time, and goes on where it ended.
    """
    async with database.read() as conn:
        if not await sealing.has_plain(conn):
            return 0
    after, count = "", 0
    while (step := await database.repeat(partial(_seal_step, keys=keys, after=after))) is not None:
        after, count = step[0], count + step[1]
    # The columns say that there is something to do: they go last.
    async with database.read() as conn:
        await sealing.shred(conn)
    async with database.begin() as tx:
        await sealing.drop_plain(tx)
    return count


@dataclass(frozen=True)
class _Step:
    """A step of sealing anew; `last_id` is None behind the last customer."""

    last_id: str | None
    count: int = 0
    unread: Sequence[SealedUnreadable] = ()


async def _reseal_step(tx: AsyncConnection, keys: DataKeys, after: str) -> _Step | None:
    writing = keys.writing()
    old = await sealing.lock_old(tx, writing, after, STEP_ROWS)
    if not old:
        return _Step(None) if old is not None else None
    anew: list[Sealed] = []
    unread: list[SealedUnreadable] = []
    for one in old:
        try:
            anew.append(_seal(keys, one.customer_id, _opened(keys, one), writing))
        except SealedUnreadable as error:
            unread.append(error)
    await sealing.store_sealed(tx, anew, writing)
    return _Step(old[-1].customer_id, len(anew), unread)


async def _seal_step(tx: AsyncConnection, keys: DataKeys, after: str) -> tuple[str, int] | None:
    writing = keys.writing()
    plain = await sealing.lock_plain(tx, after, STEP_ROWS)
    if not plain:
        return None
    values = [
        (customer_id, {ContactKind.ID_NUMBER: data.id_number, ContactKind.MOBILE: data.mobile})
        for customer_id, data in plain
    ]
    await sealing.store_instead(tx, [_seal(keys, *one, writing) for one in values], writing)
    return plain[-1][0], len(plain)


def _opened(keys: DataKeys, sealed: Sealed) -> Mapping[ContactKind, str | None]:
    return {
        kind: None if cipher is None else keys.decrypt(kind, sealed.customer_id, cipher)
        for kind, cipher in sealed.ciphers.items()
    }


def _seal(keys: DataKeys, customer_id: str, values: Mapping[ContactKind, str | None], writing: WritingKeys) -> Sealed:
    ciphers: dict[ContactKind, bytes | None] = {}
    hashes: dict[ContactKind, bytes | None] = {}
    for kind, value in values.items():
        given: Sequence[str | None] = [value]
        [ciphers[kind]] = keys.encrypt_all(kind, [customer_id], given, writing.cipher_key_id)
        [hashes[kind]] = keys.hash_all(kind, given, writing.hash_key_id)
    return Sealed(customer_id, ciphers, hashes, writing)


def _fits(keys: DataKeys, sample: Sealed) -> bool:
    """Says whether the keys open a sample and hash what is in it as it is stored."""
    try:
        opened = _opened(keys, sample)
    except SealedUnreadable:
        return False
    if sample.keys.hash_key_id not in keys.key_ids(KeyPurpose.HASH):
        return False
    anew = _seal(keys, sample.customer_id, opened, WritingKeys(keys.writing().cipher_key_id, sample.keys.hash_key_id))
    return anew.hashes == sample.hashes
