"""The tables of the feed that tell tags and key customers (docs/feed.md): both always whole."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, Check, RowError
from services.customer_svc.store import key_nights, key_proposals, tag_sync

TAG_CODES = "DEPOSIT_POTENTIAL,LOAN_POTENTIAL,CARD_POTENTIAL,E_CHANNEL_POTENTIAL,WEALTH_POTENTIAL,CHURN_RISK"
CUSTOMER_TAGS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("tag_code", pa.string(), nullable=False, metadata={b"codes": TAG_CODES.encode()}),
        pa.field("rule_version", pa.string(), nullable=False),
        pa.field("as_of_date", pa.date32(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
KEY_TESTS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("month_end", pa.bool_(), nullable=False),
        pa.field("asset_average_minor", pa.int64()),
        pa.field("loan_outstanding_minor", pa.int64()),
        pa.field("loan_overdue", pa.bool_(), nullable=False),
        pa.field("loan_clean", pa.bool_(), nullable=False),
    ]
)

# The anti-join keeps rows that did not change from being locked, which would write each of them.
_TAGS = """
WITH given AS (
  SELECT s.customer_id, s.tag_code, s.rule_version, s.as_of_date, s.evidence::jsonb AS evidence,
    s.as_of_date + (
      SELECT p.expiry_days FROM tag_policies AS p WHERE p.start_date <= s.as_of_date
      ORDER BY p.start_date DESC, p.version DESC LIMIT 1
    ) AS expiry_date
  FROM {staging} AS s WHERE s.customer_id > :lower AND s.customer_id <= :upper
), written AS (
  INSERT INTO potential_tags AS t (customer_id, tag_code, rule_version, as_of_date, expiry_date, evidence)
  SELECT customer_id, tag_code, g.rule_version, g.as_of_date, g.expiry_date, g.evidence
  FROM given AS g LEFT JOIN (
    SELECT * FROM potential_tags WHERE customer_id > :lower AND customer_id <= :upper
  ) AS t0 USING (customer_id, tag_code)
  WHERE t0.customer_id IS NULL OR (t0.rule_version, t0.as_of_date, t0.expiry_date, t0.evidence)
    IS DISTINCT FROM (g.rule_version, g.as_of_date, g.expiry_date, g.evidence)
  ORDER BY customer_id, tag_code
  ON CONFLICT (customer_id, tag_code) DO UPDATE SET rule_version = excluded.rule_version,
    as_of_date = excluded.as_of_date, expiry_date = excluded.expiry_date, evidence = excluded.evidence
  RETURNING old.customer_id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
"""
_LAST_DAY = "SELECT max(as_of_date) FROM {staging} WHERE customer_id > :lower AND customer_id <= :upper"
_OTHER_DAYS = "SELECT EXISTS (SELECT FROM {staging} WHERE as_of_date <> :day)"
# Behind every id: ids are of letters, digits and "_.:-", and are ordered by code point.
_LAST = "~"
_NO_OBJECT = """
SELECT "row", left(evidence, 80) FROM {staging} WHERE evidence IS NOT JSON OBJECT ORDER BY "row" LIMIT 50
"""


def tag_tables(known_customers: Check) -> Sequence[BulkTable]:
    """The tables; what they say is spread to customers when all of their rows are there."""

    async def check_tags(tx: AsyncConnection, staging: str) -> list[RowError]:
        return [*await known_customers(tx, staging), *await _evidence_errors(tx, staging)]

    key, filled = ("customer_id", "tag_code"), ("potential_tags", "customers", "customer_search")
    return (
        BulkTable("customer_tags", CUSTOMER_TAGS, key, _upsert_tags, check_tags, finish=_finish_tags, fills=filled),
        BulkTable("key_tests", KEY_TESTS, ("customer_id",), _upsert_nothing, known_customers, finish=_finish_tests),
    )


async def _evidence_errors(tx: AsyncConnection, staging: str) -> list[RowError]:
    rows = await tx.execute(text(_NO_OBJECT.replace("{staging}", staging)))
    return [RowError(row, "evidence", "ROW_INVALID", value, "is no JSON object") for row, value in rows]


async def _upsert_tags(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """Stores what the night says, and lets its customers carry that: a batch at a time, as no feed waits long for."""
    statement = text(_TAGS.replace("{staging}", staging))
    inserted, updated = (await tx.execute(statement, {"lower": lower, "upper": upper})).one()
    day = (await tx.execute(text(_LAST_DAY.replace("{staging}", staging)), {"lower": lower, "upper": upper})).scalar()
    if day is not None:
        await tag_sync.sync_told(tx, staging, (lower, upper), day)
    return inserted, updated


async def _upsert_nothing(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """Tests are looked at as a whole at the end, and not kept: what they change is."""
    del tx, staging, lower, upper
    return 0, 0


async def _finish_tags(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """What the night did not confirm stays until its expiry. A feed that tells of other days is gone through again."""
    await tag_sync.tell_night(tx, business_date)
    others = text(_OTHER_DAYS.replace("{staging}", staging)).bindparams(bindparam("day", type_=Date))
    if (await tx.execute(others, {"day": business_date})).scalar_one():
        await tag_sync.sync_told(tx, staging, ("", _LAST), business_date)
    await tag_sync.expire(tx, business_date)


async def _finish_tests(tx: AsyncConnection, staging: str, business_date: date) -> None:
    await key_proposals.expire(tx, business_date)
    policy = await key_nights.policy_on(tx, business_date)
    await key_nights.apply_tests(tx, staging, business_date, policy)
