"""Tags: their definitions, what is said of a customer's, and the history of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Date, Integer, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.tags import (
    Confirmation,
    CustomerTag,
    HandChange,
    Override,
    Setting,
    Tag,
    TagChange,
    TagKind,
    TagPolicy,
    WantedTags,
)

# Shared with a branch is what the whole bank has, and what a branch above it or below it made.
_SHARED = """
WITH RECURSIVE above AS (
  SELECT CAST(:branch_id AS text) COLLATE "C" AS branch_id
  UNION SELECT b.parent_id FROM branches AS b JOIN above USING (branch_id) WHERE b.parent_id IS NOT NULL
), below AS (
  SELECT CAST(:branch_id AS text) COLLATE "C" AS branch_id
  UNION SELECT b.branch_id FROM branches AS b JOIN below ON b.parent_id = below.branch_id
)
SELECT * FROM tags WHERE (branch_id IS NULL OR :everything OR branch_id IN (TABLE above) OR branch_id IN (TABLE below))
"""
_GET = text(f"{_SHARED} AND tag_code = :code").bindparams(bindparam("branch_id", type_=Text))
_LIST = text(
    f"{_SHARED} AND tag_code > :after AND (:kind = '' OR kind = :kind) AND (:retired OR retire_time IS NULL)"
    " ORDER BY tag_code LIMIT :limit"
).bindparams(bindparam("branch_id", type_=Text), bindparam("kind", type_=Text))
_ADD = text(
    "INSERT INTO tags (tag_code, kind, display_name, display_name_en, rule_text, rule_text_en, branch_id, actor)"
    " VALUES (:code, 'MANUAL', :display_name, :display_name_en, :rule_text, :rule_text_en, :branch_id, :actor)"
    " ON CONFLICT DO NOTHING RETURNING *"
)
_RETIRE = text("UPDATE tags SET retire_time = coalesce(retire_time, bank_now()) WHERE tag_code = :code RETURNING *")
_POLICY = text(
    "SELECT version, expiry_days, override_days_max FROM tag_policies WHERE start_date <= :day"
    " ORDER BY start_date DESC, version DESC LIMIT 1"
).bindparams(bindparam("day", type_=Date))
_OF_CUSTOMER = text("""
SELECT t.*, p.rule_version, p.as_of_date, p.expiry_date, p.evidence, (SELECT told_date FROM tag_day) AS told_date,
  m.reason AS m_reason, m.end_date AS m_end_date, m.actor AS m_actor, m.create_time AS m_create_time,
  o.is_set, o.reason AS o_reason, o.end_date AS o_end_date, o.actor AS o_actor, o.create_time AS o_create_time
FROM tags AS t
LEFT JOIN potential_tags AS p ON p.customer_id = :customer_id AND p.tag_code = t.tag_code
LEFT JOIN manual_tags AS m ON m.customer_id = :customer_id AND m.tag_code = t.tag_code
LEFT JOIN tag_overrides AS o ON o.customer_id = :customer_id AND o.tag_code = t.tag_code AND o.end_date >= :day
WHERE (:code = '' OR t.tag_code = :code)
  AND (p.tag_code IS NOT NULL OR m.tag_code IS NOT NULL OR o.tag_code IS NOT NULL)
ORDER BY t.tag_code
""").bindparams(bindparam("day", type_=Date), bindparam("code", type_=Text))
_POTENTIAL = text("""
SELECT c.customer_id, array_agg(t.tag_code ORDER BY t.tag_code) AS codes
FROM customers AS c JOIN tags AS t ON t.tag_code = ANY (c.tag_codes) AND t.kind = 'POTENTIAL'
WHERE c.customer_id = ANY (CAST(:customer_ids AS text[])) GROUP BY c.customer_id ORDER BY c.customer_id
""")
_SET = text(
    "INSERT INTO manual_tags (customer_id, tag_code, reason, end_date, actor)"
    " VALUES (:customer_id, :tag_code, :reason, :end_date, :actor) ON CONFLICT (customer_id, tag_code) DO UPDATE"
    " SET reason = excluded.reason, end_date = excluded.end_date, actor = excluded.actor, create_time = bank_now()"
).bindparams(bindparam("end_date", type_=Date))
_UNSET = text("DELETE FROM manual_tags WHERE customer_id = :customer_id AND tag_code = :tag_code")
_OVERRIDE = text(
    "INSERT INTO tag_overrides (customer_id, tag_code, is_set, reason, end_date, actor)"
    " VALUES (:customer_id, :tag_code, :is_set, :reason, :end_date, :actor) ON CONFLICT (customer_id, tag_code)"
    " DO UPDATE SET is_set = excluded.is_set, reason = excluded.reason, end_date = excluded.end_date,"
    " actor = excluded.actor, create_time = bank_now()"
).bindparams(bindparam("end_date", type_=Date))
_CLEAR = text("DELETE FROM tag_overrides WHERE customer_id = :customer_id AND tag_code = :tag_code")
_CHANGED = text(
    "INSERT INTO tag_changes (customer_id, tag_code, kind, reason, end_date, actor, branch_id)"
    " VALUES (:customer_id, :tag_code, :kind, :reason, :end_date, :actor, :branch_id)"
).bindparams(bindparam("end_date", type_=Date))
_CHANGES = text(
    "SELECT change_id, tag_code, kind, reason, end_date, actor, create_time FROM tag_changes"
    " WHERE customer_id = :customer_id AND (:code = '' OR tag_code = :code) AND change_id < :before"
    " ORDER BY change_id DESC LIMIT :limit"
).bindparams(bindparam("code", type_=Text), bindparam("limit", type_=Integer))


async def policy_on(conn: AsyncConnection, day: date) -> TagPolicy:
    """The parameters in force on a day."""
    return TagPolicy(*(await conn.execute(_POLICY, {"day": day})).one())


async def get_tag(conn: AsyncConnection, code: str, branch_id: str | None) -> Tag | None:
    """A definition, if it is shared with a branch; None for the branch asks for any."""
    values = {"code": code, "branch_id": branch_id or "", "everything": branch_id is None}
    row = (await conn.execute(_GET, values)).one_or_none()
    return _tag(row) if row else None


async def list_tags(
    conn: AsyncConnection, wanted: WantedTags, branch_id: str | None, after: str, limit: int
) -> list[Tag]:
    """The definitions that are shared with a branch by code, from `after` on; None for the branch asks for all."""
    values = {"branch_id": branch_id or "", "everything": branch_id is None, "kind": wanted.kind or ""}
    rows = await conn.execute(_LIST, {**values, "retired": wanted.with_retired, "after": after, "limit": limit})
    return [_tag(row) for row in rows]


async def add_tag(tx: AsyncConnection, tag: Tag) -> Tag | None:
    """Stores a new manual tag; None if its code is taken."""
    names = ("code", "display_name", "display_name_en", "rule_text", "rule_text_en", "branch_id", "actor")
    row = (await tx.execute(_ADD, {name: getattr(tag, name) for name in names})).one_or_none()
    return _tag(row) if row else None


async def retire_tag(tx: AsyncConnection, code: str) -> Tag:
    """Retires a tag, if it is not retired already."""
    return _tag((await tx.execute(_RETIRE, {"code": code})).one())


async def of_customer(conn: AsyncConnection, customer_id: str, day: date, code: str = "") -> list[CustomerTag]:
    """What is said of a customer's tags, or of one of them, by code; overrides that have passed are left out."""
    rows = await conn.execute(_OF_CUSTOMER, {"customer_id": customer_id, "day": day, "code": code})
    return [_customer_tag(customer_id, row) for row in rows]


async def potential_of(conn: AsyncConnection, customer_ids: Sequence[str]) -> Sequence[tuple[str, Sequence[str]]]:
    """The codes of the potential tags that customers carry, by customer; who carries none is left out."""
    rows = await conn.execute(_POTENTIAL, {"customer_ids": list(customer_ids)})
    return [(row.customer_id, row.codes) for row in rows]


async def put_setting(tx: AsyncConnection, change: HandChange) -> None:
    """Sets a manual tag, in place of what was set before."""
    await tx.execute(_SET, vars(change))


async def drop_setting(tx: AsyncConnection, change: HandChange) -> None:
    """Takes a manual tag away."""
    await tx.execute(_UNSET, vars(change))


async def put_override(tx: AsyncConnection, change: HandChange, *, is_set: bool) -> None:
    """Says something against the batch, in place of what was said before."""
    await tx.execute(_OVERRIDE, {**vars(change), "is_set": is_set})


async def drop_override(tx: AsyncConnection, change: HandChange) -> None:
    """Takes back what was said against the batch."""
    await tx.execute(_CLEAR, vars(change))


async def add_change(tx: AsyncConnection, change: HandChange, kind: str) -> None:
    """Remembers what a hand did."""
    await tx.execute(_CHANGED, {**vars(change), "kind": kind})


async def changes(conn: AsyncConnection, customer_id: str, code: str, before: int, limit: int) -> Sequence[TagChange]:
    """The changes of a customer's tags, or of one of them, the youngest first, from before an id on."""
    values = {"customer_id": customer_id, "code": code, "before": before, "limit": limit}
    return [TagChange(*row) for row in await conn.execute(_CHANGES, values)]


def _tag(row: Row[Any]) -> Tag:
    return Tag(
        code=row.tag_code,
        kind=TagKind(row.kind),
        display_name=row.display_name,
        display_name_en=row.display_name_en,
        rule_text=row.rule_text,
        rule_text_en=row.rule_text_en,
        branch_id=row.branch_id,
        actor=row.actor,
        create_time=row.create_time,
        retire_time=row.retire_time,
    )


def _customer_tag(customer_id: str, row: Row[Any]) -> CustomerTag:
    confirmation = setting = override = None
    if row.as_of_date is not None:
        told = (row.rule_version, row.as_of_date, row.expiry_date, row.evidence, row.told_date)
        confirmation = Confirmation(*told)
    if row.m_reason is not None:
        setting = Setting(row.m_reason, row.m_end_date, row.m_actor, row.m_create_time)
    if row.o_reason is not None:
        override = Override(row.is_set, row.o_reason, row.o_end_date, row.o_actor, row.o_create_time)
    return CustomerTag(customer_id, _tag(row), confirmation, setting, override)
