"""What keeps contact data sealed under the keys of today: counted by key, and sealed anew in small steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import ContactKind, WritingKeys
from chassis.sql.bulk import try_lock_imports
from services.customer_svc.domain.contact_data import ContactData

# Said so that the index by blocks leaves out those in which nothing is under other keys.
_IS_OLD = "(cipher_key_id < :cipher OR cipher_key_id > :cipher OR hash_key_id < :hash OR hash_key_id > :hash)"
_LEFT = text(f"""
SELECT cipher_key_id, hash_key_id, count(*) FROM customer_contacts WHERE {_IS_OLD} GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608 -- our own text
_SAMPLES = text(f"""
SELECT s.*, id_number_hash, mobile_hash FROM (
  (SELECT * FROM customer_contacts LIMIT 20) UNION ALL (SELECT * FROM customer_contacts WHERE {_IS_OLD} LIMIT 20)
) AS s JOIN customers USING (customer_id)
""")  # noqa: S608 -- our own text
# Customers are locked in the order of ids, as every writer does; what is sealed changes under their lock only.
_OLD = text("""
SELECT s.*, id_number_hash, mobile_hash FROM customers AS c JOIN customer_contacts AS s USING (customer_id)
WHERE c.customer_id > :after AND (s.cipher_key_id, s.hash_key_id) <> (:cipher, :hash)
ORDER BY c.customer_id LIMIT :limit FOR UPDATE OF c
""")
_STORE = """
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:id_number_hashes AS bytea[]), CAST(:mobile_hashes AS bytea[]),
    CAST(:id_number_ciphers AS bytea[]), CAST(:mobile_ciphers AS bytea[]))
    AS g (customer_id, id_number_hash, mobile_hash, id_number_cipher, mobile_cipher)
),
hashed AS (
  UPDATE customers AS c SET id_number_hash = g.id_number_hash, mobile_hash = g.mobile_hash{emptied}
  FROM given AS g WHERE c.customer_id = g.customer_id
    AND (c.id_number_hash, c.mobile_hash) IS DISTINCT FROM (g.id_number_hash, g.mobile_hash)
)
INSERT INTO customer_contacts (customer_id, id_number_cipher, mobile_cipher, cipher_key_id, hash_key_id)
SELECT customer_id, id_number_cipher, mobile_cipher, CAST(:cipher AS bigint), CAST(:hash AS bigint)
FROM given ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET id_number_cipher = excluded.id_number_cipher,
  mobile_cipher = excluded.mobile_cipher, cipher_key_id = excluded.cipher_key_id, hash_key_id = excluded.hash_key_id
"""
_SEAL = text(_STORE.replace("{emptied}", ""))
# Values in clear stand there since before there were keys; only `migrate` ever meets them.
_HAS_PLAIN = text("""
SELECT count(*) > 0 FROM pg_attribute
WHERE attrelid = 'customers'::regclass AND attname IN ('id_number', 'mobile') AND NOT attisdropped
""")
_PLAIN = text("""
SELECT customer_id, id_number, mobile FROM customers
WHERE customer_id > :after AND (id_number IS NOT NULL OR mobile IS NOT NULL)
ORDER BY customer_id LIMIT :limit FOR UPDATE
""")
_SEAL_PLAIN = text(_STORE.replace("{emptied}", ", id_number = NULL, mobile = NULL"))
_DROP_PLAIN = text("ALTER TABLE customers DROP COLUMN id_number, DROP COLUMN mobile")
# Whoever waited longer for a table would stop the bank.
_DO_NOT_WAIT = text("SELECT set_config('lock_timeout', '3s', true)")
_SHRED = text("VACUUM (FULL, ANALYZE) customers")


@dataclass(frozen=True)
class Sealed:
    """What is stored of a customer: sealed values, and the hashes of the same."""

    customer_id: str
    ciphers: Mapping[ContactKind, bytes | None]
    hashes: Mapping[ContactKind, bytes | None]
    keys: WritingKeys


async def lock_old(tx: AsyncConnection, writing: WritingKeys, after: str, limit: int) -> list[Sealed] | None:
    """The next customers who are sealed or hashed under another key, locked; None while customers are imported.

    No import begins before the transaction ends: it would take back hashes that changed since it compared them.
    """
    if not await try_lock_imports(tx, "customers"):
        return None
    given = {"after": after, "cipher": writing.cipher_key_id, "hash": writing.hash_key_id, "limit": limit}
    return [_sealed(row) for row in await tx.execute(_OLD, given)]


async def store_sealed(tx: AsyncConnection, sealed: Sequence[Sealed], writing: WritingKeys) -> None:
    """Stores what was sealed anew, all under the same keys; the customers are locked, and do not move in the feed."""
    await _store(tx, _SEAL, sealed, writing)


async def count_left(conn: AsyncConnection, writing: WritingKeys) -> Mapping[WritingKeys, int]:
    """How many customers are sealed or hashed under other keys, by the pair of them."""
    rows = await conn.execute(_LEFT, {"cipher": writing.cipher_key_id, "hash": writing.hash_key_id})
    return {WritingKeys(cipher, hash_key): count for cipher, hash_key, count in rows}


async def read_samples(conn: AsyncConnection, writing: WritingKeys) -> list[Sealed]:
    """A few customers, some of them under other keys if any are."""
    given = {"cipher": writing.cipher_key_id, "hash": writing.hash_key_id}
    return [_sealed(row) for row in await conn.execute(_SAMPLES, given)]


async def has_plain(conn: AsyncConnection) -> bool:
    """Says whether the columns for values in clear are still there."""
    return (await conn.execute(_HAS_PLAIN)).scalar_one()


async def lock_plain(tx: AsyncConnection, after: str, limit: int) -> list[tuple[str, ContactData]]:
    """The next customers with values in clear, locked."""
    rows = await tx.execute(_PLAIN, {"after": after, "limit": limit})
    return [(row.customer_id, ContactData(row.id_number, row.mobile)) for row in rows]


async def store_instead(tx: AsyncConnection, sealed: Sequence[Sealed], writing: WritingKeys) -> None:
    """Stores what is sealed and empties the values in clear."""
    await _store(tx, _SEAL_PLAIN, sealed, writing)


async def drop_plain(tx: AsyncConnection) -> None:
    """Takes the columns for values in clear away; all must be empty."""
    await tx.execute(_DO_NOT_WAIT)
    await tx.execute(_DROP_PLAIN)


async def shred(conn: AsyncConnection) -> None:
    """Writes the table anew, so that its file holds no older versions of rows. Locks it meanwhile."""
    await conn.execute(_SHRED)


async def _store(tx: AsyncConnection, statement: TextClause, sealed: Sequence[Sealed], writing: WritingKeys) -> None:
    given: dict[str, object] = {"ids": [one.customer_id for one in sealed]}
    for kind in ContactKind:
        given[f"{kind}_hashes"] = [one.hashes[kind] for one in sealed]
        given[f"{kind}_ciphers"] = [one.ciphers[kind] for one in sealed]
    await tx.execute(statement, given | {"cipher": writing.cipher_key_id, "hash": writing.hash_key_id})


def _sealed(row: Any) -> Sealed:  # noqa: ANN401 -- a row of what the statements above select
    return Sealed(
        row.customer_id,
        {kind: getattr(row, f"{kind}_cipher") for kind in ContactKind},
        {kind: getattr(row, f"{kind}_hash") for kind in ContactKind},
        WritingKeys(row.cipher_key_id, row.hash_key_id),
    )
