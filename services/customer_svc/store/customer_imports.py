"""Customers of the feed: their id numbers and mobiles are sealed and hashed before any of it is staged.

Who changed is told by the hashes, under whichever live key they are stored: sealed values differ each time.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from chassis.data_keys import TEXT_LENGTH_MAX, ContactKind, DataKeys, KeyPurpose
from chassis.sql.arrow_rows import ROW_COLUMN
from chassis.sql.bulk import BulkTable, Staged, Transform
from chassis.sql.upsert import Upsert
from services.customer_svc.store.feed_columns import day, ident, number, secret, text
from services.customer_svc.store.upserts import COUNTS, ran, within

CUSTOMERS = pa.schema(
    [
        ident("customer_id"),
        text("customer_type", "INDIVIDUAL,CORPORATE", required=True),
        text("display_name"),
        text("sex", "FEMALE,MALE"),
        day("birth_date"),
        text("id_type"),
        secret("id_number", TEXT_LENGTH_MAX),
        day("id_expiry_date"),
        secret("mobile", TEXT_LENGTH_MAX),
        text("occupation"),
        text("residence_district"),
        day("customer_since_date"),
        text("state", "ACTIVE,DECEASED,FROZEN", required=True),
        text("industry"),
        number("risk_rating", 1, 5),
        day("risk_rating_expiry_date"),
    ]
)
_CLEAR = [field for field in CUSTOMERS if field.name not in set(ContactKind)]
# Of each kind the hash to store, those under older keys one behind the other, and the sealed value.
_SEALED = pa.schema(
    [
        *_CLEAR,
        *(
            pa.field(f"{kind}_{part}", pa.binary())
            for kind in ContactKind
            for part in ("hash", "older_hashes", "cipher")
        ),
        pa.field("cipher_key_id", pa.int64()),
        pa.field("hash_key_id", pa.int64()),
    ]
)


def customers_table(keys: DataKeys) -> BulkTable:
    """The table of customers, who seal with `keys`."""
    staged = Staged(_SEALED, _sealing(keys))
    filled = ("customers", "customer_contacts", "customer_search")
    return BulkTable("customers", CUSTOMERS, ("customer_id",), _upsert(), staged=staged, fills=filled)


def _sealing(keys: DataKeys) -> Transform:
    def transform(batch: pa.RecordBatch) -> pa.RecordBatch:
        writing = keys.writing()
        older = [key_id for key_id in keys.key_ids(KeyPurpose.HASH) if key_id != writing.hash_key_id]
        columns = {name: batch.column(name) for name in (ROW_COLUMN, *(field.name for field in _CLEAR))}
        customer_ids: Sequence[str] = batch.column("customer_id").to_pylist()
        for kind in ContactKind:
            texts: Sequence[str | None] = batch.column(kind).to_pylist()
            columns[f"{kind}_hash"] = _bytes(keys.hash_all(kind, texts, writing.hash_key_id))
            columns[f"{kind}_older_hashes"] = _joined([keys.hash_all(kind, texts, key_id) for key_id in older], texts)
            columns[f"{kind}_cipher"] = _bytes(keys.encrypt_all(kind, customer_ids, texts, writing.cipher_key_id))
        for name, key_id in (("cipher_key_id", writing.cipher_key_id), ("hash_key_id", writing.hash_key_id)):
            columns[name] = pa.repeat(pa.scalar(key_id, pa.int64()), batch.num_rows)
        return pa.RecordBatch.from_pydict(columns)

    return transform


def _bytes(values: Sequence[bytes | None]) -> pa.Array:
    return pa.array(values, pa.binary())


def _joined(by_key: Sequence[Sequence[bytes | None]], texts: Sequence[str | None]) -> pa.Array:
    if not by_key:
        return pa.nulls(len(texts), pa.binary())
    return _bytes([b"".join(filter(None, hashes)) or None for hashes in zip(*by_key, strict=True)])


def _upsert() -> Upsert:
    """Upserts customers; each one written moves in the feed and gets a new update time.

    A hash that is right under an older key stays, and with it what is sealed: the rotation sees to both.
    """
    clear = [field.name for field in _CLEAR]
    contacts = [f"{kind}_{part}" for kind in ContactKind for part in ("hash", "cipher")]
    hashes = [f"{kind}_hash" for kind in ContactKind]
    ciphers = [f"{kind}_cipher" for kind in ContactKind]
    changed = " OR ".join(f"({_changed(kind)})" for kind in ContactKind)
    changes: Mapping[str, str] = {name: f"excluded.{name}" for name in [*clear[1:], *hashes]} | {
        "rev": "pg_current_xact_id()",
        "update_time": "bank_now()",
    }
    kept = ", ".join(f"CASE WHEN contact_changed THEN {name} ELSE kept_{name} END" for name in hashes)
    keys = ["cipher_key_id", "hash_key_id"]
    # Names of our own tables. Both sides of the join are bounded: a batch would read the whole of one otherwise.
    return ran(f"""
WITH wanted AS MATERIALIZED (
  SELECT {_list("s", [*clear, *contacts, *keys])}, {changed} AS contact_changed,
    {", ".join(f"t0.{name} AS kept_{name}" for name in hashes)}
  FROM {{staging}} AS s LEFT JOIN customers AS t0
    ON t0.customer_id = s.customer_id AND {within("t0")}
  WHERE {within("s")}
    AND (t0.customer_id IS NULL OR {changed} OR ({_list("t0", clear[1:])}) IS DISTINCT FROM ({_list("s", clear[1:])}))
),
written AS (
  INSERT INTO customers AS t ({", ".join([*clear, *hashes])})
  SELECT {", ".join(clear)}, {kept} FROM wanted ORDER BY customer_id
  ON CONFLICT (customer_id) DO UPDATE SET {", ".join(f"{name} = {value}" for name, value in changes.items())}
  WHERE ({_list("t", [*clear[1:], *hashes])}) IS DISTINCT FROM ({_list("excluded", [*clear[1:], *hashes])})
  RETURNING old.customer_id AS before
),
sealed AS (
  INSERT INTO customer_contacts ({", ".join(["customer_id", *ciphers, *keys])})
  SELECT {", ".join(["customer_id", *ciphers, *keys])} FROM wanted
  WHERE contact_changed AND ({" OR ".join(f"{name} IS NOT NULL" for name in ciphers)}) ORDER BY customer_id
  ON CONFLICT (customer_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in [*ciphers, *keys])}
),
emptied AS (
  DELETE FROM customer_contacts AS c USING wanted AS w
  WHERE c.customer_id = w.customer_id AND w.contact_changed
    AND {" AND ".join(f"w.{name} IS NULL" for name in ciphers)}
) {COUNTS}""")  # noqa: S608 -- as said


def _changed(kind: ContactKind) -> str:
    """Says of staging `s` and customer `t0` whether a value is another one than the stored one."""
    stored, older = f"t0.{kind}_hash", f"s.{kind}_older_hashes"
    return (
        f"{stored} IS DISTINCT FROM s.{kind}_hash"
        f" AND ({stored} IS NULL OR {older} IS NULL OR position({stored} IN {older}) = 0)"
    )


def _list(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)
