"""What customer_svc itself knows of a customer's life, as events in the order of a timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ARRAY, Boolean, DateTime, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.notes import EXCERPT_LENGTH
from services.customer_svc.domain.sides import Sides
from services.customer_svc.domain.timeline import Entry, Kind, Place, Wanted
from services.customer_svc.domain.viewing import Level

_LAST: Place = (datetime(9999, 1, 1, tzinfo=UTC), 0, "")
_FIRST = datetime(1, 1, 2, tzinfo=UTC)

# `sided` tells whose an event is: business is told to its branch and to the primary side, which gets no number of
# another branch's; `bank` only to the primary side; a note to its branch and the primary side; the rest to everybody.
_ENTRIES = text("""
WITH events (kind, sided, day, moment, branch_id, number, subject, detail, amount, told, actor) AS (
  SELECT 1, 'business', open_date, NULL::timestamptz, branch_id, account_id, '', kind, NULL::bigint, '', ''
  FROM accounts WHERE customer_id = :customer_id
  UNION ALL SELECT 2, 'business', close_date, NULL, branch_id, account_id, '', kind, NULL, '', ''
  FROM accounts WHERE customer_id = :customer_id
  UNION ALL SELECT 3, 'business', disburse_date, NULL, branch_id, loan_id, '', product, principal_minor, '', ''
  FROM loans WHERE customer_id = :customer_id
  UNION ALL SELECT 4, 'business', close_date, NULL, branch_id, loan_id, '', product, NULL, '', ''
  FROM loans WHERE customer_id = :customer_id
  UNION ALL SELECT 5, 'business', grade_date, NULL, branch_id, loan_id, '', grade, NULL, '', ''
  FROM loans WHERE customer_id = :customer_id AND grade IS NOT NULL
  UNION ALL SELECT 6, 'business', open_date, NULL, branch_id, card_id, '', product, limit_minor, '', ''
  FROM cards WHERE customer_id = :customer_id
  UNION ALL SELECT 7, 'business', close_date, NULL, branch_id, card_id, '', product, NULL, '', ''
  FROM cards WHERE customer_id = :customer_id
  UNION ALL SELECT 8, 'business', h.open_date, NULL, h.branch_id, concat_ws('/', h.branch_id, h.product_code,
    h.open_date), h.product_code, p.display_name, h.amount_minor, '', ''
  FROM holdings h LEFT JOIN products p ON p.product_id = h.product_code WHERE h.customer_id = :customer_id
  UNION ALL SELECT 9, 'business', h.close_date, NULL, h.branch_id, concat_ws('/', h.branch_id, h.product_code,
    h.open_date), h.product_code, p.display_name, NULL, '', ''
  FROM holdings h LEFT JOIN products p ON p.product_id = h.product_code WHERE h.customer_id = :customer_id
  UNION ALL SELECT 12, 'bank', NULL, create_time, NULL, change_id::text, '', concat_ws(':', kind, new_reason), NULL,
    reason, actor
  FROM key_mark_changes WHERE customer_id = :customer_id
  UNION ALL SELECT 13, 'bank', NULL, create_time, NULL, change_id::text, 'tags/' || tag_code, kind, NULL, reason, actor
  FROM tag_changes WHERE customer_id = :customer_id
  UNION ALL SELECT 16, 'note', NULL, create_time, branch_id, note_id, concat('customers/', customer_id, '/notes/',
    note_id), '', NULL, left(text, :excerpt), author_id
  FROM notes WHERE customer_id = :customer_id AND delete_time IS NULL
  UNION ALL SELECT 17, '', NULL, create_time, branch_id, relation_id, '', kind, NULL, reason, author_id
  FROM manual_relations WHERE customer_id = :customer_id OR related_customer_id = :customer_id
  UNION ALL SELECT 18, '', NULL, end_time, NULL, relation_id, '', kind, NULL, end_reason, end_actor
  FROM manual_relations WHERE customer_id = :customer_id OR related_customer_id = :customer_id
  UNION ALL SELECT 19, 'bank', NULL, e.event_time, e.branch_id, concat_ws('/', e.merge_id, e.ordinal),
    'merges/' || e.merge_id, e.verb, NULL, e.reason, e.actor
  FROM merge_events e WHERE e.customer_id = :customer_id AND e.verb IN ('FINISH', 'FINISH_UNDO')
), placed AS (
  SELECT *, coalesce(moment, day::timestamp AT TIME ZONE 'Asia/Shanghai') AS at,
    left(md5(concat_ws('/', kind, number)), 16) COLLATE "C" AS key
  FROM events
  WHERE kind = ANY(:kinds) AND CASE sided
    WHEN 'business' THEN :whole OR branch_id = :own_branch_id
    WHEN 'note' THEN :whole OR branch_id = ANY(:branch_ids)
    WHEN 'bank' THEN :whole ELSE true END
)
SELECT kind, key, at, (at AT TIME ZONE 'Asia/Shanghai')::date AS event_date, moment, branch_id,
  CASE WHEN sided <> 'business' OR subject <> '' THEN subject
    WHEN :numbers OR branch_id = :own_branch_id THEN number ELSE '' END AS subject,
  coalesce(detail, '') AS detail, amount, told, actor
FROM placed
WHERE at >= :since AND at < :until AND at <= bank_now() AND (at, kind, key) < (:at, :kind, :key)
ORDER BY at DESC, kind DESC, key DESC LIMIT :limit
""").bindparams(
    *(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until", "at")),
    *(bindparam(name, type_=Text) for name in ("customer_id", "own_branch_id", "key")),
    *(bindparam(name, type_=Boolean) for name in ("whole", "numbers")),
    *(bindparam(name, type_=Integer) for name in ("excerpt", "kind", "limit")),
    bindparam("kinds", type_=ARRAY(Integer)),
    bindparam("branch_ids", type_=ARRAY(Text)),
)


@dataclass(frozen=True)
class Asked:
    """Whose events, seen from which sides, and which of them."""

    customer_id: str
    sides: Sides
    wanted: Wanted


async def read_entries(conn: AsyncConnection, asked: Asked) -> Sequence[Entry]:
    """The youngest of the events that are wanted, one more than the limit if there are more."""
    sides, wanted = asked.sides, asked.wanted
    at, kind, key = wanted.after or _LAST
    values = {
        "customer_id": asked.customer_id,
        "kinds": sorted(wanted.kinds),
        "whole": sides.level >= Level.PRIMARY,
        "numbers": sides.level is Level.SERVICE,
        "own_branch_id": sides.own_branch_id,
        "branch_ids": sorted(sides.branch_ids or ()),
        "since": wanted.since or _FIRST,
        "until": wanted.until or _LAST[0],
        "at": at,
        "kind": kind,
        "key": key,
        "limit": wanted.limit + 1,
        "excerpt": EXCERPT_LENGTH,
    }
    return [Entry(Kind(kind), *rest) for kind, *rest in await conn.execute(_ENTRIES, values)]
